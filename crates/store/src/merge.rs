//! Merges sorted streams into one.
//!
//! Memory: one row per source in the heap plus what each open source buffers; at most
//! [`FAN_IN`] sources are open at a time, more are merged in rounds through scratch files. Equal keys
//! of count tables are added up, which is why rounds, order and split cannot be seen in the result.

use crate::durable::TEMPORARY_PREFIX;
use crate::error::StoreError;
use crate::rows::{EqualKeys, Row};
use crate::table_reader::{RowStream, read_table};
use crate::table_writer::TableWriter;
use crate::tables::Bounds;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs;
use std::path::Path;

/// Sources open at a time.
pub(crate) const FAN_IN: usize = 64;

/// A source that is opened when its turn comes.
pub(crate) type Source<T> = Box<dyn FnOnce() -> Result<RowStream<T>, StoreError> + Send>;

/// Merges any number of sources. `scratch` must exist; what is put there is removed by the caller
/// once the stream has been read.
pub(crate) fn merge_many<T: Row>(
    mut sources: Vec<Source<T>>,
    scratch: &Path,
    bounds: &Bounds,
    label: &str,
) -> Result<RowStream<T>, StoreError> {
    let mut round = 0;
    while sources.len() > FAN_IN {
        let mut merged: Vec<Source<T>> = Vec::with_capacity(sources.len().div_ceil(FAN_IN));
        let mut rest = sources.into_iter();
        for part in 0.. {
            let group: Vec<Source<T>> = rest.by_ref().take(FAN_IN).collect();
            if group.is_empty() {
                break;
            }
            let name = format!("{TEMPORARY_PREFIX}{label}-{round}-{part}.parquet");
            let mut writer = TableWriter::<T>::create(scratch, &name, bounds.clone())?;
            writer.extend(merge_open(group, scratch)?)?;
            writer.finish()?;
            let (path, bounds) = (scratch.join(&name), bounds.clone());
            merged.push(Box::new(move || {
                let stream = read_table::<T>(&path, bounds, None)?;
                // An open file outlives its name: the space is returned as soon as it is read.
                let _ = if cfg!(unix) {
                    fs::remove_file(&path)
                } else {
                    Ok(())
                };
                Ok(stream)
            }));
        }
        sources = merged;
        round += 1;
    }
    merge_open(sources, scratch)
}

fn merge_open<T: Row>(sources: Vec<Source<T>>, scratch: &Path) -> Result<RowStream<T>, StoreError> {
    let streams = sources
        .into_iter()
        .map(|open| open())
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Box::new(Merge::new(streams, scratch)))
}

/// k-way merge; rows of equal key come in the order of the sources.
pub(crate) struct Merge<T: Row> {
    streams: Vec<RowStream<T>>,
    heads: Vec<Option<T>>,
    order: BinaryHeap<Reverse<(T::Key, usize)>>,
    failure: Option<StoreError>,
    place: std::path::PathBuf,
}

impl<T: Row> Merge<T> {
    /// `place` names the merge in an overflow error.
    pub(crate) fn new(streams: Vec<RowStream<T>>, place: &Path) -> Self {
        let heads = streams.iter().map(|_| None).collect();
        let order = BinaryHeap::with_capacity(streams.len());
        let mut merge = Self {
            streams,
            heads,
            order,
            failure: None,
            place: place.to_path_buf(),
        };
        for index in 0..merge.streams.len() {
            merge.advance(index);
        }
        merge
    }

    /// Reads the next row of a source into its head.
    fn advance(&mut self, index: usize) {
        let next = self.streams.get_mut(index).and_then(Iterator::next);
        match (next, self.heads.get_mut(index)) {
            (Some(Ok(row)), Some(head)) => {
                self.order.push(Reverse((row.key(), index)));
                *head = Some(row);
            }
            (Some(Err(error)), _) => self.failure = Some(error),
            _ => {}
        }
    }

    /// Takes the smallest row.
    fn pop(&mut self) -> Option<T> {
        let Reverse((_, index)) = self.order.pop()?;
        let row = self.heads.get_mut(index)?.take();
        self.advance(index);
        row
    }

    fn next_key(&self) -> Option<T::Key> {
        self.order.peek().map(|Reverse((key, _))| *key)
    }
}

impl<T: Row> Iterator for Merge<T> {
    type Item = Result<T, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failure.take() {
            // Nothing after an error is trustworthy.
            self.order.clear();
            return Some(Err(error));
        }
        let mut row = self.pop()?;
        while T::EQUAL_KEYS == EqualKeys::Add && self.next_key() == Some(row.key()) {
            let other = self.pop()?;
            if !row.add(&other) {
                self.order.clear();
                return Some(Err(StoreError::table(
                    &self.place,
                    "a count exceeds 32 bits",
                )));
            }
        }
        if let Some(error) = self.failure.take() {
            self.order.clear();
            return Some(Err(error));
        }
        Some(Ok(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{ImageRange, TableId};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use summit_tables::{ConvInfo, InfluenceEntry, ModelInfo};

    fn entry([label, prediction, output, input]: [u32; 4], count: u32) -> InfluenceEntry {
        InfluenceEntry {
            label,
            prediction,
            output,
            input,
            count,
        }
    }

    fn bounds() -> Bounds {
        let conv = ConvInfo {
            id: summit_tables::ConvId(0),
            name: "c".to_owned(),
            reads: "x".to_owned(),
            inputs: 3,
            outputs: 3,
            depthwise: false,
            groups: 1,
        };
        let info = ModelInfo {
            convs: vec![conv],
            classes: 3,
            ..ModelInfo::default()
        };
        Bounds::of(
            TableId::Influence(summit_tables::ConvId(0)),
            &info,
            ImageRange::new(0, 1),
        )
    }

    /// What merging must give: a map from key to sum.
    fn naive(parts: &[BTreeMap<[u32; 4], u32>]) -> Vec<InfluenceEntry> {
        let mut sums: BTreeMap<[u32; 4], u32> = BTreeMap::new();
        for (key, count) in parts.iter().flatten() {
            *sums.entry(*key).or_default() += count;
        }
        sums.into_iter()
            .map(|(key, count)| entry(key, count))
            .collect()
    }

    fn merged(parts: &[BTreeMap<[u32; 4], u32>]) -> Vec<InfluenceEntry> {
        let scratch = tempfile::tempdir().unwrap();
        let sources = parts.iter().map(|part| {
            let rows: Vec<_> = part
                .iter()
                .map(|(key, count)| Ok(entry(*key, *count)))
                .collect();
            Box::new(move || Ok(Box::new(rows.into_iter()) as RowStream<_>)) as Source<_>
        });
        merge_many(sources.collect(), scratch.path(), &bounds(), "test")
            .unwrap()
            .map(|row| row.unwrap())
            .collect()
    }

    type Part = BTreeMap<[u32; 4], u32>;

    fn part() -> impl Strategy<Value = Part> {
        let key = (0_u32..3, 0_u32..3, 0_u32..3, 0_u32..3).prop_map(|(a, b, c, d)| [a, b, c, d]);
        proptest::collection::btree_map(key, 1_u32..5, 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn merging_is_adding(parts in proptest::collection::vec(part(), 0..6)) {
            prop_assert_eq!(merged(&parts), naive(&parts));
        }
    }

    #[test]
    fn more_sources_than_may_be_open_go_through_scratch_files() {
        let parts: Vec<Part> = (0..(FAN_IN as u32 * 2 + 3))
            .map(|index| BTreeMap::from([([0, 0, 0, index % 3], 1), ([1, 1, 1, 1], index + 1)]))
            .collect();
        assert_eq!(merged(&parts), naive(&parts));
    }

    #[test]
    fn a_count_that_does_not_fit_is_an_error() {
        let rows = || Box::new([Ok(entry([0; 4], u32::MAX))].into_iter()) as RowStream<_>;
        let mut merge = Merge::new(vec![rows(), rows()], Path::new("here"));
        assert!(
            merge
                .next()
                .unwrap()
                .unwrap_err()
                .to_string()
                .contains("32 bits")
        );
        assert!(merge.next().is_none());
    }
}
