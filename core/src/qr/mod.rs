//! QR codes (ISO/IEC 18004) of key URIs: modules, SVG and, with the `png` feature, PNG.
//!
//! The text is encoded in byte mode at the smallest version that holds it. Level M repairs 15 % of the symbol, which a screen
//! with reflections or a folded print needs; only a text too long for it falls back to level L.

mod svg;

#[cfg(feature = "png")]
mod png;
#[cfg(test)]
mod tests;

use core::fmt;

use qrcode::{
    EcLevel, QrCode,
    bits::Bits,
    types::{Color, Mode, Version},
};

#[cfg(feature = "png")]
pub use self::png::DEFAULT_SCALE;

/// The light border that a reader needs around the symbol, in modules (ISO/IEC 18004 §5.3.8).
pub const QUIET_ZONE: usize = 4;

const LARGEST_VERSION: i16 = 40;

/// The modules of one QR code, without its quiet zone.
#[derive(Clone, PartialEq, Eq)]
pub struct QrMatrix {
    size: usize,
    dark: Vec<bool>,
}

/// Why there is no QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QrError {
    /// More than 2,953 bytes: too long for version 40 at level L.
    TooLong,
    /// The image could not be written.
    Image,
}

impl QrMatrix {
    /// The QR code of `text`, in byte mode at level M, or at level L where M cannot hold it.
    ///
    /// # Errors
    /// [`QrError::TooLong`] if no QR code holds the text.
    pub fn encode(text: &str) -> Result<Self, QrError> {
        let code =
            byte_mode(text.as_bytes(), EcLevel::M).or_else(|_| byte_mode(text.as_bytes(), EcLevel::L))?;
        let size = code.width();
        Ok(Self { size, dark: code.into_colors().into_iter().map(|color| color == Color::Dark).collect() })
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

impl fmt::Display for QrError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooLong => "the text is too long for a QR code",
            Self::Image => "the image of the QR code could not be written",
        })
    }
}

impl core::error::Error for QrError {}

fn byte_mode(data: &[u8], level: EcLevel) -> Result<QrCode, QrError> {
    let version = smallest_version(data.len(), level).ok_or(QrError::TooLong)?;
    let mut bits = Bits::new(version);
    bits.push_byte_data(data)
        .and_then(|()| bits.push_terminator(level))
        .and_then(|()| QrCode::with_bits(bits, level))
        .map_err(|_| QrError::TooLong)
}

fn smallest_version(bytes: usize, level: EcLevel) -> Option<Version> {
    // Data that no version holds is not worth the arithmetic, which it could overflow.
    if bytes > usize::from(u16::MAX) {
        return None;
    }
    (1..=LARGEST_VERSION).map(Version::Normal).find(|version| {
        let header = version.mode_bits_count() + Mode::Byte.length_bits_count(*version);
        Bits::new(*version).max_len(level).is_ok_and(|capacity| header + 8 * bytes <= capacity)
    })
}
