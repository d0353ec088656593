//! Every rule of Sidekey.
