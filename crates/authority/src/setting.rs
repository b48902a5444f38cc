//! Values of the installation that are made once or move forward only.

use minicbor::{Decode, Encode};

use crate::change::{Change, Expect, Record};
use chancery_pki::UnixTime;

/// A named value.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Setting {
    /// Which one.
    #[n(0)]
    pub name: SettingName,
    /// Counts its writes.
    #[n(1)]
    pub version: u32,
    /// Its bytes; what they mean follows from the name.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub value: Vec<u8>,
}

/// The closed set of settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum SettingName {
    /// 16 octets: the key of the numbers in URLs.
    #[n(0)]
    UrlKey,
    /// 8 octets big-endian: every journal entry up to this sequence is reflected in the store.
    #[n(1)]
    JournalMark,
}

impl Setting {
    /// The key of the numbers in URLs.
    #[must_use]
    pub fn url_key(key: [u8; 16]) -> Self {
        Self {
            name: SettingName::UrlKey,
            version: 1,
            value: key.to_vec(),
        }
    }

    /// Moves the journal mark forward from `current` (if it was ever set).
    #[must_use]
    pub fn journal_mark(now: UnixTime, current: Option<&Self>, sequence: u64) -> Change {
        let (version, expect) = match current {
            None => (1, Expect::Absent),
            Some(mark) => (mark.version + 1, Expect::Version(mark.version)),
        };
        let value = sequence.to_be_bytes().to_vec();
        let mark = Self {
            name: SettingName::JournalMark,
            version,
            value,
        };
        Change::journal_reconciled(now, expect, mark)
    }

    /// The value as a number, for settings that are one.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.value
            .as_slice()
            .try_into()
            .ok()
            .map(u64::from_be_bytes)
    }
}

impl From<Setting> for Record {
    fn from(setting: Setting) -> Self {
        Self::Setting(setting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn the_journal_mark_moves_by_version() {
        let now = UnixTime(1);
        let first = Setting::journal_mark(now, None, 7);
        let [write] = first.writes() else {
            panic!("{first:?}")
        };
        assert_eq!(write.expect, Expect::Absent);
        let Record::Setting(mark) = &write.record else {
            panic!("{write:?}")
        };
        assert_eq!((mark.version, mark.number()), (1, Some(7)));
        let second = Setting::journal_mark(now, Some(mark), 9);
        assert_eq!(second.writes()[0].expect, Expect::Version(1));
        assert_eq!(Setting::url_key([0; 16]).number(), None);
    }
}
