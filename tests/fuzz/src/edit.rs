//! Mutations that are part of an input, so that a fuzzer can start from something valid.

/// The bytes after these edits, of five bytes each: what to do, where (two bytes, taken modulo the length), and with what (two
/// bytes). An incomplete edit at the end is left out.
pub fn edited(base: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = base.to_vec();
    for edit in edits.as_chunks().0 {
        let [kind, high, low, first, second] = *edit;
        if bytes.is_empty() {
            break;
        }
        let at = usize::from(u16::from_be_bytes([high, low])) % bytes.len();
        match kind % 6 {
            0 => bytes[at] ^= first,
            1 => bytes[at] = first,
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, first),
            4 => bytes.truncate(at),
            _ => {
                let other = usize::from(u16::from_be_bytes([first, second])) % bytes.len();
                bytes.swap(at, other);
            }
        }
    }
    bytes
}

/// The two halves of an input around its first zero byte; the second is empty where there is none.
pub fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}
