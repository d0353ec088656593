//! As much of Protocol Buffers' wire format as an export needs (<https://protobuf.dev/programming-guides/encoding/>).

use super::MigrationError;

/// The fields of one message, front to back.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// What a field holds.
pub(super) enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire types 1 and 5, which no field read here has.
    Fixed,
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The number and the value of the next field, or `None` at the end. Groups (wire types 3 and 4) have been obsolete for
    /// longer than exports exist.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, MigrationError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| MigrationError::Payload)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(MigrationError::Payload),
        };
        match tag >> 3 {
            0 => Err(MigrationError::Payload),
            number => Ok(Some((number, value))),
        }
    }

    /// Seven bits a byte, lowest first; the highest bit says that another byte follows. At most 64 bits.
    fn varint(&mut self) -> Result<u64, MigrationError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(MigrationError::Payload)?;
            self.rest = rest;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(MigrationError::Payload)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], MigrationError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(MigrationError::Payload)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Value<'a> {
    pub(super) fn number(&self) -> Result<u64, MigrationError> {
        match self {
            Self::Varint(value) => Ok(*value),
            _ => Err(MigrationError::Payload),
        }
    }

    /// A number that is not negative, of an `int32`.
    pub(super) fn small(&self) -> Result<u32, MigrationError> {
        u32::try_from(self.number()?).map_err(|_| MigrationError::Payload)
    }

    /// An `int32`: negative ones are written as 64 bits, of which the lower half counts.
    pub(super) fn signed(&self) -> Result<i32, MigrationError> {
        let [a, b, c, d, ..] = self.number()?.to_le_bytes();
        Ok(i32::from_le_bytes([a, b, c, d]))
    }

    pub(super) fn bytes(&self) -> Result<&'a [u8], MigrationError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(MigrationError::Payload),
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, MigrationError> {
        core::str::from_utf8(self.bytes()?).map_err(|_| MigrationError::Payload)
    }
}
