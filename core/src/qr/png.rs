//! The QR code as PNG (ISO/IEC 15948): one bit a pixel, grey scale.
//!
//! By hand because of the browser, and everywhere the same: a symbol is rows that repeat, so the row filter leaves runs of
//! zeros, and runs are all that is compressed here. A general encoder takes more room than everything else together.

use super::{QUIET_ZONE, QrMatrix};

/// Pixels of a module's side where nobody asks for another scale: sharp on dense screens, and some 4 KB for a key URI.
pub const DEFAULT_SCALE: u8 = 8;
/// Beyond this an image is only large: version 40 would take 5,920 pixels a side.
pub const MAX_SCALE: u8 = 32;

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Filter type "Up" (§9.2): each byte less the one above it.
const UP: u8 = 2;

impl QrMatrix {
    /// A PNG of the symbol with its quiet zone, black on white. `scale` is the side of a module in pixels and is brought
    /// into 1 to 32.
    pub fn to_png(&self, scale: u8) -> Vec<u8> {
        let scale = usize::from(scale.clamp(1, MAX_SCALE));
        let side = (self.size() + 2 * QUIET_ZONE) * scale;
        let mut header = Vec::with_capacity(13);
        // A side has at most 13 bits.
        let pixels = u32::try_from(side).unwrap_or(u32::MAX).to_be_bytes();
        header.extend(pixels);
        header.extend(pixels);
        // Bit depth 1, colour type 0 (grey), then the only compression, filter set and interlacing worth having.
        header.extend([1, 0, 0, 0, 0]);

        let mut file = SIGNATURE.to_vec();
        chunk(&mut file, *b"IHDR", &header);
        chunk(&mut file, *b"IDAT", &zlib(&self.filtered(scale, side)));
        chunk(&mut file, *b"IEND", &[]);
        file
    }

    /// The rows of the image, each with its filter type in front.
    fn filtered(&self, scale: usize, side: usize) -> Vec<u8> {
        let stride = side.div_ceil(8);
        let white = vec![0xff; stride];
        let mut image = Vec::with_capacity((stride + 1) * side);
        let mut above = vec![0; stride];
        let mut push = |row: &[u8]| {
            for _ in 0..scale {
                image.push(UP);
                image.extend(row.iter().zip(&above).map(|(byte, above)| byte.wrapping_sub(*above)));
                above.copy_from_slice(row);
            }
        };
        for _ in 0..QUIET_ZONE {
            push(&white);
        }
        for row in self.rows() {
            let mut line = white.clone();
            let dark =
                row.iter().enumerate().filter(|(_, dark)| **dark).map(|(x, _)| (x + QUIET_ZONE) * scale);
            for x in dark.flat_map(|left| left..left + scale) {
                if let Some(byte) = line.get_mut(x / 8) {
                    // From the highest bit on, a set bit being white.
                    *byte &= !(0x80 >> (x % 8));
                }
            }
            push(&line);
        }
        for _ in 0..QUIET_ZONE {
            push(&white);
        }
        image
    }
}

/// Length, type, data and checksum (§5.3).
fn chunk(file: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    file.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    file.extend(kind);
    file.extend(data);
    file.extend(crc(kind.iter().chain(data)).to_be_bytes());
}

/// CRC-32 as PNG has it (§5.5), bit by bit: a few kilobytes are no reason for a table.
fn crc<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// A zlib stream (RFC 1950) of one block with fixed codes (RFC 1951 §3.2.6).
fn zlib(data: &[u8]) -> Vec<u8> {
    // Deflate with a window of 32 KiB; the two bytes are a multiple of 31, as §2.2 demands.
    let mut stream = Bits { bytes: vec![0x78, 0x01], value: 0, count: 0 };
    stream.push(0b011, 3);
    for run in data.chunk_by(|left, right| left == right) {
        if let Some((&byte, rest)) = run.split_first() {
            stream.symbol(byte.into());
            stream.repeat(byte, rest.len());
        }
    }
    stream.symbol(256);
    // Whatever is left of the last byte is zero.
    stream.push(0, 7);
    let mut bytes = stream.bytes;
    bytes.extend(adler(data).to_be_bytes());
    bytes
}

/// Adler-32 (RFC 1950 §9).
fn adler(data: &[u8]) -> u32 {
    let (a, b) = data.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

/// Bits in the order of RFC 1951 §3.1.1: bytes are filled from their lowest bit on.
struct Bits {
    bytes: Vec<u8>,
    value: u32,
    count: u32,
}

impl Bits {
    /// At most 13 bits; numbers come lowest bit first.
    fn push(&mut self, bits: u32, count: u32) {
        self.value |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.extend(self.value.to_le_bytes().first());
            self.value >>= 8;
            self.count -= 8;
        }
    }

    /// A literal, a length or the end of the block; codes come highest bit first.
    fn symbol(&mut self, symbol: u32) {
        let (code, count) = match symbol {
            0..144 => (0x30 + symbol, 8),
            144..256 => (0x190 + symbol - 144, 9),
            256..280 => (symbol - 256, 7),
            _ => (0xc0 + symbol - 280, 8),
        };
        self.push(code.reverse_bits() >> (32 - count), count);
    }

    /// The last byte again, so many times: matches of 3 to 258 bytes at a distance of 1, whose code is five zeros.
    fn repeat(&mut self, byte: u8, mut times: usize) {
        while times >= 3 {
            let length = times.min(258);
            // §3.2.5: four lengths more for each extra bit, and the longest has a symbol of its own.
            let over = u32::try_from(length - 3).unwrap_or(0);
            let extra = over.checked_ilog2().map_or(0, |log| log.saturating_sub(2));
            match length {
                258 => self.symbol(285),
                _ if extra == 0 => self.symbol(257 + over),
                _ => {
                    self.symbol(261 + 4 * extra + (over >> extra & 3));
                    self.push(over & ((1 << extra) - 1), extra);
                }
            }
            self.push(0, 5);
            times -= length;
        }
        for _ in 0..times {
            self.symbol(byte.into());
        }
    }
}
