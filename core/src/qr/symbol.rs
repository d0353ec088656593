//! Where codewords and patterns stand in a symbol (ISO/IEC 18004 §6.3, §7.7, §7.9, §7.10).

use super::{Level, codewords::Layout, grid::Grid, mask::Mask};

/// A symbol on the way: which modules are dark, and which belong to patterns.
#[derive(Clone)]
pub(super) struct Symbol {
    pub(super) size: usize,
    pub(super) dark: Grid,
    fixed: Grid,
    level: Level,
}

impl Symbol {
    /// The patterns and the codewords, not yet masked.
    pub(super) fn new(layout: &Layout, codewords: &[u8]) -> Self {
        let size = 17 + 4 * layout.version;
        let mut symbol = Self { size, dark: Grid::new(size), fixed: Grid::new(size), level: layout.level };
        symbol.draw_timing();
        symbol.draw_finders();
        symbol.draw_alignment(layout.version);
        symbol.draw_version(layout.version);
        // Reserves the modules; the mask is not known yet.
        symbol.draw_format(Mask::FIRST);
        symbol.draw_codewords(codewords);
        symbol
    }

    /// The same symbol under this mask, which its format information names.
    pub(super) fn masked(&self, mask: Mask) -> Self {
        let mut symbol = self.clone();
        let (rows, columns) = mask.pattern();
        symbol.dark.invert((&rows, &columns), &self.fixed);
        symbol.draw_format(mask);
        symbol
    }

    /// A module of a pattern; outside the symbol nothing happens.
    fn set(&mut self, x: usize, y: usize, dark: bool) {
        self.dark.set(x, y, dark);
        self.fixed.set(x, y, true);
    }

    fn draw_timing(&mut self) {
        for place in 0..self.size {
            self.set(6, place, place % 2 == 0);
            self.set(place, 6, place % 2 == 0);
        }
    }

    /// Finder patterns with the light separators around them.
    fn draw_finders(&mut self) {
        let far = self.size - 4;
        for (x, y) in [(3, 3), (far, 3), (3, far)] {
            self.draw_rings(x, y, 4, |ring| ring != 2 && ring != 4);
        }
    }

    /// Alignment patterns, but for the three places of finder patterns (annex E).
    fn draw_alignment(&mut self, version: usize) {
        if version < 2 {
            return;
        }
        let (count, last) = (version / 7 + 2, self.size - 7);
        let step = (version * 8 + count * 3 + 5) / (count * 4 - 4) * 2;
        let place = |index: usize| if index == 0 { 6 } else { last - step * (count - 1 - index) };
        for (column, row) in (0..count).flat_map(|row| (0..count).map(move |column| (column, row))) {
            let end = count - 1;
            if ![(0, 0), (0, end), (end, 0)].contains(&(column, row)) {
                self.draw_rings(place(column), place(row), 2, |ring| ring != 1);
            }
        }
    }

    /// Squares within one another around a module; `dark` tells the colour by the distance.
    fn draw_rings(&mut self, x: usize, y: usize, radius: usize, dark: fn(usize) -> bool) {
        for (across, down) in
            (0..=2 * radius).flat_map(|down| (0..=2 * radius).map(move |across| (across, down)))
        {
            // Left of and above the symbol a place wraps to one that is outside too.
            let (left, top) = ((x + across).wrapping_sub(radius), (y + down).wrapping_sub(radius));
            if top < self.size {
                self.set(left, top, dark(across.abs_diff(radius).max(down.abs_diff(radius))));
            }
        }
    }

    /// Level and mask under a BCH code (§7.9.1), twice, and the module that is always dark.
    fn draw_format(&mut self, mask: Mask) {
        let level = match self.level {
            Level::L => 1,
            Level::M => 0,
            Level::Q => 3,
            Level::H => 2,
        };
        let data = level << 3 | mask.number();
        let bits = (data << 10 | bch(data, 10, 0x537)) ^ 0x5412;
        let (edge, is_set) = (self.size - 1, |place: usize| bits >> place & 1 == 1);
        for place in 0..15 {
            // Around the upper left finder, past the timing patterns.
            match place {
                0..6 => self.set(8, place, is_set(place)),
                6 | 7 => self.set(8, place + 1, is_set(place)),
                8 => self.set(7, 8, is_set(place)),
                _ => self.set(14 - place, 8, is_set(place)),
            }
            // Beside the two others.
            if place < 8 {
                self.set(edge - place, 8, is_set(place));
            } else {
                self.set(8, edge + place - 14, is_set(place));
            }
        }
        self.set(8, edge - 7, true);
    }

    /// The version under a BCH code (§7.10), twice, from version 7 on.
    fn draw_version(&mut self, version: usize) {
        if version < 7 {
            return;
        }
        let bits = version << 12 | bch(version, 12, 0x1f25);
        for place in 0..18 {
            let (far, near) = (self.size - 11 + place % 3, place / 3);
            let dark = bits >> place & 1 == 1;
            self.set(far, near, dark);
            self.set(near, far, dark);
        }
    }

    /// Bits in columns two modules wide, from the right, up and down in turn (§7.7.3); what is left over stays light.
    fn draw_codewords(&mut self, codewords: &[u8]) {
        let mut bits = codewords.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
        // The column of the timing pattern is none.
        let columns = (0..self.size - 1).rev().step_by(2).map(|left| if left < 6 { left } else { left + 1 });
        for (turn, right) in columns.enumerate() {
            for step in 0..self.size {
                let y = if turn % 2 == 0 { self.size - 1 - step } else { step };
                for x in [right, right - 1] {
                    if !self.fixed.get(x, y)
                        && let Some(bit) = bits.next()
                    {
                        self.dark.set(x, y, bit);
                    }
                }
            }
        }
    }
}

/// The remainder of `data` times x^degree by the generator polynomial.
fn bch(data: usize, degree: usize, generator: usize) -> usize {
    (0..degree).fold(data, |rest, _| (rest << 1) ^ ((rest >> (degree - 1)) * generator))
}
