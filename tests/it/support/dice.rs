//! Numbers that look random, and are the same in every run.

pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// One word or several, at most so many more than one.
    pub(crate) fn word(&mut self, more: usize, from: &[&str]) -> String {
        (0..=self.below(more)).map(|_| self.pick(from)).collect()
    }
}
