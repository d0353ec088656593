//! Modules as bits, so that 64 of a row or of a column are looked at in one step.

use core::ops::BitXorAssign;

const BITS: usize = u64::BITS as usize;

/// A square of modules, each of them in its row and in its column.
#[derive(Clone)]
pub(super) struct Grid {
    size: usize,
    rows: Vec<u64>,
    columns: Vec<u64>,
}

/// 64 modules of a line, the first as the lowest bit, and their neighbours in it. Outside of the symbol all is light.
#[derive(Clone, Copy)]
pub(super) struct Span {
    before: u64,
    pub(super) here: u64,
    after: u64,
    /// The module of `here`'s lowest bit.
    pub(super) start: usize,
}

impl Span {
    /// In each module's place, the one that is so many further on: 1 to 63.
    pub(super) fn next(self, by: usize) -> u64 {
        self.here >> by | self.after << (BITS - by)
    }

    /// In each module's place, the one that is so many before: 1 to 63.
    pub(super) fn past(self, by: usize) -> u64 {
        self.here << by | self.before >> (BITS - by)
    }

    /// The modules whose number in the line is below this.
    pub(super) fn below(self, end: usize) -> u64 {
        let count = end.saturating_sub(self.start);
        if count < BITS { (1 << count) - 1 } else { u64::MAX }
    }
}

impl Grid {
    /// All light.
    pub(super) fn new(size: usize) -> Self {
        let light = vec![0; size * words(size)];
        Self { size, rows: light.clone(), columns: light }
    }

    /// Whether the module in column `x` and row `y` is dark; none outside is.
    pub(super) fn get(&self, x: usize, y: usize) -> bool {
        x < self.size && self.rows.get(place(self.size, y, x)).is_some_and(|word| word >> (x % BITS) & 1 == 1)
    }

    /// Makes a module dark or light; outside nothing happens.
    pub(super) fn set(&mut self, x: usize, y: usize, dark: bool) {
        if x >= self.size || y >= self.size {
            return;
        }
        let size = self.size;
        for (lines, line, module) in [(&mut self.rows, y, x), (&mut self.columns, x, y)] {
            if let Some(word) = lines.get_mut(place(size, line, module)) {
                let bit = 1 << (module % BITS);
                *word = if dark { *word | bit } else { *word & !bit };
            }
        }
    }

    /// Inverts the modules that are not in `but` and for which a pattern of twelve by twelve is set; the pattern by rows and by columns.
    pub(super) fn invert(&mut self, pattern: (&[u64; 12], &[u64; 12]), but: &Self) {
        let (size, per_line) = (self.size, words(self.size));
        let directions =
            [(&mut self.rows, &but.rows, pattern.0), (&mut self.columns, &but.columns, pattern.1)];
        for (lines, fixed, pattern) in directions {
            let patterns = pattern.iter().cycle();
            for ((line, fixed), pattern) in
                lines.chunks_exact_mut(per_line).zip(fixed.chunks_exact(per_line)).zip(patterns)
            {
                for (nth, (word, fixed)) in line.iter_mut().zip(fixed).enumerate() {
                    let inside = Span { before: 0, here: 0, after: 0, start: nth * BITS }.below(size);
                    word.bitxor_assign(repeated(*pattern, nth) & !fixed & inside);
                }
            }
        }
    }

    /// The rows, each as its spans.
    pub(super) fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = Span>> {
        spans(&self.rows, words(self.size))
    }

    /// The columns.
    pub(super) fn columns(&self) -> impl Iterator<Item = impl Iterator<Item = Span>> {
        spans(&self.columns, words(self.size))
    }
}

fn words(size: usize) -> usize {
    size.div_ceil(BITS)
}

fn place(size: usize, line: usize, module: usize) -> usize {
    line * words(size) + module / BITS
}

fn spans(lines: &[u64], per_line: usize) -> impl Iterator<Item = impl Iterator<Item = Span>> {
    lines.chunks_exact(per_line).map(|line| {
        let of = |nth: Option<usize>| nth.and_then(|nth| line.get(nth)).copied().unwrap_or(0);
        line.iter().enumerate().map(move |(nth, here)| Span {
            before: of(nth.checked_sub(1)),
            here: *here,
            after: of(Some(nth + 1)),
            start: nth * BITS,
        })
    })
}

/// Twelve bits over and over, as they are in the `nth` word of a line: each word begins four bits further on in them.
fn repeated(twelve: u64, nth: usize) -> u64 {
    let turn = 4 * (nth % 3);
    let turned = (twelve >> turn | twelve << (12 - turn)) & 0xfff;
    turned.wrapping_mul(0x1001_0010_0100_1001)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_goes_on_over_the_ends_of_words() {
        for twelve in [1, 0b10, 0x800, 0xa53] {
            for module in 0..192 {
                let bit = repeated(twelve, module / BITS) >> (module % BITS) & 1;
                assert_eq!(bit, twelve >> (module % 12) & 1, "module {module} of {twelve:b}");
            }
        }
    }

    #[test]
    fn a_module_is_in_its_row_and_in_its_column() {
        let mut grid = Grid::new(177);
        grid.set(130, 65, true);
        grid.set(177, 0, true);
        assert!(grid.get(130, 65) && !grid.get(65, 130) && !grid.get(177, 0));
        let dark = |lines: Vec<Vec<Span>>| -> Vec<(usize, usize)> {
            let all = lines.iter().enumerate();
            all.flat_map(|(nth, line)| line.iter().map(move |span| (nth, span)))
                .filter(|(_, span)| span.here != 0)
                .map(|(nth, span)| (nth, span.start + span.here.trailing_zeros() as usize))
                .collect()
        };
        assert_eq!(dark(grid.rows().map(Iterator::collect).collect()), [(65, 130)]);
        assert_eq!(dark(grid.columns().map(Iterator::collect).collect()), [(130, 65)]);
        grid.set(130, 65, false);
        assert!(!grid.get(130, 65));
    }

    #[test]
    fn neighbours_are_seen_over_the_ends_of_words() {
        let mut grid = Grid::new(177);
        grid.set(64, 0, true);
        let row: Vec<Span> = grid.rows().next().unwrap().collect();
        assert_eq!((row[0].next(1), row[1].next(1)), (1 << 63, 0));
        assert_eq!((row[1].past(3), row[2].past(64 - 1)), (1 << 3, 0));
        assert_eq!(
            (row[2].below(177).count_ones(), row[2].below(100), row[1].below(100).count_ones()),
            (49, 0, 36)
        );
    }
}
