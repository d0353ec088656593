//! The module as a JavaScript file, for whoever cannot or will not fetch it.

use std::io::{self, Write};

use lzma_rust2::{LzmaOptions, LzmaWriter};
use sidekey_unpack::{Byte, MOST_BYTES, MOST_TEXT};

/// A script that exports the bytes: packed, because base64 hides from the compression of a server what could be compressed; and the
/// module of `wasm/unpack`, which unpacks them.
///
/// # Errors
/// They are not what comes out of that: they are more than it has room for.
pub(crate) fn script(module: &[u8], unpacker: &[u8]) -> io::Result<String> {
    let options = LzmaOptions { lc: 3, lp: 0, pb: 0, ..LzmaOptions::with_preset(9) };
    let mut packer = LzmaWriter::new_no_header(Vec::new(), &options, false)?;
    packer.write_all(module)?;
    let text = base64(&packer.finish()?);
    if text.len() > MOST_TEXT || module.len() > MOST_BYTES || unpacked(&text, module.len()) != module {
        return Err(io::Error::other("wasm/unpack does not give back what was packed"));
    }
    let (size, unpacker) = (module.len(), base64(unpacker));
    Ok(format!(
        "/** Bytes of the core. */\nexport const size = {size};\n/** The core: base64 of LZMA. */\nexport const bytes =\n  \"{text}\";\n\
         /** Unpacks it: base64 of a module. */\nexport const unpacker =\n  \"{unpacker}\";\n"
    ))
}

fn unpacked(text: &str, size: usize) -> Vec<u8> {
    let text: Vec<_> = text.bytes().map(Byte::new).collect();
    let bytes: Vec<_> = (0..size).map(|_| Byte::new(0)).collect();
    sidekey_unpack::unpack(&text, &bytes);
    bytes.into_iter().map(Byte::into_inner).collect()
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let value =
            (0..3).fold(0, |value, place| value << 8 | group.get(place).map_or(0, |byte| usize::from(*byte)));
        for place in 0..4 {
            let letter = ALPHABET.get(value >> (18 - 6 * place) & 63).filter(|_| place <= group.len());
            text.push(char::from(*letter.unwrap_or(&b'=')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_too_large_for_its_unpacker_is_refused() {
        let script = script(&vec![7; MOST_BYTES], b"\0asm").unwrap();
        assert!(script.contains(&format!("size = {MOST_BYTES};")) && script.contains("AGFzbQ=="), "{script}");
        super::script(&vec![7; MOST_BYTES + 1], b"\0asm").unwrap_err();
    }

    #[test]
    fn rfc_4648_section_10() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
