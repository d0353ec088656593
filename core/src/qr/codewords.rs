//! Data and error correction of a symbol as codewords (ISO/IEC 18004 §7.4 to §7.6).

use super::Level;

/// Versions 1 to 40; a table's first value belongs to version 1.
pub(super) const LARGEST_VERSION: usize = 40;

/// Error correction codewords of each block (table 9), by level and version.
#[rustfmt::skip]
const CORRECTION: [[u8; LARGEST_VERSION]; 4] = [
    [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30],
    [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28],
    [13, 22, 18, 26, 18, 24, 18, 22, 20, 24, 28, 26, 24, 20, 30, 24, 28, 28, 26, 30, 28, 30, 30, 30, 30, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30],
    [17, 28, 22, 16, 22, 28, 26, 26, 24, 28, 24, 28, 22, 24, 24, 30, 28, 28, 26, 28, 30, 24, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30],
];

/// Blocks (table 9), by level and version.
#[rustfmt::skip]
const BLOCKS: [[u8; LARGEST_VERSION]; 4] = [
    [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 21, 22, 24, 25],
    [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49],
    [1, 1, 2, 2, 4, 4, 6, 6, 8, 8, 8, 10, 12, 16, 12, 17, 16, 18, 21, 20, 23, 23, 25, 27, 29, 34, 34, 35, 38, 40, 43, 45, 48, 51, 53, 56, 59, 62, 65, 68],
    [1, 1, 2, 4, 4, 4, 5, 6, 8, 8, 11, 11, 16, 16, 18, 16, 19, 21, 25, 25, 25, 34, 30, 32, 35, 37, 40, 42, 45, 48, 51, 54, 57, 60, 63, 66, 70, 74, 77, 81],
];

/// How a symbol of some version and level is divided.
pub(super) struct Layout {
    pub(super) version: usize,
    pub(super) level: Level,
    blocks: usize,
    /// Of each block.
    correction: usize,
    /// Of all blocks, data and error correction.
    total: usize,
}

impl Layout {
    /// The smallest version that holds so many bytes at this level.
    pub(super) fn smallest(bytes: usize, level: Level) -> Option<Self> {
        let tables = CORRECTION.get(level as usize)?.iter().zip(BLOCKS.get(level as usize)?);
        tables
            .zip(1..)
            .map(|((correction, blocks), version)| Self {
                version,
                level,
                blocks: usize::from(*blocks),
                correction: usize::from(*correction),
                total: modules(version) / 8,
            })
            .find(|layout| 1 + layout.count_bytes() + bytes <= layout.data())
    }

    /// Bytes that tell the length of byte mode (table 3), less the half that the mode indicator leaves of the first and the
    /// last byte.
    fn count_bytes(&self) -> usize {
        if self.version < 10 { 1 } else { 2 }
    }

    /// Codewords of data.
    fn data(&self) -> usize {
        self.total - self.blocks * self.correction
    }

    /// All codewords in the order in which they are placed: data and error correction, the blocks interleaved (§7.6).
    pub(super) fn codewords(&self, text: &[u8]) -> Vec<u8> {
        let data = self.data_codewords(text);
        let blocks = self.split(&data);
        let field = Field::new();
        let divisor = field.divisor(self.correction);
        let corrections: Vec<Vec<u8>> = blocks.iter().map(|block| field.remainder(block, &divisor)).collect();
        let longest = blocks.iter().map(|block| block.len()).max().unwrap_or(0);

        let mut codewords = Vec::with_capacity(self.total);
        for place in 0..longest {
            codewords.extend(blocks.iter().filter_map(|block| block.get(place)));
        }
        for place in 0..self.correction {
            codewords.extend(corrections.iter().filter_map(|block| block.get(place)));
        }
        codewords
    }

    /// Mode indicator `0100`, the length, the bytes, terminator and padding (§7.4.5, §7.4.10). The mode takes half a byte, so
    /// that everything after it is shifted by four bits.
    fn data_codewords(&self, text: &[u8]) -> Vec<u8> {
        let length = text.len().to_be_bytes();
        let length = length.get(length.len() - self.count_bytes()..).unwrap_or_default();
        let mut codewords = Vec::with_capacity(self.data());
        let mut half = 0b0100;
        for byte in length.iter().chain(text) {
            codewords.push(half << 4 | byte >> 4);
            half = byte & 0xf;
        }
        // The terminator is the other half of the last byte.
        codewords.push(half << 4);
        codewords.extend([0xec, 0x11].iter().cycle().take(self.data() - codewords.len()));
        codewords
    }

    /// Blocks of one length, then of one more (§7.5.1).
    fn split<'a>(&self, data: &'a [u8]) -> Vec<&'a [u8]> {
        let (short, long) = (data.len() / self.blocks, data.len() % self.blocks);
        let (first, rest) = data.split_at(short * (self.blocks - long));
        first.chunks(short).chain(rest.chunks(short + 1)).collect()
    }
}

/// Modules that hold codewords: all but the patterns, format and version information (§6.3, annex E).
fn modules(version: usize) -> usize {
    let all = (16 * version + 128) * version + 64;
    let aligned = if version < 2 {
        0
    } else {
        let side = version / 7 + 2;
        (25 * side - 10) * side - 55
    };
    all - aligned - if version < 7 { 0 } else { 36 }
}

/// GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1, in which x generates all but zero.
struct Field {
    /// x to the power of 0, 1, 2 …, twice, so that the sum of two logarithms finds its power.
    powers: Vec<u8>,
    /// The logarithm of each element but zero.
    logarithms: [usize; 256],
}

impl Field {
    fn new() -> Self {
        let mut powers = Vec::with_capacity(510);
        let mut logarithms = [0; 256];
        let mut power = 1;
        for exponent in 0..510 {
            powers.push(power);
            if let Some(logarithm) = logarithms.get_mut(usize::from(power)) {
                *logarithm = exponent % 255;
            }
            power = power << 1 ^ if power & 0x80 == 0 { 0 } else { 0x1d };
        }
        Self { powers, logarithms }
    }

    fn product(&self, left: u8, right: u8) -> u8 {
        if left == 0 || right == 0 {
            return 0;
        }
        let logarithm = |element: u8| self.logarithms.get(usize::from(element)).copied().unwrap_or(0);
        self.powers.get(logarithm(left) + logarithm(right)).copied().unwrap_or(0)
    }

    /// The generator polynomial of this degree (annex A), without its leading 1, highest power first.
    fn divisor(&self, degree: usize) -> Vec<u8> {
        let mut divisor = vec![0; degree];
        if let Some(last) = divisor.last_mut() {
            *last = 1;
        }
        for root in self.powers.iter().take(degree) {
            let mut next = 0;
            for power in divisor.iter_mut().rev() {
                let shifted = *power;
                *power = self.product(shifted, *root) ^ next;
                next = shifted;
            }
        }
        divisor
    }

    /// The error correction codewords of a block: what is left of it after division (§7.5.2).
    fn remainder(&self, block: &[u8], divisor: &[u8]) -> Vec<u8> {
        let mut rest = vec![0; divisor.len()];
        for byte in block {
            rest.rotate_left(1);
            let factor = rest.last_mut().map_or(0, |last| byte ^ core::mem::take(last));
            for (rest, power) in rest.iter_mut().zip(divisor) {
                *rest ^= self.product(*power, factor);
            }
        }
        rest
    }
}
