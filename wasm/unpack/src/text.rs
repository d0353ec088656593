//! Base64 (RFC 4648 §4), a byte at a time.

use core::sync::atomic::Ordering::Relaxed;

use crate::Byte;

/// Bytes of a text, zeros after its end.
pub(crate) struct Bytes<'a> {
    text: &'a [Byte],
    next: usize,
    /// The bits that have come and are not given yet, lowest last.
    bits: u32,
    /// How many.
    count: u32,
}

impl<'a> Bytes<'a> {
    pub(crate) fn of(text: &'a [Byte]) -> Self {
        Self { text, next: 0, bits: 0, count: 0 }
    }

    pub(crate) fn take(&mut self) -> u32 {
        while self.count < 8 {
            let letter = self.text.get(self.next).map_or(0, |letter| letter.load(Relaxed));
            self.next += 1;
            self.bits = self.bits << 6 | value(letter);
            self.count += 6;
        }
        self.count -= 8;
        self.bits >> self.count & 0xff
    }
}

fn value(letter: u8) -> u32 {
    let value = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => 0,
    };
    u32::from(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4648_section_10() {
        for (text, bytes) in
            [("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar"), ("+/A=", "\u{fb}\u{f0}")]
        {
            let text: Vec<_> = text.bytes().map(Byte::new).collect();
            let mut taken = Bytes::of(&text);
            let taken: String =
                bytes.chars().map(|_| char::from(u8::try_from(taken.take()).unwrap())).collect();
            assert_eq!(taken, bytes);
        }
    }
}
