//! Prints the `OpenAPI` document; `cargo xtask openapi` writes it to `docs/openapi.json`.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    io::stdout().write_all(sidekey_server::openapi::text()?.as_bytes())
}
