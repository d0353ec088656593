//! The interface `key-uri`.

use sidekey_core::key_uri::KeyUri;

use crate::{
    Component,
    bindings::exports::sidekey::core::key_uri::{Config, Guest, KeyUriError, Parts, Scheme},
};

impl Guest for Component {
    fn parse(uri: String) -> Result<Parts, KeyUriError> {
        Ok(KeyUri::parse(&uri)?.into())
    }

    fn build(config: Config, scheme: Option<Scheme>) -> Result<String, KeyUriError> {
        let scheme = scheme.map(Into::into).unwrap_or_default();
        Ok(config.as_core().key_uri()?.to_string_under(scheme).to_string())
    }
}
