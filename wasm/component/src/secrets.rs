//! The interface `secrets`.

use sidekey_core::secret::{self, Secret};

use crate::{
    Component,
    bindings::exports::sidekey::core::secrets::{Guest, SecretError},
    entropy,
};

impl Guest for Component {
    fn generate(length: Option<u32>) -> Result<String, SecretError> {
        let length = length.map_or(secret::DEFAULT_BYTES, |bytes| bytes as usize);
        // One byte more than a secret may have is enough for core to refuse it.
        let secret = Secret::from_bytes(entropy::bytes(length.min(secret::MAX_BYTES + 1)))?;
        Ok(secret.to_base32().to_string())
    }

    fn format(secret: String) -> String {
        secret::grouped(&secret)
    }
}
