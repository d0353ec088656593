//! QR codes (ISO/IEC 18004) of key URIs: modules, SVG and PNG.
//!
//! By hand because of the browser: a general library takes a seventh of the module for modes and tables that key URIs have no
//! use for. The tests compare with one, mask included.
//!
//! - [`codewords`]: data and error correction
//! - [`grid`]: modules as bits
//! - [`symbol`]: where codewords and patterns stand
//! - [`mask`]: which mask is the best
//! - [`svg`], [`png`]: pictures
//!
//! The text is encoded in byte mode at the smallest version that holds it. Level M repairs 15 % of the symbol, which a screen
//! with reflections or a folded print needs; only a text too long for it falls back to level L. Whoever asks for another
//! level gets that one or none.

mod codewords;
mod grid;
mod mask;
mod png;
mod svg;
mod symbol;

#[cfg(test)]
mod tests;

use core::fmt;

pub use self::png::{DEFAULT_SCALE, MAX_SCALE};
use self::{codewords::Layout, symbol::Symbol};

/// The light border that a reader needs around the symbol, in modules (ISO/IEC 18004 §5.3.8).
pub const QUIET_ZONE: usize = 4;

/// The modules of one QR code, without its quiet zone.
#[derive(Clone, PartialEq, Eq)]
pub struct QrMatrix {
    size: usize,
    dark: Vec<bool>,
}

/// How much of a symbol may be unreadable (ISO/IEC 18004 §6.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// 7 %.
    L,
    /// 15 %.
    M,
    /// 25 %.
    Q,
    /// 30 %.
    H,
}

impl Level {
    /// The level with this name, which is one letter.
    ///
    /// # Errors
    /// [`QrError::Level`] for anything else.
    pub fn named(name: &str) -> Result<Self, QrError> {
        match name {
            "L" => Ok(Self::L),
            "M" => Ok(Self::M),
            "Q" => Ok(Self::Q),
            "H" => Ok(Self::H),
            _ => Err(QrError::Level),
        }
    }
}

/// Why there is no QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QrError {
    /// Too long for version 40 at its level: more than 2,953 bytes at level L.
    TooLong,
    /// No level has this name.
    Level,
}

impl QrMatrix {
    /// The QR code of `text`, in byte mode at level M, or at level L where M cannot hold it.
    ///
    /// # Errors
    /// [`QrError::TooLong`] if no QR code holds the text.
    pub fn encode(text: &str) -> Result<Self, QrError> {
        Self::encode_at(text, Level::M).or_else(|_| Self::encode_at(text, Level::L))
    }

    /// The QR code of `text`, in byte mode at this level.
    ///
    /// # Errors
    /// [`QrError::TooLong`] if no QR code of this level holds the text.
    pub fn encode_at(text: &str, level: Level) -> Result<Self, QrError> {
        let layout = Layout::smallest(text.len(), level).ok_or(QrError::TooLong)?;
        let symbol = mask::best(&Symbol::new(&layout, &layout.codewords(text.as_bytes())));
        let (size, grid) = (symbol.size, &symbol.dark);
        let dark = (0..size).flat_map(|y| (0..size).map(move |x| grid.get(x, y))).collect();
        Ok(Self { size, dark })
    }

    /// Modules on each side, quiet zone not counted: 21 to 177.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether the module in column `x` and row `y`, counted from the upper left, is dark. Outside the symbol all is light.
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        x < self.size && y < self.size && self.dark.get(y * self.size + x).copied().unwrap_or(false)
    }

    /// Row by row from the upper left, `true` for dark; `size` times `size` of them.
    pub fn modules(&self) -> &[bool] {
        &self.dark
    }

    fn rows(&self) -> impl Iterator<Item = &[bool]> {
        self.dark.chunks_exact(self.size)
    }
}

// A QR code of a key URI holds its secret.
impl fmt::Debug for QrMatrix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("QrMatrix(redacted)")
    }
}

impl QrError {
    /// What programs branch on; it stays when the sentence changes.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "QR_TOO_LONG",
            Self::Level => "QR_LEVEL",
        }
    }
}

impl fmt::Display for QrError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooLong => "the text is too long for a QR code",
            Self::Level => "the level of a QR code is `L`, `M`, `Q` or `H`",
        })
    }
}

impl core::error::Error for QrError {}
