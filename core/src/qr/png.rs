//! The QR code as PNG: one bit a pixel, grey scale.

use png::{BitDepth, ColorType, Compression, Encoder, Filter};

use super::{QUIET_ZONE, QrError, QrMatrix};

/// Pixels of a module's side where nobody asks for another scale: sharp on dense screens, and some 2 KB for a key URI.
pub const DEFAULT_SCALE: u8 = 8;
/// Beyond this an image is only large: version 40 would take 5,920 pixels a side.
const MAX_SCALE: u8 = 32;

impl QrMatrix {
    /// A PNG of the symbol with its quiet zone, black on white. `scale` is the side of a module in pixels and is brought
    /// into 1 to 32.
    ///
    /// # Errors
    /// [`QrError::Image`] if the encoder fails, which writing to memory gives no reason for.
    pub fn to_png(&self, scale: u8) -> Result<Vec<u8>, QrError> {
        let scale = usize::from(scale.clamp(1, MAX_SCALE));
        let pixels = (self.size() + 2 * QUIET_ZONE) * scale;
        let side = u32::try_from(pixels).map_err(|_| QrError::Image)?;

        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, side, side);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::One);
        encoder.set_compression(Compression::Balanced);
        // A row mostly repeats the one above it: their difference is nothing but zeros.
        encoder.set_filter(Filter::Up);
        let mut writer = encoder.write_header().map_err(|_| QrError::Image)?;
        writer.write_image_data(&self.bitmap(scale, pixels)).map_err(|_| QrError::Image)?;
        writer.finish().map_err(|_| QrError::Image)?;
        Ok(file)
    }

    /// The rows of the image, each packed into whole bytes from the highest bit on, a set bit being white.
    fn bitmap(&self, scale: usize, pixels: usize) -> Vec<u8> {
        let stride = pixels.div_ceil(8);
        let white = vec![0xff; stride];
        let mut bitmap = Vec::with_capacity(stride * pixels);
        let border = QUIET_ZONE * scale;
        bitmap.extend(white.iter().cycle().take(stride * border));
        for row in self.rows() {
            let mut line = white.clone();
            let dark = row.iter().enumerate().filter_map(|(x, dark)| dark.then_some(border + x * scale));
            for x in dark.flat_map(|left| left..left + scale) {
                if let Some(byte) = line.get_mut(x / 8) {
                    *byte &= !(0x80 >> (x % 8));
                }
            }
            for _ in 0..scale {
                bitmap.extend_from_slice(&line);
            }
        }
        bitmap.extend(white.iter().cycle().take(stride * border));
        bitmap
    }
}
