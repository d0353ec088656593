//! Colours of the sRGB space, and whether text can be read on them (WCAG 2.2, contrast ratio and success criterion 1.4.3).

use core::fmt;

/// A colour, written `#rrggbb`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "String", into = "String")
)]
pub struct Colour([u8; 3]);

/// A text that is no colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidColour;

impl fmt::Display for InvalidColour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("must be a colour written #rrggbb, such as #0e6450")
    }
}

impl core::error::Error for InvalidColour {}

impl Colour {
    /// `#ffffff`.
    pub const WHITE: Self = Self([0xff; 3]);
    /// `#000000`.
    pub const BLACK: Self = Self([0; 3]);

    /// The colour with these amounts of red, green and blue.
    pub const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self([red, green, blue])
    }

    /// Reads `#rrggbb`, in either case.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidColour> {
        let digits = text.strip_prefix('#').ok_or(InvalidColour)?.as_bytes();
        let decoded = data_encoding::HEXLOWER_PERMISSIVE.decode(digits).map_err(|_| InvalidColour)?;
        decoded.try_into().map(Self).map_err(|_| InvalidColour)
    }

    /// How much two colours differ in luminance: from 1, not at all, to 21, black on white.
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// White or black, whichever is read better on this colour. One of them always has the contrast of 4.5 that 1.4.3 asks of text:
    /// where white has less, black has more than 4.6.
    #[must_use]
    pub fn text(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::BLACK) { Self::WHITE } else { Self::BLACK }
    }

    /// A mixture with this many 255ths of another colour.
    #[must_use]
    pub fn mixed(self, other: Self, part: u8) -> Self {
        let mix = |own: u8, other: u8| {
            let sum = u16::from(own) * u16::from(u8::MAX - part) + u16::from(other) * u16::from(part);
            u8::try_from((sum + 127) / u16::from(u8::MAX)).unwrap_or(u8::MAX)
        };
        let ([red, green, blue], [to_red, to_green, to_blue]) = (self.0, other.0);
        Self([mix(red, to_red), mix(green, to_green), mix(blue, to_blue)])
    }

    /// The first colour on the way to another that has at least this contrast to every surface; that other one, if none has.
    #[must_use]
    pub fn toward(self, end: Self, contrast: f64, surfaces: &[Self]) -> Self {
        let shades = (0..u8::MAX).map(|part| self.mixed(end, part));
        let mut legible =
            shades.filter(|shade| surfaces.iter().all(|surface| shade.contrast(*surface) >= contrast));
        legible.next().unwrap_or(end)
    }

    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|channel| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl TryFrom<String> for Colour {
    type Error = InvalidColour;

    fn try_from(text: String) -> Result<Self, InvalidColour> {
        Self::parse(&text)
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        colour.to_string()
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(formatter, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl fmt::Debug for Colour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Colour({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_has_six_digits() {
        assert_eq!(Colour::parse("#0E6450").unwrap().to_string(), "#0e6450");
        for bad in ["", "#", "0e6450", "#fff", "#0e64500", "#0g6450", "red", "#0e645", "#é6450"] {
            assert_eq!(Colour::parse(bad), Err(InvalidColour), "{bad}");
        }
    }

    #[test]
    fn contrast_is_that_of_the_specification() {
        assert!((Colour::BLACK.contrast(Colour::WHITE) - 21.0).abs() < 1e-9);
        assert!((Colour::WHITE.contrast(Colour::WHITE) - 1.0).abs() < 1e-9);
        // The grey that is known as the lightest one that passes on white.
        let grey = |digits| Colour::parse(digits).unwrap().contrast(Colour::WHITE);
        assert!(grey("#767676") >= 4.5 && grey("#777777") < 4.5);
    }

    #[test]
    fn mixtures_go_from_one_colour_to_the_other() {
        let (grey, one) = (Colour::new(128, 128, 128), Colour::new(10, 200, 30));
        assert_eq!((one.mixed(grey, 0), one.mixed(grey, 255)), (one, grey));
        assert_eq!(Colour::BLACK.mixed(Colour::WHITE, 128), grey);
        assert_eq!(grey.toward(Colour::BLACK, 1.0, &[Colour::WHITE]), grey);
        assert_eq!(grey.toward(Colour::WHITE, 5.0, &[Colour::WHITE]), Colour::WHITE, "none has it");
        let shade = grey.toward(Colour::BLACK, 7.0, &[Colour::WHITE]).contrast(Colour::WHITE);
        assert!((7.0..7.2).contains(&shade), "{shade}");
    }

    #[test]
    fn text_can_be_read_on_every_colour() {
        let steps = || (0..=255_u8).step_by(15);
        for red in steps() {
            for green in steps() {
                for blue in steps() {
                    let colour = Colour([red, green, blue]);
                    assert!(colour.contrast(colour.text()) >= 4.5, "{colour}");
                }
            }
        }
    }
}
