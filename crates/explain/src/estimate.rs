//! A mean over images with its 95 % t-interval, from sums (docs/method.md section 3.2).

use serde::{Deserialize, Serialize};

/// A mean over images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Estimate {
    /// The mean over the images, in logits.
    pub mean: f64,
    /// Lower and upper end of the 95 % t-interval of the mean; absent below two images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub interval: Option<[f64; 2]>,
}

impl Estimate {
    /// From the sum and the sum of squares over `images` images.
    ///
    /// `None` without images, or where a sum is not finite.
    #[must_use]
    pub fn from_sums(sum: f64, sum_of_squares: f64, images: u32) -> Option<Self> {
        if images == 0 || !sum.is_finite() || !sum_of_squares.is_finite() {
            return None;
        }
        let count = f64::from(images);
        let mean = sum / count;
        let interval = (images >= 2).then(|| {
            // Rounding can leave a difference of squares just below 0.
            let variance = ((sum_of_squares - sum * mean) / (count - 1.0)).max(0.0);
            let half_width = t_quantile_975(images - 1) * (variance / count).sqrt();
            [mean - half_width, mean + half_width]
        });
        Some(Self { mean, interval })
    }

    /// Whether the interval excludes 0, so that the sign is known.
    #[must_use]
    pub fn sign_is_certain(&self) -> bool {
        self.interval
            .is_some_and(|[low, high]| low > 0.0 || high < 0.0)
    }
}

/// The 97.5 % quantile of Student's t distribution.
///
/// A table up to 30 degrees of freedom, beyond it the Cornish-Fisher expansion in 1 / degrees
/// (Abramowitz and Stegun 26.7.5), there good to seven digits.
#[must_use]
pub fn t_quantile_975(degrees_of_freedom: u32) -> f64 {
    const TABLE: [f64; 30] = [
        12.706_205, 4.302_653, 3.182_446, 2.776_445, 2.570_582, 2.446_912, 2.364_624, 2.306_004,
        2.262_157, 2.228_139, 2.200_985, 2.178_813, 2.160_369, 2.144_787, 2.131_450, 2.119_905,
        2.109_816, 2.100_922, 2.093_024, 2.085_963, 2.079_614, 2.073_873, 2.068_658, 2.063_899,
        2.059_539, 2.055_529, 2.051_831, 2.048_407, 2.045_230, 2.042_272,
    ];
    let Some(row) = degrees_of_freedom.checked_sub(1) else {
        return f64::INFINITY;
    };
    if let Some(&quantile) = TABLE.get(row as usize) {
        return quantile;
    }
    let z: f64 = 1.959_963_984_540_054;
    let n = f64::from(degrees_of_freedom);
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / n + second / n.powi(2) + third / n.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        // From published tables of the t distribution.
        for (degrees, expected) in [
            (1, 12.7062),
            (5, 2.5706),
            (30, 2.0423),
            (31, 2.0395),
            (40, 2.0211),
            (60, 2.0003),
            (120, 1.9799),
        ] {
            let found = t_quantile_975(degrees);
            assert!(
                (found - expected).abs() < 5e-5 + 1e-12,
                "{degrees}: {found}"
            );
        }
    }

    #[test]
    fn intervals() {
        // 1, 2, 3: mean 2, standard deviation 1.
        let estimate = Estimate::from_sums(6.0, 14.0, 3).unwrap();
        let [low, high] = estimate.interval.unwrap();
        assert!((estimate.mean - 2.0).abs() < 1e-15);
        assert!((high - 2.0 - 4.302_653 / 3f64.sqrt()).abs() < 1e-12);
        assert!((low + high - 4.0).abs() < 1e-12);
        assert!(!estimate.sign_is_certain());
        assert_eq!(Estimate::from_sums(1.0, 1.0, 1).unwrap().interval, None);
        assert_eq!(Estimate::from_sums(1.0, 1.0, 0), None);
        assert_eq!(Estimate::from_sums(f64::NAN, 1.0, 3), None);
    }
}
