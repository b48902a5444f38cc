use crate::der::{DerError, Reader, Writer, tag};

/// basicConstraints (RFC 5280 §4.2.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BasicConstraints {
    /// Whether the key may sign certificates.
    pub(crate) ca: bool,
    /// How many CA certificates may follow on a path, the self-issued ones not counted.
    pub(crate) path_len: Option<u8>,
}

impl BasicConstraints {
    /// Reads the value of the extension. A path length is for CAs only.
    pub(crate) fn read(value: &[u8]) -> Result<Self, DerError> {
        let mut inner = Reader::only(value, tag::SEQUENCE)?;
        let ca = inner.default_false()?;
        let path_len = match inner.peek_tag() {
            None => None,
            Some(_) if ca => {
                let number = inner.integer_u64()?;
                Some(u8::try_from(number).map_err(|_| DerError("pathLenConstraint is above 255"))?)
            }
            Some(_) => {
                return Err(DerError(
                    "basicConstraints says more, and the subject is no CA",
                ));
            }
        };
        inner.finish()?;
        Ok(Self { ca, path_len })
    }

    /// Writes the value of the extension; for a leaf an empty SEQUENCE.
    pub(crate) fn write(self, w: &mut Writer) {
        w.sequence(|w| {
            if self.ca {
                w.boolean(true);
                if let Some(path_len) = self.path_len {
                    w.integer_u64(path_len.into());
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &[u8], expected: Option<(bool, Option<u8>)>) {
        let read = BasicConstraints::read(value).ok();
        assert_eq!(read.map(|c| (c.ca, c.path_len)), expected, "{value:02x?}");
        if let Some(constraints) = read {
            let mut w = Writer::new();
            constraints.write(&mut w);
            assert_eq!(w.finish(), value, "there is one way to write it");
        }
    }

    #[test]
    fn a_leaf_is_an_empty_sequence_and_only_a_ca_has_a_path_length() {
        check(&[0x30, 0], Some((false, None)));
        check(&[0x30, 3, 1, 1, 0xff], Some((true, None)));
        check(&[0x30, 6, 1, 1, 0xff, 2, 1, 0], Some((true, Some(0))));
        check(
            &[0x30, 7, 1, 1, 0xff, 2, 2, 0, 255],
            Some((true, Some(255))),
        );
        check(&[0x30, 7, 1, 1, 0xff, 2, 2, 1, 0], None);
        check(&[0x30, 6, 1, 1, 0xff, 2, 1, 0xff], None);
        check(&[0x30, 3, 2, 1, 0], None);
        check(&[0x30, 3, 1, 1, 0], None);
        check(&[0x30, 0, 0], None);
    }
}
