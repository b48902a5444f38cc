use std::collections::BTreeSet;

use chancery_pki::Serial;

/// How many serial numbers are remembered: a minute of the highest load, 3 MB.
const REMEMBERED_MAX: usize = 65_536;

/// Proves that a serial number was never used, in bounded memory.
///
/// Serial numbers ascend with time, so it is enough to remember the highest ones: a number is new if it is not among
/// them and above all that were forgotten. One that is neither remembered nor above is refused, and its order takes a new one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Serials {
    remembered: BTreeSet<Serial>,
    /// Every forgotten number is at most this.
    floor: Option<Serial>,
}

/// What is known of a serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SerialUse {
    New,
    Used,
    /// Below what is remembered: it may have been used or not.
    Unknown,
}

impl Serials {
    /// Forgets everything up to `floor`.
    pub(crate) fn above(floor: Option<Serial>) -> Self {
        Self {
            remembered: BTreeSet::new(),
            floor,
        }
    }

    pub(crate) fn look_up(&self, serial: &Serial) -> SerialUse {
        if self.remembered.contains(serial) {
            SerialUse::Used
        } else if self.floor.is_some_and(|floor| *serial <= floor) {
            SerialUse::Unknown
        } else {
            SerialUse::New
        }
    }

    pub(crate) fn insert(&mut self, serial: Serial) {
        self.remembered.insert(serial);
        if self.remembered.len() > REMEMBERED_MAX {
            self.floor = self.remembered.pop_first().max(self.floor);
        }
    }

    /// The highest number used.
    pub(crate) fn highest(&self) -> Option<Serial> {
        self.remembered.last().copied().max(self.floor)
    }
}

#[cfg(test)]
mod tests {
    use chancery_pki::UnixTime;
    use proptest::prelude::*;

    use super::*;

    fn serial(second: i64, chance: u8) -> Serial {
        Serial::new(UnixTime(1_770_000_000 + second), [chance; 16])
    }

    #[test]
    fn a7_a_serial_is_never_taken_twice_even_after_it_was_forgotten() {
        let mut serials = Serials::default();
        let many = i64::try_from(REMEMBERED_MAX).expect("small") + 10;
        for second in 0..many {
            assert_eq!(serials.look_up(&serial(second, 1)), SerialUse::New);
            serials.insert(serial(second, 1));
        }
        assert_eq!(serials.look_up(&serial(many - 1, 1)), SerialUse::Used);
        assert_eq!(serials.look_up(&serial(0, 1)), SerialUse::Unknown);
        assert_eq!(serials.look_up(&serial(5, 2)), SerialUse::Unknown);
        assert_eq!(serials.look_up(&serial(many - 5, 2)), SerialUse::New);
        assert_eq!(serials.highest(), Some(serial(many - 1, 1)));
    }

    proptest! {
        #[test]
        fn a7_what_was_inserted_is_never_new_also_after_a_restart(
            seconds in prop::collection::vec(0_i64..50, 1..60), restart_at in 0_usize..60,
        ) {
            let mut serials = Serials::default();
            for (n, second) in seconds.iter().enumerate() {
                if n == restart_at {
                    serials = Serials::above(serials.highest());
                }
                serials.insert(serial(*second, 1));
                for earlier in seconds.iter().take(n + 1) {
                    prop_assert_ne!(serials.look_up(&serial(*earlier, 1)), SerialUse::New);
                }
            }
        }
    }
}
