use hickory_proto::rr::Name;

use crate::SimulateError;

/// RFC 1035 §2.3.4, as wire octets without the root's.
const NAME_OCTETS_MAX: usize = 254;
const LABEL_OCTETS_MAX: usize = 63;

/// A name as its labels from the root down, lower-cased, each after its length: so the key of a name is the
/// beginning of the keys of all names below it. Built on the stack, for every question.
pub(super) struct Key {
    octets: [u8; NAME_OCTETS_MAX],
    len: usize,
}

impl Key {
    /// Names from the wire are within the limits already.
    pub(super) fn of(name: &Name) -> Self {
        Self::from_labels(name.iter().rev()).unwrap_or_else(Self::empty)
    }

    pub(super) fn of_text(name: &str) -> Result<Self, SimulateError> {
        let labels = name
            .strip_suffix('.')
            .unwrap_or(name)
            .split('.')
            .rev()
            .map(str::as_bytes);
        let key = if name.is_ascii() {
            Self::from_labels(labels)
        } else {
            None
        };
        key.ok_or(SimulateError::Name { octets: name.len() })
    }

    fn from_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut key = Self::empty();
        for label in labels {
            let length = u8::try_from(label.len()).ok()?;
            if label.is_empty() || label.len() > LABEL_OCTETS_MAX {
                return None;
            }
            let place = key.octets.get_mut(key.len..=key.len + label.len())?;
            let (first, rest) = place.split_first_mut()?;
            *first = length;
            rest.copy_from_slice(label);
            rest.make_ascii_lowercase();
            key.len += 1 + label.len();
        }
        Some(key)
    }

    fn empty() -> Self {
        Self {
            octets: [0; NAME_OCTETS_MAX],
            len: 0,
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}
