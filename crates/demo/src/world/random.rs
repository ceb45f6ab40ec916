//! Pseudo-random numbers that are the same on every machine: integers only.

/// SplitMix64 (Steele, Lea, Flood 2014): one multiplication chain a number, any seed is good.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// A stream of its own for each list of keys (seed, class, number, purpose).
    #[must_use]
    pub fn of(keys: &[u64]) -> Self {
        let state = keys.iter().fold(0, |state, &key| mix(state ^ mix(key)));
        Self(state)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: i32, high: i32) -> i32 {
        let span = u64::from(high.abs_diff(low)) + 1;
        // The high half of the product is below the span; its bias is under 2^-32.
        low + (((self.next() >> 32) * span) >> 32) as i32
    }

    /// True in `percent` of 100 calls.
    pub fn chance(&mut self, percent: u8) -> bool {
        self.between(1, 100) <= i32::from(percent)
    }

    /// One of `items`.
    pub fn pick<T: Copy, const N: usize>(&mut self, items: [T; N]) -> T {
        items[self.between(0, N as i32 - 1) as usize]
    }
}

/// SplitMix64's finaliser: every bit of the result depends on every bit of `value`.
#[must_use]
pub fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_in_their_range_and_reach_its_ends() {
        let mut random = Random::of(&[1, 2]);
        let drawn: Vec<i32> = (0..1000).map(|_| random.between(-3, 4)).collect();
        assert_eq!(drawn.iter().min(), Some(&-3));
        assert_eq!(drawn.iter().max(), Some(&4));
        let hits = (0..10_000).filter(|_| random.chance(30)).count();
        assert!((2800..3200).contains(&hits), "{hits}");
        assert!(!random.chance(0) && random.chance(100));
    }

    #[test]
    fn every_key_makes_another_stream() {
        let first = |keys: &[u64]| Random::of(keys).next();
        assert_eq!(first(&[7, 1]), first(&[7, 1]));
        assert_ne!(first(&[7, 1]), first(&[7, 2]));
        assert_ne!(first(&[7, 1]), first(&[1, 7]));
    }
}
