use chancery_pki::UnixTime;

/// Bounds the signatures of each second of the clock.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second_max: u32,
    second: UnixTime,
    used: u32,
}

impl Rate {
    pub(crate) fn new(per_second_max: u32) -> Self {
        Self {
            per_second_max,
            second: UnixTime(0),
            used: 0,
        }
    }

    /// The bound.
    pub(crate) fn per_second_max(&self) -> u32 {
        self.per_second_max
    }

    /// Counts one signature if this second has one left.
    pub(crate) fn take(&mut self, now: UnixTime) -> bool {
        if now != self.second {
            (self.second, self.used) = (now, 0);
        }
        let left = self.used < self.per_second_max;
        self.used = self.used.saturating_add(u32::from(left));
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_own_signatures() {
        let mut rate = Rate::new(2);
        let taken = |rate: &mut Rate, second| rate.take(UnixTime(second));
        assert_eq!(
            [
                taken(&mut rate, 1),
                taken(&mut rate, 1),
                taken(&mut rate, 1)
            ],
            [true, true, false]
        );
        assert_eq!(
            [
                taken(&mut rate, 2),
                taken(&mut rate, 2),
                taken(&mut rate, 2)
            ],
            [true, true, false]
        );
    }
}
