//! Pictures of one channel that differ from each other (lucid's diversity objective).
//!
//! The style of a picture is the Gram matrix of a layer's map `[C, positions]`, of length 1. A new picture
//! is kept from looking like earlier ones by the cosines of their styles, in units of the objective
//! itself, since activations of networks differ by orders of magnitude. Lucid optimises all pictures at
//! once; one after the other needs the memory of one. Cost: two products `C x C x positions` a step.

use crate::layer_network::Range;

/// How much looking the same costs, in units of the channel's mean.
const WEIGHT: f32 = 1.0;

/// The style of a picture: `[C, C]`, symmetric, of length 1; all 0 where the map is.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    gram: Vec<f32>,
    length: f32,
}

impl Style {
    /// Of a map `[C, positions]`.
    pub(crate) fn new(map: &[f32], positions: usize) -> Self {
        let rows: Vec<&[f32]> = map.chunks_exact(positions.max(1)).collect();
        let channels = rows.len();
        let mut gram = vec![0.0; channels * channels];
        for (i, one) in rows.iter().enumerate() {
            for (j, other) in rows.iter().enumerate().take(i + 1) {
                let dot: f32 = one.iter().zip(*other).map(|(x, y)| x * y).sum();
                gram[i * channels + j] = dot;
                gram[j * channels + i] = dot;
            }
        }
        let length = gram.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            gram.iter_mut().for_each(|x| *x /= length);
        }
        Self { gram, length }
    }

    /// Cosine with another style: 1 of the same picture.
    #[must_use]
    pub fn likeness(&self, other: &Self) -> f32 {
        self.gram.iter().zip(&other.gram).map(|(x, y)| x * y).sum()
    }
}

/// Takes from `seed`, the gradient with respect to `map` before the activation functions, what makes the
/// picture look like `earlier` ones; `mean` is the objective's channel mean.
pub(crate) fn keep_apart(
    earlier: &[Style],
    map: &[f32],
    ranges: &[Range],
    mean: f32,
    seed: &mut [f32],
) {
    let positions = map.len() / ranges.len().max(1);
    let active: Vec<f32> = map
        .iter()
        .enumerate()
        .map(|(index, &value)| ranges[index / positions].apply(value))
        .collect();
    let gradient = likeness_gradient(earlier, &active, positions);
    let scale = WEIGHT * mean.abs() / earlier.len().max(1) as f32;
    for (index, (slot, slope)) in seed.iter_mut().zip(gradient).enumerate() {
        if ranges[index / positions].is_open(map[index]) {
            *slot -= scale * slope;
        }
    }
}

/// The gradient of the sum of cosines with respect to the map, `[C, positions]`.
fn likeness_gradient(earlier: &[Style], map: &[f32], positions: usize) -> Vec<f32> {
    let own = Style::new(map, positions);
    let channels = map.len() / positions.max(1);
    let mut gradient = vec![0.0; map.len()];
    if own.length == 0.0 {
        return gradient;
    }
    let mut pull = vec![0.0; own.gram.len()];
    for other in earlier {
        let cosine = own.likeness(other);
        for ((pull, theirs), ours) in pull.iter_mut().zip(&other.gram).zip(&own.gram) {
            *pull += theirs - cosine * ours;
        }
    }
    for (row, pull) in gradient
        .chunks_exact_mut(positions)
        .zip(pull.chunks_exact(channels))
    {
        for (&weight, other) in pull.iter().zip(map.chunks_exact(positions)) {
            let weight = 2.0 * weight / own.length;
            for (slot, &value) in row.iter_mut().zip(other) {
                *slot += weight * value;
            }
        }
    }
    gradient
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_gradient_is_a_finite_difference() {
        let positions = 5;
        let mut random = Random::new(&[8]);
        let mut noise = || {
            (0..4 * positions)
                .map(|_| random.normal() as f32)
                .collect::<Vec<f32>>()
        };
        let earlier = [
            Style::new(&noise(), positions),
            Style::new(&noise(), positions),
        ];
        let map = noise();
        let likeness = |map: &[f32]| -> f32 {
            let own = Style::new(map, positions);
            earlier.iter().map(|style| own.likeness(style)).sum()
        };
        let gradient = likeness_gradient(&earlier, &map, positions);
        for index in 0..map.len() {
            let h = 1e-2;
            let (mut high, mut low) = (map.clone(), map.clone());
            high[index] += h;
            low[index] -= h;
            let expected = (likeness(&high) - likeness(&low)) / (2.0 * h);
            assert!(
                (gradient[index] - expected).abs() < 2e-3,
                "{index}: {expected}"
            );
        }
    }

    #[test]
    fn a_step_along_the_seed_makes_the_picture_less_alike() {
        let positions = 6;
        let mut random = Random::new(&[5]);
        let mut noise = || {
            (0..3 * positions)
                .map(|_| random.normal() as f32)
                .collect::<Vec<f32>>()
        };
        let (earlier, map) = ([Style::new(&noise(), positions)], noise());
        let ranges = [Range::ALL; 3];
        let mut seed = vec![0.0; map.len()];
        keep_apart(&earlier, &map, &ranges, 2.0, &mut seed);
        let moved: Vec<f32> = map
            .iter()
            .zip(&seed)
            .map(|(x, step)| x + 0.1 * step)
            .collect();
        let likeness = |map: &[f32]| Style::new(map, positions).likeness(&earlier[0]);
        assert!(likeness(&moved) < likeness(&map) - 1e-4);
    }

    #[test]
    fn like_is_1_and_nothing_is_like_nothing() {
        let style = Style::new(&[1.0, 2.0, 0.0, 3.0], 2);
        assert!((style.likeness(&style) - 1.0).abs() < 1e-6);
        let doubled = Style::new(&[2.0, 4.0, 0.0, 6.0], 2);
        assert!((style.likeness(&doubled) - 1.0).abs() < 1e-6);
        let nothing = Style::new(&[0.0; 4], 2);
        assert_eq!(style.likeness(&nothing), 0.0);
        assert_eq!(likeness_gradient(&[style], &[0.0; 4], 2), [0.0; 4]);
    }
}
