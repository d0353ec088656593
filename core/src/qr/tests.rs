use std::collections::BTreeMap;

use proptest::prelude::*;
use qrcode::{
    EcLevel, QrCode,
    bits::Bits,
    types::{Color, Version},
};

use super::*;

const URI: &str = "otpauth://totp/Example:alice@google.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example\
                   &algorithm=SHA1&digits=6&period=30";

#[test]
fn a_key_uri_takes_a_symbol_with_finders_in_three_corners() {
    let matrix = QrMatrix::encode(URI).unwrap();
    assert_eq!(matrix.size(), 49, "version 8 holds 152 bytes at level M");
    let finder = |left: usize, top: usize| {
        (0..7).all(|i| matrix.is_dark(left + i, top) && matrix.is_dark(left, top + i))
            && !matrix.is_dark(left + 1, top + 1)
            && matrix.is_dark(left + 3, top + 3)
    };
    assert!(finder(0, 0) && finder(42, 0) && finder(0, 42) && !finder(42, 42));
}

#[test]
fn outside_the_symbol_all_is_light() {
    let matrix = QrMatrix::encode("a").unwrap();
    assert_eq!(matrix.size(), 21);
    assert!(matrix.is_dark(20, 0));
    assert!(!matrix.is_dark(21, 0) && !matrix.is_dark(0, 21) && !matrix.is_dark(usize::MAX, 0));
}

#[test]
fn each_version_is_filled_before_the_next_one_is_taken() {
    // Capacities in bytes at level M: ISO/IEC 18004 table 7.
    for (bytes, version) in [(14, 1), (15, 2), (122, 7), (123, 8), (180, 9), (181, 10), (213, 10), (214, 11)]
    {
        let size = QrMatrix::encode(&"a".repeat(bytes)).unwrap().size();
        assert_eq!(size, 17 + 4 * version, "{bytes} bytes");
    }
}

#[test]
fn level_l_holds_what_level_m_cannot() {
    assert_eq!(QrMatrix::encode(&"a".repeat(2_331)).unwrap().size(), 177);
    // 2,332 bytes need version 40 at level M and would not fit; level L takes them at version 36.
    assert_eq!(QrMatrix::encode(&"a".repeat(2_332)).unwrap().size(), 17 + 4 * 36);
    assert_eq!(QrMatrix::encode(&"a".repeat(2_953)).unwrap().size(), 177);
    for bytes in [2_954, 65_535, 65_536, 1 << 20] {
        assert_eq!(QrMatrix::encode(&"a".repeat(bytes)), Err(QrError::TooLong), "{bytes} bytes");
    }
}

#[test]
fn the_svg_draws_exactly_the_dark_modules() {
    let matrix = QrMatrix::encode(URI).unwrap();
    let svg = matrix.to_svg(None);
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 57 57\""));
    assert_eq!(svg.matches("<path").count(), 1);

    let data = svg.split(" d=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut drawn = vec![false; matrix.modules().len()];
    for run in data.split_terminator('z') {
        let (start, shape) = run.strip_prefix('M').unwrap().split_once('h').unwrap();
        let (x, y) = start.split_once(' ').unwrap();
        let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
        let (width, rest) = shape.split_once('v').unwrap();
        assert_eq!(rest, format!("1h-{width}"));
        for step in 0..width.parse::<usize>().unwrap() {
            drawn[(y - QUIET_ZONE) * matrix.size() + x - QUIET_ZONE + step] = true;
        }
    }
    assert_eq!(drawn, matrix.modules());
}

#[test]
fn debug_shows_nothing_of_it() {
    assert_eq!(format!("{:?}", QrMatrix::encode(URI)), "Ok(QrMatrix(redacted))");
}

fn decoded(file: &[u8]) -> (u32, Vec<u8>) {
    let mut reader = ::png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    assert_eq!(reader.info().bit_depth, ::png::BitDepth::One);
    assert_eq!(reader.info().color_type, ::png::ColorType::Grayscale);
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(frame.width, frame.height);
    (frame.width, pixels)
}

#[test]
fn the_png_shows_the_modules_within_their_quiet_zone() {
    let matrix = QrMatrix::encode(URI).unwrap();
    for scale in [1, 3, DEFAULT_SCALE] {
        let (side, pixels) = decoded(&matrix.to_png(scale));
        let (side, scale) = (side as usize, usize::from(scale));
        assert_eq!(side, 57 * scale);
        for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
            let white = pixels[y * side.div_ceil(8) + x / 8] & (0x80 >> (x % 8)) != 0;
            let module = |pixel: usize| (pixel / scale).wrapping_sub(QUIET_ZONE);
            assert_eq!(white, !matrix.is_dark(module(x), module(y)), "pixel {x}, {y} at scale {scale}");
        }
    }
}

#[test]
fn the_png_of_a_key_uri_stays_small_at_any_scale() {
    let matrix = QrMatrix::encode(URI).unwrap();
    assert!(matrix.to_png(DEFAULT_SCALE).len() < 5_000);
    assert_eq!(decoded(&matrix.to_png(0)).0, 57);
    assert_eq!(decoded(&matrix.to_png(255)).0, 57 * 32);
}

#[test]
fn a_title_is_text_and_never_markup() {
    let svg = QrMatrix::encode("a").unwrap().to_svg(Some("Key of <Ann> & \u{7}Bob"));
    assert!(svg.contains(" role=\"img\"><title>Key of &lt;Ann&gt; &amp; Bob</title><rect"), "{svg}");
}

#[test]
fn a_level_is_kept_or_refused() {
    // ISO/IEC 18004 table 7, version 40.
    for (name, capacity) in [("L", 2_953), ("M", 2_331), ("Q", 1_663), ("H", 1_273)] {
        let level = Level::named(name).unwrap();
        assert_eq!(QrMatrix::encode_at(&"a".repeat(capacity), level).unwrap().size(), 177, "{name}");
        assert_eq!(QrMatrix::encode_at(&"a".repeat(capacity + 1), level), Err(QrError::TooLong), "{name}");
    }
    assert_eq!(Level::named("m"), Err(QrError::Level));
}

/// The same by a library: the smallest version in byte mode.
fn by_library(text: &str, level: Level) -> Option<Vec<bool>> {
    let bits = (1..=40).find_map(|version| library_bits(text, version, level))?;
    let colors = QrCode::with_bits(bits, of_library(level)).ok()?.into_colors();
    Some(colors.into_iter().map(|color| color == Color::Dark).collect())
}

fn library_bits(text: &str, version: usize, level: Level) -> Option<Bits> {
    let mut bits = Bits::new(Version::Normal(i16::try_from(version).unwrap()));
    bits.push_byte_data(text.as_bytes()).ok()?;
    bits.push_terminator(of_library(level)).ok()?;
    Some(bits)
}

fn of_library(level: Level) -> EcLevel {
    match level {
        Level::L => EcLevel::L,
        Level::M => EcLevel::M,
        Level::Q => EcLevel::Q,
        Level::H => EcLevel::H,
    }
}

#[test]
fn every_version_of_every_level_has_the_librarys_codewords() {
    let text = "key".repeat(1_000);
    for level in [Level::L, Level::M, Level::Q, Level::H] {
        let versions: BTreeMap<usize, usize> = (0..text.len())
            .filter_map(|bytes| Some((Layout::smallest(bytes, level)?.version, bytes)))
            .collect();
        assert_eq!(versions.len(), 40, "{level:?}");
        for (version, bytes) in versions {
            // The most that the version holds.
            let codewords = Layout::smallest(bytes, level).unwrap().codewords(&text.as_bytes()[..bytes]);
            let bits = library_bits(&text[..bytes], version, level).unwrap();
            let library_version = Version::Normal(i16::try_from(version).unwrap());
            let (data, correction) =
                qrcode::ec::construct_codewords(&bits.into_bytes(), library_version, of_library(level))
                    .unwrap();
            assert_eq!(codewords, [data, correction].concat(), "{level:?} {version}");
            assert!(library_bits(&text[..=bytes], version, level).is_none(), "{level:?} {version}");
        }
    }
}

#[test]
fn symbols_of_all_sizes_are_the_librarys() {
    let text = "key".repeat(1_000);
    for (version, level) in [
        (1, Level::L),
        (2, Level::Q),
        (6, Level::H),
        (7, Level::M),
        (14, Level::L),
        (21, Level::Q),
        (32, Level::H),
        (40, Level::M),
    ] {
        let bytes = (0..text.len())
            .rfind(|bytes| Layout::smallest(*bytes, level).is_some_and(|layout| layout.version == version))
            .unwrap();
        let matrix = QrMatrix::encode_at(&text[..bytes], level).unwrap();
        assert_eq!(matrix.size(), 17 + 4 * version);
        assert!(Some(matrix.dark) == by_library(&text[..bytes], level), "{level:?} {version}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_text_gives_a_symbol_or_is_too_long(text in "\\PC{0,400}") {
        let matrix = QrMatrix::encode(&text).unwrap();
        prop_assert_eq!(matrix.modules().len(), matrix.size() * matrix.size());
        prop_assert!(matrix.is_dark(0, 0));
    }

    #[test]
    fn any_text_gives_the_librarys_symbol(text in "\\PC{0,300}", level in 0..4_usize) {
        let level = [Level::L, Level::M, Level::Q, Level::H][level];
        let matrix = QrMatrix::encode_at(&text, level);
        prop_assert_eq!(matrix.ok().map(|matrix| matrix.dark), by_library(&text, level));
    }
}
