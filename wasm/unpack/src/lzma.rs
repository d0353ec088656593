//! LZMA without a header (<https://7-zip.org/sdk.html>, `lzma-specification.txt`, whose terms are used here): lc = 3, lp = 0, pb = 0.

use core::sync::atomic::Ordering::Relaxed;

use crate::Byte;
use crate::text::Bytes;

// Where each model begins in the one list of probabilities; a `usize` has 32 bits where this runs.
const IS_MATCH: usize = 0;
const IS_REP: usize = 12;
const IS_REP_G0: usize = 24;
const IS_REP0_LONG: usize = 36;
const IS_REP_G1: usize = 48;
const IS_REP_G2: usize = 60;
const POS_SLOT: usize = 72;
const POS_SPECIAL: usize = POS_SLOT + 4 * 64;
const ALIGN: usize = POS_SPECIAL + 115;
const LENGTH: usize = ALIGN + 16;
/// Two choices, two trees of 8, one of 256.
const REP_LENGTH: usize = LENGTH + 274;
const LITERALS: usize = REP_LENGTH + 274;
const ALL: usize = LITERALS + (0x300 << 3);

/// The range decoder, and the probabilities that learn.
struct Decoder<'a> {
    packed: Bytes<'a>,
    range: u32,
    code: u32,
    probabilities: [u16; ALL],
}

impl<'a> Decoder<'a> {
    fn of(text: &'a [Byte]) -> Self {
        let mut packed = Bytes::of(text);
        // The first byte is always zero.
        let code = (0..5).fold(0, |code, _| code << 8 | packed.take());
        Self { packed, range: u32::MAX, code, probabilities: [1024; ALL] }
    }

    fn normalise(&mut self) {
        if self.range < 1 << 24 {
            self.range <<= 8;
            self.code = self.code << 8 | self.packed.take();
        }
    }

    #[inline(never)]
    fn bit(&mut self, place: usize) -> usize {
        self.normalise();
        let Some(probability) = self.probabilities.get_mut(place) else { return 0 };
        let bound = (self.range >> 11).wrapping_mul(u32::from(*probability));
        if self.code < bound {
            self.range = bound;
            *probability += (2048 - *probability) >> 5;
            return 0;
        }
        self.range -= bound;
        self.code -= bound;
        *probability -= *probability >> 5;
        1
    }

    fn tree(&mut self, place: usize, bits: u32) -> usize {
        let mut node = 1;
        while node < 1 << bits {
            node = node << 1 | self.bit(place + node);
        }
        node - (1 << bits)
    }

    /// Lowest bit first.
    fn reverse_tree(&mut self, place: usize, bits: usize) -> usize {
        let (mut node, mut number) = (1, 0);
        for index in 0..bits {
            let bit = self.bit(place + node);
            node = node << 1 | bit;
            number |= bit << index;
        }
        number
    }

    /// Bits of even chances.
    fn direct(&mut self, bits: usize) -> usize {
        let mut number = 0;
        for _ in 0..bits {
            self.normalise();
            self.range >>= 1;
            let is_one = self.code >= self.range;
            if is_one {
                self.code -= self.range;
            }
            number = number << 1 | usize::from(is_one);
        }
        number
    }

    fn length(&mut self, place: usize) -> usize {
        if self.bit(place) == 0 {
            2 + self.tree(place + 2, 3)
        } else if self.bit(place + 1) == 0 {
            10 + self.tree(place + 10, 3)
        } else {
            18 + self.tree(place + 18, 8)
        }
    }

    fn distance(&mut self, length: usize) -> usize {
        let slot = self.tree(POS_SLOT + (length - 2).min(3) * 64, 6);
        if slot < 4 {
            return slot;
        }
        let bits = (slot >> 1) - 1;
        let base = (2 | (slot & 1)) << bits;
        if slot < 14 {
            base + self.reverse_tree(POS_SPECIAL + base - slot, bits)
        } else {
            base + (self.direct(bits - 4) << 4) + self.reverse_tree(ALIGN, 4)
        }
    }

    /// `like`: after a match, the byte that would have gone on with it, which is known to be wrong.
    fn literal(&mut self, before: u8, like: Option<u8>) -> usize {
        let place = LITERALS + 0x300 * usize::from(before >> 5);
        let mut symbol = 1;
        if let Some(like) = like {
            let mut like = usize::from(like);
            while symbol < 0x100 {
                let expected = like >> 7 & 1;
                like <<= 1;
                let bit = self.bit(place + ((1 + expected) << 8) + symbol);
                symbol = symbol << 1 | bit;
                if bit != expected {
                    break;
                }
            }
        }
        while symbol < 0x100 {
            symbol = symbol << 1 | self.bit(place + symbol);
        }
        symbol
    }
}

/// Unpacks as many bytes as there is room for, from base64 of LZMA with lc = 3, lp = 0, pb = 0 and no header. Of anything else, some bytes.
pub fn unpack(text: &[Byte], bytes: &[Byte]) {
    let mut decoder = Decoder::of(text);
    let back = |at: usize, distance: usize| {
        bytes.get(at.wrapping_sub(distance + 1)).map_or(0, |byte| byte.load(Relaxed))
    };
    let (mut at, mut state) = (0, 0);
    let (mut rep0, mut rep1, mut rep2, mut rep3) = (0, 0, 0, 0);
    while let Some(byte) = bytes.get(at) {
        if decoder.bit(IS_MATCH + state) == 0 {
            let like = (state >= 7).then(|| back(at, rep0));
            let [symbol, ..] = decoder.literal(back(at, 0), like).to_le_bytes();
            byte.store(symbol, Relaxed);
            at += 1;
            state -= match state {
                0..4 => state,
                4..10 => 3,
                _ => 6,
            };
            continue;
        }
        let is_first = state < 7;
        let length = if decoder.bit(IS_REP + state) == 0 {
            (rep3, rep2, rep1) = (rep2, rep1, rep0);
            let length = decoder.length(LENGTH);
            rep0 = decoder.distance(length);
            state = if is_first { 7 } else { 10 };
            length
        } else {
            let is_rep0 = decoder.bit(IS_REP_G0 + state) == 0;
            if is_rep0 && decoder.bit(IS_REP0_LONG + state) == 0 {
                state = if is_first { 9 } else { 11 };
                1
            } else {
                if !is_rep0 {
                    if decoder.bit(IS_REP_G1 + state) == 0 {
                        (rep0, rep1) = (rep1, rep0);
                    } else if decoder.bit(IS_REP_G2 + state) == 0 {
                        (rep0, rep1, rep2) = (rep2, rep0, rep1);
                    } else {
                        (rep0, rep1, rep2, rep3) = (rep3, rep0, rep1, rep2);
                    }
                }
                state = if is_first { 8 } else { 11 };
                decoder.length(REP_LENGTH)
            }
        };
        for _ in 0..length {
            if let Some(byte) = bytes.get(at) {
                byte.store(back(at, rep0), Relaxed);
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use lzma_rust2::{LzmaOptions, LzmaWriter};

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let options = LzmaOptions { lc: 3, lp: 0, pb: 0, ..LzmaOptions::with_preset(9) };
        let mut packer = LzmaWriter::new_no_header(Vec::new(), &options, false).unwrap();
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    /// RFC 4648 §4, without the end's `=`.
    fn base64(bytes: &[u8]) -> Vec<Byte> {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let bits: Vec<u8> =
            bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
        let value =
            |bits: &[u8]| (0..6).fold(0, |value, place| value << 1 | bits.get(place).copied().unwrap_or(0));
        bits.chunks(6).map(|bits| Byte::new(ALPHABET[usize::from(value(bits))])).collect()
    }

    fn round_trip(bytes: &[u8]) {
        let unpacked: Vec<_> = bytes.iter().map(|_| Byte::new(0)).collect();
        unpack(&base64(&packed(bytes)), &unpacked);
        let unpacked: Vec<u8> = unpacked.into_iter().map(Byte::into_inner).collect();
        assert!(unpacked == bytes, "{} bytes", bytes.len());
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        // A linear congruential generator (Knuth, MMIX): what comes at random, near and far, short and long.
        let mut state = 1_u64;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        for size in [0, 1, 2, 300, 5_000, 120_000] {
            let mut bytes: Vec<u8> = Vec::new();
            while bytes.len() < size {
                match random(4) {
                    0 => bytes.extend((0..random(20)).map(|_| u8::try_from(random(256)).unwrap())),
                    1 => bytes.extend(vec![u8::try_from(random(256)).unwrap(); random(400)]),
                    _ if bytes.is_empty() => bytes.push(7),
                    _ => {
                        let start = random(bytes.len());
                        let end = bytes.len().min(start + random(300));
                        bytes.extend_from_within(start..end);
                        bytes.push(u8::try_from(random(256)).unwrap());
                    }
                }
            }
            bytes.truncate(size);
            round_trip(&bytes);
        }
    }

    #[test]
    fn the_text_of_a_program_is_unpacked() {
        round_trip(include_bytes!("lzma.rs"));
        round_trip(&std::fs::read(std::env::current_exe().unwrap()).unwrap()[..150_000]);
    }

    #[test]
    fn anything_else_gives_some_bytes() {
        for length in 0..200_u8 {
            let text: Vec<_> = (0..length).map(|place| Byte::new(place.wrapping_mul(37) ^ length)).collect();
            unpack(&text, &[const { Byte::new(0) }; 3_000]);
        }
    }
}
