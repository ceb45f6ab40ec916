//! The few statistics the reports need.

/// Ranks from 0, equal values sharing their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for run in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let shared = start as f64 + (run.len() - 1) as f64 / 2.0;
        run.iter().for_each(|&index| ranks[index] = shared);
        start += run.len();
    }
    ranks
}

/// Spearman's rank correlation, ties by mean ranks; `None` where one side is constant.
#[must_use]
pub fn spearman(left: &[f64], right: &[f64]) -> Option<f64> {
    let (left, right) = (ranks(left), ranks(right));
    let mean = (left.len() as f64 - 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        let pairs = a.iter().zip(b);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let scale = (product(&left, &left) * product(&right, &right)).sqrt();
    (scale > 0.0).then(|| product(&left, &right) / scale)
}

/// Area under the ROC curve: the probability that a positive scores above a negative, ties half.
/// `None` without positives or negatives.
#[must_use]
pub fn auroc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let positives = positive.iter().filter(|&&is| is).count() as f64;
    let negatives = positive.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let ranked = ranks(scores).into_iter().zip(positive);
    let sum: f64 = ranked
        .filter(|(_, is)| **is)
        .map(|(rank, _)| rank + 1.0)
        .sum();
    Some((sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

/// Area under a polyline, x ascending.
#[must_use]
pub fn area(x: &[f64], y: &[f64]) -> f64 {
    let steps = x.windows(2).zip(y.windows(2));
    steps
        .map(|(x, y)| (x[1] - x[0]) * (y[0] + y[1]) / 2.0)
        .sum()
}

/// Shared over all members of two sorted sets; 1 for two empty ones.
#[must_use]
pub fn jaccard<T: Ord>(left: &[T], right: &[T]) -> f64 {
    let shared = left
        .iter()
        .filter(|x| right.binary_search(x).is_ok())
        .count();
    let all = left.len() + right.len() - shared;
    if all == 0 {
        1.0
    } else {
        shared as f64 / all as f64
    }
}

/// Numbers that look random and are the same everywhere (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// `0..count`; 0 for an empty range.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Puts a list into random order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

/// The 2.5 % and 97.5 % quantiles of a statistic over bootstrap resamples of `count` items, drawn
/// with replacement; `None` where it is not finite or there are fewer than two items.
pub fn bootstrap(
    count: usize,
    resamples: usize,
    seed: u64,
    statistic: impl Fn(&[usize]) -> f64,
) -> Option<[f64; 2]> {
    if count < 2 {
        return None;
    }
    let mut random = Random::new(seed);
    let mut found: Vec<f64> = (0..resamples)
        .map(|_| {
            let drawn: Vec<usize> = (0..count).map(|_| random.below(count)).collect();
            statistic(&drawn)
        })
        .collect();
    if found.iter().any(|value| !value.is_finite()) {
        return None;
    }
    found.sort_by(f64::total_cmp);
    let quantile = |share: f64| {
        found
            .get(((found.len() - 1) as f64 * share).round() as usize)
            .copied()
    };
    Some([quantile(0.025)?, quantile(0.975)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[10.0, 20.0, 25.0]), Some(1.0));
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        assert_eq!(spearman(&[1.0, 1.0], &[3.0, 2.0]), None);
        // scipy.stats.spearmanr([1, 2, 2, 4], [3, 1, 2, 4])
        let found = spearman(&[1.0, 2.0, 2.0, 4.0], &[3.0, 1.0, 2.0, 4.0]);
        assert!((found.unwrap() - 0.316_227_766).abs() < 1e-8);
        assert_eq!(area(&[0.0, 0.5, 1.0], &[0.0, 1.0, 1.0]), 0.75);
        assert_eq!(jaccard(&[1, 2, 3], &[2, 3, 4]), 0.5);
        assert_eq!(jaccard::<u32>(&[], &[]), 1.0);
        assert_eq!(auroc(&[1.0], &[true]), None);
    }

    #[test]
    fn bootstrap_of_a_mean_covers_it() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let mean = |drawn: &[usize]| drawn.iter().map(|&i| values[i]).sum::<f64>() / 100.0;
        let [low, high] = bootstrap(100, 500, 3, mean).unwrap();
        // The standard error is 2.9.
        assert!(
            (42.0..46.0).contains(&low) && (53.0..57.0).contains(&high),
            "{low} {high}"
        );
    }

    proptest! {
        #[test]
        fn auroc_is_the_share_of_ordered_pairs(
            items in prop::collection::vec((-3i8..3, any::<bool>()), 2..30)
        ) {
            let scores: Vec<f64> = items.iter().map(|item| f64::from(item.0)).collect();
            let positive: Vec<bool> = items.iter().map(|item| item.1).collect();
            let (mut wins, mut pairs) = (0.0, 0.0);
            for a in items.iter().filter(|item| item.1) {
                for b in items.iter().filter(|item| !item.1) {
                    pairs += 1.0;
                    wins += match a.0.cmp(&b.0) {
                        std::cmp::Ordering::Greater => 1.0,
                        std::cmp::Ordering::Equal => 0.5,
                        std::cmp::Ordering::Less => 0.0,
                    };
                }
            }
            match auroc(&scores, &positive) {
                Some(found) => prop_assert!((found - wins / pairs).abs() < 1e-12),
                None => prop_assert_eq!(pairs, 0.0),
            }
        }
    }
}
