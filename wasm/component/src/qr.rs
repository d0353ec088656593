//! The interface `qr`.

use sidekey_core::qr::{self, DEFAULT_SCALE, QrMatrix};

use crate::{
    Component,
    bindings::exports::sidekey::core::qr::{Guest, Level, Matrix, QrError},
};

impl Guest for Component {
    fn encode(text: String, level: Option<Level>) -> Result<Matrix, QrError> {
        let matrix = matrix(&text, level)?;
        // At most 177.
        let size = u32::try_from(matrix.size()).unwrap_or(u32::MAX);
        Ok(Matrix { size, modules: matrix.modules().to_vec() })
    }

    fn svg(text: String, level: Option<Level>, title: Option<String>) -> Result<String, QrError> {
        Ok(matrix(&text, level)?.to_svg(title.as_deref()))
    }

    fn png(text: String, level: Option<Level>, scale: Option<u32>) -> Result<Vec<u8>, QrError> {
        let scale = scale.map_or(DEFAULT_SCALE, |pixels| u8::try_from(pixels).unwrap_or(u8::MAX));
        Ok(matrix(&text, level)?.to_png(scale))
    }
}

fn matrix(text: &str, level: Option<Level>) -> Result<QrMatrix, QrError> {
    let level = match level {
        None => return QrMatrix::encode(text).map_err(Into::into),
        Some(Level::L) => qr::Level::L,
        Some(Level::M) => qr::Level::M,
        Some(Level::Q) => qr::Level::Q,
        Some(Level::H) => qr::Level::H,
    };
    Ok(QrMatrix::encode_at(text, level)?)
}

impl From<qr::QrError> for QrError {
    fn from(error: qr::QrError) -> Self {
        match error {
            // A level is a case here, and no name that could be wrong.
            qr::QrError::TooLong | qr::QrError::Level => Self::TooLong,
        }
    }
}
