//! Which images are kept as examples of a channel (method.md section 6).
//!
//! Place in the flow: `summarize` fills these lists image by image, `store` fills them again when parts are
//! merged. Both orders are total and depend on values and the order of images alone, so any split of the
//! images gives the same lists. Memory: 10 and at most 4 x 64 examples a channel (some 40 in practice,
//! since a channel's maxima lie within few octaves).

use crate::DatasetExample;
use std::cmp::Ordering;

/// Images kept for their activation, and images drawn from a channel's range.
pub const EXAMPLES_PER_CHANNEL: u16 = 10;

/// Bins of a channel's histogram of `v`.
pub const HISTOGRAM_BINS: usize = 64;

/// Images kept of a bin of the histogram.
pub const EXAMPLES_PER_BIN: usize = 4;

/// The bin of a channel maximum: 0 for values <= 0; above, two bins an octave, split where the
/// mantissa reaches 1.5, from 2^-16 (bin 1, which also takes everything smaller) up to 2^15.5
/// (bin 63, which also takes everything larger). Integer arithmetic on the bits: no rounding.
#[must_use]
pub fn histogram_bin(value: f32) -> usize {
    if value.is_nan() || value <= 0.0 {
        return 0;
    }
    let half_octaves = i64::from(value.to_bits() >> 22) - (127 << 1);
    1 + (half_octaves + 32).clamp(0, HISTOGRAM_BINS as i64 - 2) as usize
}

/// The images with the largest activation of one channel: value (total order of `f32`) descending, then
/// image ascending.
#[derive(Clone, Debug, Default)]
pub struct BestExamples(Vec<DatasetExample>);

impl BestExamples {
    /// Offers an image.
    pub fn insert(&mut self, example: DatasetExample) {
        let longest = usize::from(EXAMPLES_PER_CHANNEL);
        let order = |kept: &DatasetExample| {
            let values = example.value.total_cmp(&kept.value);
            values.then(kept.image.cmp(&example.image))
        };
        let full = self.0.len() == longest;
        if full && self.0.last().is_some_and(|last| order(last).is_lt()) {
            return;
        }
        let place = self.0.partition_point(|kept| order(kept).is_lt());
        self.0.insert(place, example);
        self.0.truncate(longest);
    }

    /// The examples, best first, ranks numbered.
    pub fn into_rows(self) -> impl Iterator<Item = DatasetExample> {
        ranked(self.0)
    }
}

/// Images from every part of one channel's range: up to [`EXAMPLES_PER_BIN`] of each bin of its
/// histogram. Which ones is decided by the scrambled bits of their values (equal values: the first image):
/// as good as chance, but the same for every split of the images and however images are numbered.
#[derive(Clone, Debug, Default)]
pub struct RangeExamples(Vec<DatasetExample>);

impl RangeExamples {
    /// Offers an image.
    pub fn insert(&mut self, example: DatasetExample) {
        let key = |example: &DatasetExample| {
            let bin = histogram_bin(example.value);
            (bin, scramble(example.value), example.image)
        };
        let new = key(&example);
        let place = self.0.partition_point(|kept| key(kept) < new);
        let bin = |kept: &&DatasetExample| histogram_bin(kept.value) == new.0;
        let before = self.0.iter().take(place).rev().take_while(bin).count();
        if before == EXAMPLES_PER_BIN {
            return;
        }
        self.0.insert(place, example);
        let of_bin = before + self.0.iter().skip(place).take_while(bin).count();
        if of_bin > EXAMPLES_PER_BIN {
            self.0.remove(place - before + EXAMPLES_PER_BIN);
        }
    }

    /// The examples by value ascending, then image; ranks numbered.
    pub fn into_rows(mut self) -> impl Iterator<Item = DatasetExample> {
        self.0.sort_by(by_value);
        ranked(self.0)
    }
}

/// Up to [`EXAMPLES_PER_CHANNEL`] of a channel's range examples, by value ascending: one of the bin of the
/// middle of each of ten equal parts of its distribution (`histogram`, images per bin), each once. Where a bin has
/// fewer examples than parts (a channel that is mostly silent), examples of the other bins, from the
/// largest values down, one of each bin in turn, fill the places.
#[must_use]
pub fn over_the_range(histogram: &[u32], candidates: &[DatasetExample]) -> Vec<DatasetExample> {
    let places = usize::from(EXAMPLES_PER_CHANNEL);
    let mut bins: Vec<Vec<DatasetExample>> = vec![Vec::new(); HISTOGRAM_BINS];
    // Largest last: taken first.
    let mut sorted = candidates.to_vec();
    sorted.sort_by(by_value);
    for example in sorted {
        if let Some(bin) = bins.get_mut(histogram_bin(example.value)) {
            bin.push(example);
        }
    }
    let images: u64 = histogram.iter().map(|&count| u64::from(count)).sum();
    let mut chosen = Vec::new();
    for part in 0..places as u64 {
        let middle = (2 * part + 1) * images / (2 * places as u64);
        let mut before = 0;
        let bin = histogram.iter().position(|&count| {
            before += u64::from(count);
            middle < before
        });
        chosen.extend(bin.and_then(|bin| bins.get_mut(bin)?.pop()));
    }
    while chosen.len() < places && bins.iter().any(|bin| !bin.is_empty()) {
        let left = places - chosen.len();
        chosen.extend(bins.iter_mut().rev().filter_map(Vec::pop).take(left));
    }
    chosen.sort_by(by_value);
    chosen
}

fn by_value(a: &DatasetExample, b: &DatasetExample) -> Ordering {
    a.value.total_cmp(&b.value).then(a.image.cmp(&b.image))
}

fn ranked(list: Vec<DatasetExample>) -> impl Iterator<Item = DatasetExample> {
    (0_u16..)
        .zip(list)
        .map(|(rank, example)| DatasetExample { rank, ..example })
}

/// The finalizer of MurmurHash3: a bijection of 32 bits in which every bit of the input moves every bit of
/// the output half of the time.
fn scramble(value: f32) -> u32 {
    let mut bits = value.to_bits();
    bits = (bits ^ (bits >> 16)).wrapping_mul(0x85eb_ca6b);
    bits = (bits ^ (bits >> 13)).wrapping_mul(0xc2b2_ae35);
    bits ^ (bits >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChannelId, ImageId};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn examples(values: &[f32]) -> Vec<DatasetExample> {
        let rows = (0..).zip(values).map(|(image, &value)| DatasetExample {
            channel: ChannelId(0),
            rank: 0,
            image: ImageId(image),
            value,
            row: 0,
            column: 0,
            mask: 0,
        });
        rows.collect()
    }

    fn range(rows: &[DatasetExample]) -> Vec<DatasetExample> {
        let mut list = RangeExamples::default();
        rows.iter().for_each(|row| list.insert(*row));
        list.into_rows().collect()
    }

    fn best(rows: &[DatasetExample]) -> Vec<DatasetExample> {
        let mut list = BestExamples::default();
        rows.iter().for_each(|row| list.insert(*row));
        list.into_rows().collect()
    }

    fn images(rows: &[DatasetExample]) -> Vec<u32> {
        rows.iter().map(|row| row.image.0).collect()
    }

    #[test]
    fn bins_are_half_octaves() {
        assert_eq!(histogram_bin(-1.0), 0);
        assert_eq!(histogram_bin(0.0), 0);
        assert_eq!(histogram_bin(1.0), 33);
        assert_eq!(histogram_bin(1.49), 33);
        assert_eq!(histogram_bin(1.5), 34);
        assert_eq!(histogram_bin(2.0), 35);
        assert_eq!(histogram_bin(f32::MAX), 63);
        assert_eq!(histogram_bin(f32::MIN_POSITIVE), 1);
    }

    #[test]
    fn a_channel_that_is_mostly_silent_still_shows_its_range() {
        let values: Vec<f32> = (0..95)
            .map(|_| 0.0)
            .chain([0.5, 1.0, 2.0, 4.0, 4.1])
            .collect();
        let candidates = range(&examples(&values));
        let mut histogram = vec![0; HISTOGRAM_BINS];
        values
            .iter()
            .for_each(|&value| histogram[histogram_bin(value)] += 1);
        let chosen = over_the_range(&histogram, &candidates);
        let values: Vec<f32> = chosen.iter().map(|row| row.value).collect();
        assert_eq!(values, [0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 2.0, 4.0, 4.1]);
    }

    #[test]
    fn an_even_range_is_cut_into_ten_parts() {
        let values: Vec<f32> = (0..1000)
            .map(|step| 1.0 + step as f32 / 1000.0 * 31.0)
            .collect();
        let candidates = range(&examples(&values));
        let mut histogram = vec![0; HISTOGRAM_BINS];
        values
            .iter()
            .for_each(|&value| histogram[histogram_bin(value)] += 1);
        let chosen = over_the_range(&histogram, &candidates);
        assert_eq!(chosen.len(), 10);
        for (part, row) in chosen.iter().enumerate() {
            let middle = 1.0 + 31.0 * (part as f32 + 0.5) / 10.0;
            let octaves = (row.value / middle).log2().abs();
            assert!(octaves < 1.0, "part {part}: {} for {middle}", row.value);
        }
    }

    #[test]
    fn nothing_is_chosen_of_nothing() {
        assert!(over_the_range(&[], &[]).is_empty());
        assert!(over_the_range(&[0; HISTOGRAM_BINS], &[]).is_empty());
    }

    proptest! {
        /// Against sorting everything, over any split and order of the parts.
        #[test]
        fn lists_are_those_of_all_images(
            values in proptest::collection::vec(-4_i8..60, 0..120),
            split in 0_usize..120,
        ) {
            let rows = examples(&values.iter().map(|&value| f32::from(value) / 4.0).collect::<Vec<_>>());
            let (left, right) = rows.split_at(split.min(rows.len()));

            let mut wanted = rows.clone();
            wanted.sort_by(|a, b| b.value.total_cmp(&a.value).then(a.image.cmp(&b.image)));
            wanted.truncate(10);
            let joined = [best(right), best(left)].concat();
            prop_assert_eq!(images(&best(&joined)), images(&wanted));
            prop_assert_eq!(images(&best(&rows)), images(&wanted));

            let mut bins: BTreeMap<usize, Vec<DatasetExample>> = BTreeMap::new();
            for row in &rows {
                bins.entry(histogram_bin(row.value)).or_default().push(*row);
            }
            let mut wanted = Vec::new();
            for mut bin in bins.into_values() {
                bin.sort_by_key(|row| (scramble(row.value), row.image));
                bin.truncate(EXAMPLES_PER_BIN);
                wanted.extend(bin);
            }
            wanted.sort_by(by_value);
            let joined = [range(right), range(left)].concat();
            prop_assert_eq!(images(&range(&joined)), images(&wanted));
            prop_assert_eq!(images(&range(&rows)), images(&wanted));
        }

        #[test]
        fn chosen_examples_are_some_of_the_candidates_each_once(
            values in proptest::collection::vec(-4_i8..60, 0..120),
        ) {
            let values: Vec<f32> = values.iter().map(|&value| f32::from(value) / 4.0).collect();
            let candidates = range(&examples(&values));
            let mut histogram = vec![0; HISTOGRAM_BINS];
            values.iter().for_each(|&value| histogram[histogram_bin(value)] += 1);
            let chosen = images(&over_the_range(&histogram, &candidates));
            prop_assert_eq!(chosen.len(), candidates.len().min(10));
            let mut once = chosen.clone();
            once.sort_unstable();
            once.dedup();
            prop_assert_eq!(once.len(), chosen.len());
        }
    }
}
