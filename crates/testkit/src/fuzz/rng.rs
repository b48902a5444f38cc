/// A small generator for mutation (splitmix64): quick, repeatable, and nothing more.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        // The bias of a remainder does not matter here.
        usize::try_from(self.next() % bound).unwrap_or_default()
    }

    /// True once in `times`.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn octet(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// A stretch inside a sequence of `len`, perhaps empty.
    pub(super) fn stretch(&mut self, len: usize, longest: usize) -> std::ops::Range<usize> {
        let from = self.below(len + 1);
        let length = self.below((len - from).min(longest) + 1);
        from..from + length
    }
}
