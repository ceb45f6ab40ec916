//! Sums of real numbers that do not depend on the order of their terms (method.md section 8).

use summit_explain::Estimate;

/// One unit of the sums.
const UNIT: f64 = 1.0 / (1_u64 << 40) as f64;

/// Largest magnitude of one term; a broken network must not overflow the sums.
const LARGEST: f64 = 1e12;

/// A sum and a sum of squares in fixed point, unit 2^-40: adding commutes, so any split of the terms
/// and any order give the same. `2^32` terms of magnitude up to 1e12 fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    sum: i128,
    squares: i128,
}

impl Moments {
    /// Adds a term; anything that is no finite number counts as 0.
    pub fn add(&mut self, value: f64) {
        let value = if value.is_finite() {
            value.clamp(-LARGEST, LARGEST)
        } else {
            0.0
        };
        self.sum += (value / UNIT) as i128;
        self.squares += (value * value / UNIT) as i128;
    }

    /// Adds the terms of another sum.
    pub fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// The sum.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum as f64 * UNIT
    }

    /// The sum of squares.
    #[must_use]
    pub fn squares(&self) -> f64 {
        self.squares as f64 * UNIT
    }

    /// Mean and interval over `images` terms; zeros that were not added count.
    #[must_use]
    pub fn estimate(&self, images: u32) -> Option<Estimate> {
        Estimate::from_sums(self.sum(), self.squares(), images)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_order_and_split_gives_the_same(
            mut values in prop::collection::vec(-1e3f64..1e3, 0..40),
            split in 0usize..40,
        ) {
            let total = |values: &[f64]| {
                let mut sum = Moments::default();
                values.iter().for_each(|&value| sum.add(value));
                sum
            };
            let whole = total(&values);
            let plain: f64 = values.iter().sum();
            prop_assert!((whole.sum() - plain).abs() < 1e-9);
            values.reverse();
            let (left, right) = values.split_at(split.min(values.len()));
            let mut parts = total(right);
            parts.merge(&total(left));
            prop_assert_eq!(parts, whole);
        }
    }

    #[test]
    fn broken_numbers_do_no_harm() {
        let mut sum = Moments::default();
        for value in [f64::NAN, f64::INFINITY, 1e300, -1e300, 2.0] {
            sum.add(value);
        }
        assert_eq!(sum.sum(), 2.0);
    }
}
