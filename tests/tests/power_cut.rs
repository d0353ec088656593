//! What was acknowledged survives a power cut: only what was synced is left of the data folder.

mod power;
