//! Masks, and which of them a symbol gets (ISO/IEC 18004 §7.8).

use core::array;

use super::{
    grid::{Grid, Span},
    symbol::Symbol,
};

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
    fn inverts(self, x: usize, y: usize) -> bool {
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

    /// Every mask repeats after twelve modules: its first twelve rows and columns, a bit for each module that it inverts.
    pub(super) fn pattern(self) -> ([u64; 12], [u64; 12]) {
        let line = |inverts: &dyn Fn(usize) -> bool| {
            (0..12).fold(0, |line, module| line | u64::from(inverts(module)) << module)
        };
        let rows = array::from_fn(|y| line(&|x| self.inverts(x, y)));
        let columns = array::from_fn(|x| line(&|y| self.inverts(x, y)));
        (rows, columns)
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

/// What readers stumble over (§7.8.3.1), row by row and column by column.
fn penalty(symbol: &Symbol) -> usize {
    let (grid, size) = (&symbol.dark, symbol.size);
    let of_lines = |span: Span| long_runs(span, size) + false_finders(span);
    let rows: usize = grid.rows().flatten().map(of_lines).sum();
    let columns: usize = grid.columns().flatten().map(of_lines).sum();
    let dark: usize = grid.rows().flatten().map(|span| count(span.here)).sum();
    let balance = (dark * 200 / (size * size)).abs_diff(100);
    rows + columns + 3 * equal_squares(grid, size) + balance
}

/// Five modules of one colour count three, each further one counts one: two for each run, and one for each five that stand in it.
fn long_runs(span: Span, size: usize) -> usize {
    let (mut all, mut any) = (span.here, span.here);
    for by in 1..5 {
        all &= span.next(by);
        any |= span.next(by);
    }
    let fives = (all | !any) & span.below(size - 4);
    // A run begins where the module before has the other colour, and with the line.
    let begins = span.here ^ span.past(1) | u64::from(span.start == 0);
    count(fives) + 2 * count(fives & begins)
}

/// Squares of two times two modules of one colour.
fn equal_squares(grid: &Grid, size: usize) -> usize {
    let pairs = grid.rows().zip(grid.rows().skip(1)).flat_map(|(above, below)| above.zip(below));
    let squares = pairs.map(|(above, below)| {
        let (upper, lower) = (above.next(1), below.next(1));
        let (all, any) = (above.here & below.here & upper & lower, above.here | below.here | upper | lower);
        count((all | !any) & above.below(size - 1))
    });
    squares.sum()
}

/// Each `1011101` with four light modules, or the edge, on either side counts 40.
fn false_finders(span: Span) -> usize {
    let dark = |places: [usize; 4]| places.into_iter().fold(span.here, |dark, by| dark & span.next(by));
    let finders = dark([2, 3, 4, 6]) & !span.next(1) & !span.next(5);
    let before = (1..5).fold(0, |any, by| any | span.past(by));
    let after = (7..11).fold(0, |any, by| any | span.next(by));
    40 * count(finders & !(before & after))
}

fn count(bits: u64) -> usize {
    bits.count_ones() as usize
}
