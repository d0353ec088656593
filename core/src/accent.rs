//! The shades of an app's accent colour that a page is drawn with. No colour is refused: where it cannot be read or seen on the page, a
//! darker or lighter shade of it stands in (WCAG 2.2, success criteria 1.4.3 for text and 1.4.11 for edges and focus rings).

use crate::colour::Colour;

/// The contrast that 1.4.3 asks of text.
pub const TEXT: f64 = 4.5;

/// The contrast that 1.4.11 asks of what shows where a control is.
pub const EDGE: f64 = 3.0;

/// How much of the accent is in a tint, in 255ths.
const TINT: u8 = 22;

/// How far a colour moves under the pointer, in 255ths.
const HOVER: u8 = 48;

/// What a page is drawn on, in its light or its dark colours.
#[derive(Clone, Copy, Debug)]
pub struct Scheme {
    /// The page itself.
    pub paper: Colour,
    /// Cards and fields on it.
    pub card: Colour,
}

/// An accent colour as a scheme can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shades {
    /// Buttons: the colour itself.
    pub fill: Colour,
    /// Buttons under the pointer.
    pub fill_strong: Colour,
    /// Text on both.
    pub on_fill: Colour,
    /// The edge of buttons: as good as the colour itself where that stands out from the page.
    pub edge: Colour,
    /// Links, and the ring around what has the focus; to be read on the page, its cards and the tint.
    pub text: Colour,
    /// Links under the pointer.
    pub text_strong: Colour,
    /// A breath of the colour behind text of the page.
    pub tint: Colour,
}

impl Shades {
    /// The shades of an accent colour on a scheme.
    pub fn of(accent: Colour, Scheme { paper, card }: Scheme) -> Self {
        // Shades go where text of the page goes: darker on light paper, lighter on dark.
        let end = paper.text();
        let on_fill = accent.text();
        let tint = card.mixed(accent, TINT);
        let text = accent.toward(end, TEXT, &[paper, card, tint]);
        Self {
            fill: accent,
            // Away from the text on it, which can only be read the better.
            fill_strong: accent.mixed(on_fill.text(), HOVER),
            on_fill,
            edge: accent.toward(end, EDGE, &[paper, card]),
            text,
            text_strong: text.mixed(end, HOVER),
            tint,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIGHT: Scheme = Scheme { paper: Colour::new(0xf5, 0xf3, 0xee), card: Colour::WHITE };
    const DARK: Scheme = Scheme { paper: Colour::new(0x11, 0x17, 0x15), card: Colour::new(0x1a, 0x23, 0x20) };

    fn check(accent: Colour) {
        for scheme in [LIGHT, DARK] {
            let shades = Shades::of(accent, scheme);
            for surface in [scheme.paper, scheme.card, shades.tint] {
                for text in [shades.text, shades.text_strong, scheme.paper.text()] {
                    assert!(text.contrast(surface) >= TEXT, "{text:?} on {surface:?}: {shades:?}");
                }
            }
            for surface in [scheme.paper, scheme.card] {
                assert!(shades.edge.contrast(surface) >= EDGE, "{surface:?}: {shades:?}");
            }
            for fill in [shades.fill, shades.fill_strong] {
                assert!(shades.on_fill.contrast(fill) >= TEXT, "{shades:?}");
            }
        }
    }

    #[test]
    fn the_worst_colours_can_be_read_and_seen() {
        for text in ["#ffff00", "#000000", "#ffffff", "#808080", "#f5f3ee", "#1a2320", "#0000ff", "#ff0000"] {
            check(Colour::parse(text).unwrap());
        }
    }

    #[test]
    fn a_colour_that_stands_out_is_used_as_it_is() {
        let pine = Colour::parse("#0e6450").unwrap();
        let shades = Shades::of(pine, LIGHT);
        assert_eq!((shades.fill, shades.edge, shades.text), (pine, pine, pine));
        assert_eq!(shades.on_fill, Colour::WHITE);
    }

    proptest! {
        #[test]
        fn every_colour_can_be_read_and_seen(red: u8, green: u8, blue: u8) {
            check(Colour::new(red, green, blue));
        }
    }
}
