//! Master keys, sealed values, the pepper.
