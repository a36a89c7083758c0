//! The wire format: numbered fields, each a number, eight or four bytes, or a length and that many bytes.

use super::DecodeError;

/// What stands in a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Payload<'a> {
    Varint(u64),
    Fixed(f64),
    Bytes(&'a [u8]),
}

impl<'a> Payload<'a> {
    fn mismatch(self, number: u64) -> DecodeError {
        let wire = match self {
            Self::Varint(_) => 0,
            Self::Fixed(_) => 1,
            Self::Bytes(_) => 2,
        };
        DecodeError::WireType { wire, number }
    }

    pub(super) fn bytes(self, number: u64) -> Result<&'a [u8], DecodeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(other.mismatch(number)),
        }
    }

    pub(super) fn text(self, number: u64) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(number)?).map_err(DecodeError::Text)
    }

    /// Negative numbers are written as their two's complement.
    pub(super) fn integer(self, number: u64) -> Result<i64, DecodeError> {
        match self {
            Self::Varint(value) => Ok(value.cast_signed()),
            other => Err(other.mismatch(number)),
        }
    }

    pub(super) fn double(self, number: u64) -> Result<f64, DecodeError> {
        match self {
            Self::Fixed(value) => Ok(value),
            Self::Varint(0) => Ok(0.0),
            other => Err(other.mismatch(number)),
        }
    }
}

/// Reads field by field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next field's number and what stands in it; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Payload<'a>)>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = tag >> 3;
        let payload = match tag & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => {
                let (bytes, rest) = self.0.split_first_chunk().ok_or(DecodeError::Truncated)?;
                self.0 = rest;
                Payload::Fixed(f64::from_le_bytes(*bytes))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| DecodeError::Truncated)?;
                let (bytes, rest) = self
                    .0
                    .split_at_checked(length)
                    .ok_or(DecodeError::Truncated)?;
                self.0 = rest;
                Payload::Bytes(bytes)
            }
            wire => return Err(DecodeError::WireType { wire, number }),
        };
        Ok(Some((number, payload)))
    }

    /// The next of numbers that stand one behind the other; `None` at the end.
    pub(super) fn packed(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        self.varint().map(Some)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(DecodeError::Truncated)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Truncated)
    }
}

/// Writes field by field.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn varint(&mut self, number: u64, value: u64) {
        self.number(number << 3);
        self.number(value);
    }

    pub(super) fn double(&mut self, number: u64, value: f64) {
        self.number(number << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, number: u64, value: &[u8]) {
        self.number(number << 3 | 2);
        // A length in memory fits.
        self.number(u64::try_from(value.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(value);
    }

    pub(super) fn message(&mut self, number: u64, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(number, &inner.0);
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap_or(0));
    }
}
