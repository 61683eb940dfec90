//! Protobuf wire format, read in place: fields of a message as slices of the body, nothing copied,
//! nothing allocated, every length checked against what is there.

/// Why bytes are not a message, in the words of Go's decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtoError {
    #[error("unexpected EOF")]
    Truncated,
    #[error("proto: integer overflow")]
    Overflow,
    #[error("proto: illegal wireType {0}")]
    WireType(u8),
    #[error("proto: wrong wireType = {wire} for field {field}")]
    WrongWireType { wire: u8, field: &'static str },
    #[error("proto: illegal tag 0")]
    ZeroTag,
    #[error("proto: string field contains invalid UTF-8")]
    Utf8,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Value<'a> {
    fn wire(self) -> u8 {
        match self {
            Value::Varint(_) => 0,
            Value::Fixed64(_) => 1,
            Value::Bytes(_) => 2,
            Value::Fixed32(_) => 5,
        }
    }

    fn wrong<T>(self, field: &'static str) -> Result<T, ProtoError> {
        Err(ProtoError::WrongWireType { wire: self.wire(), field })
    }

    /// A message, a string or packed numbers.
    pub fn bytes(self, field: &'static str) -> Result<&'a [u8], ProtoError> {
        if let Value::Bytes(bytes) = self { Ok(bytes) } else { self.wrong(field) }
    }

    /// A string.
    pub fn text(self, field: &'static str) -> Result<&'a str, ProtoError> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| ProtoError::Utf8)
    }

    /// An integer of any unsigned or two's complement type.
    pub fn varint(self, field: &'static str) -> Result<u64, ProtoError> {
        if let Value::Varint(v) = self { Ok(v) } else { self.wrong(field) }
    }

    /// A zigzag integer.
    pub fn zigzag(self, field: &'static str) -> Result<i64, ProtoError> {
        self.varint(field).map(unzigzag)
    }

    /// A double.
    pub fn double(self, field: &'static str) -> Result<f64, ProtoError> {
        if let Value::Fixed64(bits) = self { Ok(f64::from_bits(bits)) } else { self.wrong(field) }
    }
}

/// Undoes zigzag.
pub fn unzigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}

/// Reads the fields of one message in order.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of a whole message.
    pub fn new(message: &'a [u8]) -> Reader<'a> {
        Reader { rest: message }
    }

    /// Bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field: number and value; `None` at the end.
    #[inline]
    pub fn field(&mut self) -> Result<Option<(u32, Value<'a>)>, ProtoError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| ProtoError::Overflow)?;
        if number == 0 {
            return Err(ProtoError::ZeroTag);
        }
        let value = match (tag & 7) as u8 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| ProtoError::Truncated)?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            wire => return Err(ProtoError::WireType(wire)),
        };
        Ok(Some((number, value)))
    }

    /// The next varint of a packed list.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, ProtoError> {
        match self.rest {
            [first, rest @ ..] if *first < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*first))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, ProtoError> {
        let mut value = 0u64;
        for (i, byte) in self.rest.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if i == 9 && bits > 1 {
                return Err(ProtoError::Overflow);
            }
            value |= bits << (7 * i);
            if *byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { ProtoError::Truncated } else { ProtoError::Overflow })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtoError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(ProtoError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtoError> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(ProtoError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }
}

/// Appends repeated doubles, packed or one by one.
pub fn push_doubles(
    out: &mut Vec<f64>,
    value: Value<'_>,
    field: &'static str,
) -> Result<(), ProtoError> {
    match value {
        Value::Fixed64(bits) => out.push(f64::from_bits(bits)),
        _ => {
            let packed = value.bytes(field)?;
            let (chunks, rest) = packed.as_chunks::<8>();
            if !rest.is_empty() {
                return Err(ProtoError::Truncated);
            }
            out.extend(chunks.iter().map(|c| f64::from_le_bytes(*c)));
        }
    }
    Ok(())
}

/// Appends repeated zigzag integers, packed or one by one.
pub fn push_zigzags(
    out: &mut Vec<i64>,
    value: Value<'_>,
    field: &'static str,
) -> Result<(), ProtoError> {
    match value {
        Value::Varint(v) => out.push(unzigzag(v)),
        _ => {
            let mut reader = Reader::new(value.bytes(field)?);
            while !reader.rest().is_empty() {
                out.push(unzigzag(reader.varint()?));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, ProtoError> {
        let mut reader = Reader::new(bytes);
        let mut out = Vec::new();
        while let Some(field) = reader.field()? {
            out.push(field);
        }
        Ok(out)
    }

    #[test]
    fn fields() {
        assert_eq!(
            all(b"\x08\x96\x01\x12\x02hi\x19\0\0\0\0\0\0\xf0\x3f\x25\x01\0\0\0"),
            Ok(vec![
                (1, Value::Varint(150)),
                (2, Value::Bytes(b"hi")),
                (3, Value::Fixed64(1.0f64.to_bits())),
                (4, Value::Fixed32(1)),
            ])
        );
        for (bytes, error) in [
            (b"\x08".as_slice(), ProtoError::Truncated),
            (b"\x12\x05hi", ProtoError::Truncated),
            (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", ProtoError::Truncated),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", ProtoError::Overflow),
            (b"\x0b", ProtoError::WireType(3)),
            (b"\x00", ProtoError::ZeroTag),
        ] {
            assert_eq!(all(bytes), Err(error));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(&bytes);
        }

        #[test]
        fn zigzag_undone(v in any::<i64>()) {
            prop_assert_eq!(unzigzag(((v << 1) ^ (v >> 63)) as u64), v);
        }
    }
}
