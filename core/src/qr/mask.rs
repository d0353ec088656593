//! Masks, and which of them a symbol gets (ISO/IEC 18004 §7.8).

use super::symbol::Symbol;

/// One of the eight patterns that invert modules.
#[derive(Clone, Copy)]
pub(super) struct Mask(u8);

impl Mask {
    pub(super) const FIRST: Self = Self(0);

    /// Its number in the format information.
    pub(super) fn number(self) -> usize {
        self.0.into()
    }

    /// Whether it inverts the module in this column and row (table 10).
    pub(super) fn inverts(self, x: usize, y: usize) -> bool {
        let rest = match self.0 {
            0 => (x + y) % 2,
            1 => y % 2,
            2 => x % 3,
            3 => (x + y) % 3,
            4 => (x / 3 + y / 2) % 2,
            5 => x * y % 2 + x * y % 3,
            6 => (x * y % 2 + x * y % 3) % 2,
            _ => ((x + y) % 2 + x * y % 3) % 2,
        };
        rest == 0
    }
}

/// The symbol under the mask that gives the least penalty, the first of equals.
pub(super) fn best(symbol: &Symbol) -> Symbol {
    let mut best = symbol.masked(Mask::FIRST);
    let mut least = penalty(&best);
    for mask in (1..8).map(Mask) {
        let masked = symbol.masked(mask);
        let score = penalty(&masked);
        if score < least {
            (best, least) = (masked, score);
        }
    }
    best
}

/// What readers stumble over (§7.8.3.1), row by row and, on a copy on its side, column by column.
fn penalty(symbol: &Symbol) -> usize {
    let rows = || symbol.dark.chunks_exact(symbol.size);
    let columns: Vec<bool> =
        (0..symbol.size).flat_map(|x| rows().filter_map(move |row| row.get(x).copied())).collect();
    let lines = rows().chain(columns.chunks_exact(symbol.size));
    let blocks = rows().zip(rows().skip(1)).map(|(above, below)| 3 * equal_squares(above, below));
    let dark = symbol.dark.iter().filter(|dark| **dark).count();
    let balance = (dark * 200 / symbol.dark.len()).abs_diff(100);
    lines.map(|line| long_runs(line) + false_finders(line)).sum::<usize>() + blocks.sum::<usize>() + balance
}

/// Five modules of one colour count three, each further one counts one.
fn long_runs(line: &[bool]) -> usize {
    let runs = line.chunk_by(|left, right| left == right).map(<[bool]>::len);
    runs.filter(|length| *length >= 5).map(|length| length - 2).sum()
}

/// Squares of two times two modules of one colour.
fn equal_squares(above: &[bool], below: &[bool]) -> usize {
    let squares = above.windows(2).zip(below.windows(2));
    squares.filter(|(upper, lower)| upper == lower && upper.first() == upper.last()).count()
}

/// Each `1011101` with four light modules, or the edge, on either side counts 40.
fn false_finders(line: &[bool]) -> usize {
    // Fifteen modules: four before, the pattern, four after.
    let mut window = 0_usize;
    let mut score = 0;
    for dark in line.iter().chain(&[false; 4]) {
        window = (window << 1 | usize::from(*dark)) & 0x7fff;
        if window >> 4 & 0x7f == 0b101_1101 && (window >> 11 == 0 || window.trailing_zeros() >= 4) {
            score += 40;
        }
    }
    score
}
