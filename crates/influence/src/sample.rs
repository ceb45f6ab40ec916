//! Which images of a group are looked at, and which are held out.
//!
//! Both follow a hash of the image's path, so that they do not change when images are added, runs
//! are merged or ids move.

use sha2::{Digest, Sha256};
use summit_tables::ImageRecord;

/// A side of the split into images that measures are fitted on and images they are judged on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Half {
    /// Scores and edges may be computed on it.
    Fit,
    /// Kept for evaluation.
    HeldOut,
}

/// A number that orders images at random: the first eight bytes of SHA-256 over seed and path.
#[must_use]
pub fn order_of(path: &str, seed: u64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(path.as_bytes());
    let digest = hash.finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// Which half an image belongs to; does not depend on any seed.
#[must_use]
pub fn half_of(path: &str) -> Half {
    if order_of(path, u64::MAX) & 1 == 0 {
        Half::Fit
    } else {
        Half::HeldOut
    }
}

/// At most `count` of the images (all for `None`): those that come first in the order of `seed`,
/// ascending by image.
#[must_use]
pub fn sample<'a>(
    records: impl IntoIterator<Item = &'a ImageRecord>,
    count: Option<usize>,
    seed: u64,
) -> Vec<&'a ImageRecord> {
    let mut chosen: Vec<&ImageRecord> = records.into_iter().collect();
    if let Some(count) = count {
        chosen.sort_by_cached_key(|record| (order_of(&record.path, seed), record.image));
        chosen.truncate(count);
    }
    chosen.sort_by_key(|record| record.image);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use summit_tables::{ClassId, ImageId};

    fn record(image: u32) -> ImageRecord {
        ImageRecord {
            image: ImageId(image),
            path: format!("class/{image}.png"),
            label: None,
            top_classes: vec![ClassId(0)],
            top_probabilities: vec![1.0],
            label_probability: 0.0,
            margin: 0.0,
            runner_up: ClassId(0),
            width: 1,
            height: 1,
        }
    }

    #[test]
    fn samples_do_not_depend_on_what_else_is_there() {
        let records: Vec<ImageRecord> = (0..1000).map(record).collect();
        let chosen = sample(&records, Some(50), 7);
        assert_eq!(chosen.len(), 50);
        assert!(chosen.is_sorted_by_key(|record| record.image));
        let again: Vec<&str> = sample(chosen.iter().copied().rev(), Some(50), 7)
            .iter()
            .map(|record| record.path.as_str())
            .collect();
        assert_eq!(
            again,
            chosen.iter().map(|r| r.path.as_str()).collect::<Vec<_>>()
        );
        assert_ne!(sample(&records, Some(50), 8), chosen);
        assert_eq!(sample(&records, None, 7).len(), 1000);
        let held_out = records
            .iter()
            .filter(|record| half_of(&record.path) == Half::HeldOut);
        let held_out = held_out.count();
        assert!((430..570).contains(&held_out), "{held_out}");
    }
}
