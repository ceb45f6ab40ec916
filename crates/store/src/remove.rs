//! Takes images out of a finished run, exactly or not at all.
//!
//! Place in the flow: the images that go are looked at once more, as a run of their own; its counts are
//! subtracted from the run's, the rest is left out and renumbered. The tables equal those of one run over what is
//! left. Nothing is guessed: what the images that go are said to be must be, row for row, what the run
//! says of them, and where one of them is among the strongest images of a channel, which the run keeps ten of,
//! its successor is nowhere to be found and the removal is refused. Memory: 8 bytes an image beside one batch
//! per open table.

use crate::assemble::{Origin, Target};
use crate::combine::{check_same, paths_of};
use crate::error::StoreError;
use crate::inventory::{INVENTORY_NAME, read_inventory, write_inventory};
use crate::manifest::{MANIFEST_NAME, Manifest};
use crate::merge::TopExamples;
use crate::reader::Run;
use crate::rows::{EXAMPLES_PER_CHANNEL, Row};
use crate::spec::{ImageList, RunSpec};
use crate::table_reader::RowStream;
use crate::tables::{ImageRange, TableId};
use crate::writer::RunWriter;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use summit_tables::{DatasetExample, ImageId, ListHash, PlannedImage};

/// A run, and which of its images go.
#[derive(Debug)]
pub struct Removal {
    whole: Run,
    /// By old id; `None` for those that go.
    new_ids: Arc<[Option<ImageId>]>,
    left: u32,
}

impl Removal {
    /// Looks whether images can go, from the run alone.
    ///
    /// * `paths`: who goes, ascending.
    ///
    /// # Errors
    /// One of them is not in the run; nothing would be left; one is among the ten strongest of a channel
    /// that has others.
    pub fn new<'a>(
        whole: Run,
        paths: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, StoreError> {
        let mut going = paths.into_iter().peekable();
        let (mut new_ids, mut left) = (Vec::new(), 0);
        for path in paths_of(&whole)? {
            let path = path?;
            let goes = going.next_if_eq(&path.as_str()).is_some();
            new_ids.push((!goes).then_some(ImageId(left)));
            left += u32::from(!goes);
        }
        if let Some(path) = going.next() {
            return Err(StoreError::NoSuchTable {
                what: format!("image {path:?}"),
                path: whole.path().to_path_buf(),
            });
        }
        let removal = Self {
            whole,
            new_ids: new_ids.into(),
            left,
        };
        removal.check_left()?;
        removal.check_examples()?;
        Ok(removal)
    }

    fn stays(&self, image: ImageId) -> Option<ImageId> {
        self.new_ids.get(image.index()).copied().flatten()
    }

    /// A run of nothing has no histograms.
    fn check_left(&self) -> Result<(), StoreError> {
        for record in self.whole.images()? {
            if self.stays(record?.image).is_some() {
                return Ok(());
            }
        }
        Err(self.inexact("no image would be left"))
    }

    fn check_examples(&self) -> Result<(), StoreError> {
        let (mut images, mut lists) = (BTreeSet::new(), 0_u64);
        let full = u32::from(EXAMPLES_PER_CHANNEL);
        if self.whole.manifest().counts.done <= full {
            return Ok(());
        }
        for layer in &self.whole.model_info().layers {
            let mut channels = BTreeSet::new();
            for example in self.whole.examples(layer.id)? {
                let DatasetExample { image, channel, .. } = example?;
                if self.stays(image).is_none() {
                    images.insert(image);
                    channels.insert(channel);
                }
            }
            lists += channels.len() as u64;
        }
        if images.is_empty() {
            return Ok(());
        }
        Err(self.inexact(&format!(
            "{} of these images are among the {full} strongest of {lists} channels, and the run does not \
             hold who comes next; make it anew without them",
            images.len()
        )))
    }

    fn inexact(&self, reason: &str) -> StoreError {
        StoreError::Inexact {
            reason: reason.to_owned(),
            path: self.whole.path().to_path_buf(),
        }
    }

    /// Makes the run of what is left in `out`, which must be absent or empty (or hold the interrupted attempt
    /// at the same).
    ///
    /// * `gone`: a run of the images that go, and of no others.
    ///
    /// # Errors
    /// Runs of different models, parameters, preprocessing, classes or versions; `gone` says other things
    /// of its images than the run does; I/O.
    pub fn complete(&self, gone: &Path, out: &Path) -> Result<Manifest, StoreError> {
        let gone = Run::open(gone)?;
        check_same(&self.whole, &gone)?;
        let mut writer = RunWriter::create_or_resume(out, self.spec(&gone)?)?;
        if !writer.is_complete() {
            self.copy_inventory(out)?;
            writer.complete_from(&Rest {
                removal: self,
                gone: &gone,
            })?;
        }
        Ok(writer.manifest().clone())
    }

    fn spec(&self, gone: &Run) -> Result<RunSpec, StoreError> {
        let hash = |run: &Run| {
            let hash = run.manifest().spec.images.sha256.clone();
            let manifest = run.path().join(MANIFEST_NAME);
            ListHash::try_from(hash).map_err(|reason| StoreError::manifest(&manifest, reason))
        };
        let mut sum = hash(&self.whole)?;
        sum.subtract(hash(gone)?);
        let spec = self.whole.manifest().spec.clone();
        Ok(RunSpec {
            images: ImageList {
                listed: self.left,
                sha256: sum.to_string(),
                ..spec.images
            },
            ..spec
        })
    }

    /// Where the images that are left lie, if the run says so.
    fn copy_inventory(&self, out: &Path) -> Result<(), StoreError> {
        let (run, info) = (self.whole.path(), self.whole.model_info());
        if !run.join(INVENTORY_NAME).exists() {
            return Ok(());
        }
        let listed = self.whole.manifest().counts.listed;
        let planned = read_inventory(run, info, listed, ImageRange::new(0, listed))?;
        let left = planned.into_iter().filter_map(|planned| {
            let image = self.stays(planned.image)?;
            Some(PlannedImage { image, ..planned })
        });
        write_inventory(out, info, self.left, left)
    }
}

/// The tables of what is left.
struct Rest<'a> {
    removal: &'a Removal,
    gone: &'a Run,
}

impl Rest<'_> {
    fn both<T: Row>(&self, table: TableId) -> Result<[RowStream<T>; 2], StoreError> {
        Ok([
            self.removal.whole.rows(table, None)?,
            self.gone.rows(table, None)?,
        ])
    }
}

impl Origin for Rest<'_> {
    fn by_image<T: Row>(&self, table: TableId, _: &Target<'_>) -> Result<RowStream<T>, StoreError> {
        let [mut whole, mut gone] = self.both::<T>(table)?;
        let new_ids = Arc::clone(&self.removal.new_ids);
        let place = self.gone.path().to_path_buf();
        let mut left = move || -> Result<Option<T>, StoreError> {
            loop {
                let Some(mut row) = whole.next().transpose()? else {
                    return gone.next().map_or(Ok(None), |_| Err(differs(&place)));
                };
                let Some(image) = row.image() else {
                    return Ok(Some(row));
                };
                if let Some(new) = new_ids.get(image.index()).copied().flatten() {
                    *image = new;
                    return Ok(Some(row));
                }
                let mut other = gone.next().transpose()?;
                // The same image has another id there.
                if let Some(id) = other.as_mut().and_then(Row::image) {
                    *image = *id;
                }
                if other != Some(row) {
                    return Err(differs(&place));
                }
            }
        };
        Ok(Box::new(std::iter::from_fn(move || left().transpose())))
    }

    fn counts<T: Row>(&self, table: TableId, _: &Target<'_>) -> Result<RowStream<T>, StoreError> {
        let [whole, gone] = self.both::<T>(table)?;
        Ok(difference(whole, gone, self.gone.path().to_path_buf()))
    }

    fn examples(
        &self,
        table: TableId,
        _: &Target<'_>,
    ) -> Result<RowStream<DatasetExample>, StoreError> {
        let mut top = TopExamples::default();
        for example in self.removal.whole.rows::<DatasetExample>(table, None)? {
            let example = example?;
            if let Some(image) = self.removal.stays(example.image) {
                top.insert(DatasetExample { image, ..example });
            }
        }
        Ok(Box::new(top.into_rows().map(Ok)))
    }
}

fn differs(gone: &Path) -> StoreError {
    StoreError::Inexact {
        reason: "looked at again, these images are not what the run says of them".to_owned(),
        path: gone.to_path_buf(),
    }
}

/// Counts of all images without those of some of them.
fn difference<T: Row>(mut whole: RowStream<T>, gone: RowStream<T>, place: PathBuf) -> RowStream<T> {
    let mut gone = gone.peekable();
    let mut next = move || -> Result<Option<T>, StoreError> {
        loop {
            let Some(mut row) = whole.next().transpose()? else {
                return gone.next().map_or(Ok(None), |_| Err(differs(&place)));
            };
            // An error is taken whenever it comes.
            let due = gone.next_if(|other| {
                other
                    .as_ref()
                    .map_or(true, |other| other.key() <= row.key())
            });
            let Some(other) = due.transpose()? else {
                return Ok(Some(row));
            };
            if other.key() != row.key() || !row.subtract(&other) {
                return Err(differs(&place));
            }
            if T::KEEPS_ZEROS || row.count() != Some(&mut 0) {
                return Ok(Some(row));
            }
        }
    };
    Box::new(std::iter::from_fn(move || next().transpose()))
}
