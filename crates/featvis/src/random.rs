//! Random numbers that stay the same for good: a rendering is a function of its seed, whatever
//! version of whatever library comes.
//!
//! SplitMix64 (Steele, Lea and Flood 2014), one stream per key.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of a key, for example (seed, channel, step).
    pub(crate) fn new(key: &[u64]) -> Self {
        let mut stream = Self(0);
        for &part in key {
            stream.0 ^= part;
            stream.0 = stream.next();
        }
        stream
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of `-extent ..= extent`, all alike.
    pub(crate) fn within(&mut self, extent: u32) -> f64 {
        (self.uniform() * f64::from(2 * extent + 1)).floor() - f64::from(extent)
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_have_the_moments_they_should() {
        let mut random = Random::new(&[3, 141, 59]);
        let count = 20_000;
        let (mut sum, mut squares, mut uniform) = (0.0, 0.0, 0.0);
        let mut seen = [false; 5];
        for _ in 0..count {
            let x = random.normal();
            sum += x;
            squares += x * x;
            uniform += random.uniform();
            seen[(random.within(2) + 2.0) as usize] = true;
        }
        let count = f64::from(count);
        assert!((sum / count).abs() < 0.03, "{sum}");
        assert!((squares / count - 1.0).abs() < 0.05, "{squares}");
        assert!((uniform / count - 0.5).abs() < 0.01, "{uniform}");
        assert_eq!(seen, [true; 5]);
    }

    #[test]
    fn keys_make_different_streams() {
        let first = |key: &[u64]| Random::new(key).next();
        let all = [&[1, 2][..], &[2, 1], &[1], &[1, 2, 0], &[0, 0]].map(first);
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one));
        }
    }
}
