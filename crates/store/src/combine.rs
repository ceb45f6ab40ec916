//! Combines finished runs over different images of the same model.
//!
//! Each run is an input of [`crate::assemble`] with a table from its image ids to the new ones, which
//! follow from all paths in order. The tables equal those of one run over the union. Memory: 4 bytes
//! per image beside that of assembling.

use crate::assemble::Input;
use crate::error::StoreError;
use crate::manifest::{MANIFEST_NAME, Manifest};
use crate::reader::Run;
use crate::spec::{ImageList, PassedOver, RunSpec};
use crate::table_reader::RowStream;
use crate::tables::ImageRange;
use crate::writer::RunWriter;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::path::Path;
use summit_tables::ListHash;

/// Combines runs into a new one in `out`, which must be absent or empty (or hold the interrupted
/// attempt at the same). The order of `inputs` does not matter.
///
/// The list hash of the result is the sum of the inputs', as if all had been listed together.
///
/// # Errors
/// No input; an input that cannot be opened; runs of different models, parameters, preprocessing,
/// classes or program versions; an image in two runs; I/O.
pub fn merge_runs<P: AsRef<Path>>(inputs: &[P], out: &Path) -> Result<Manifest, StoreError> {
    let runs = inputs
        .iter()
        .map(|path| Run::open(path.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(first) = runs.first() else {
        return Err(StoreError::NothingToCombine {
            path: out.to_path_buf(),
        });
    };
    for run in &runs {
        check_same(first, run)?;
    }
    let new_ids = renumber(&runs)?;
    let spec = combined_spec(first, &runs)?;
    let inputs: Vec<Input> = runs
        .iter()
        .zip(new_ids)
        .map(|(run, new_ids)| Input {
            tables: run.tables(),
            range: ImageRange::new(0, run.manifest().counts.listed),
            new_ids: Some(new_ids.into()),
        })
        .collect();
    let mut writer = RunWriter::create_or_resume(out, spec)?;
    if !writer.is_complete() {
        writer.complete_from(&inputs)?;
    }
    Ok(writer.manifest().clone())
}

/// Everything but the image list must agree.
pub(crate) fn check_same(first: &Run, other: &Run) -> Result<(), StoreError> {
    let images = &first.manifest().spec.images;
    let other_spec = RunSpec {
        images: images.clone(),
        ..other.manifest().spec.clone()
    };
    match first.manifest().spec.difference(&other_spec)? {
        None => Ok(()),
        Some(difference) => Err(StoreError::RunsDiffer {
            field: difference.field,
            first: first.path().to_path_buf(),
            path: other.path().to_path_buf(),
        }),
    }
}

fn combined_spec(first: &Run, runs: &[Run]) -> Result<RunSpec, StoreError> {
    let lists = runs.iter().map(|run| &run.manifest().spec.images);
    let listed = lists
        .clone()
        .try_fold(0_u32, |sum, list| sum.checked_add(list.listed));
    let listed = listed.ok_or_else(|| StoreError::SpecInvalid {
        reason: "the runs have more than 4,294,967,295 images together".to_owned(),
    })?;
    let mut sum = ListHash::default();
    for (run, list) in runs.iter().zip(lists) {
        let hash = ListHash::try_from(list.sha256.clone());
        let manifest = run.path().join(MANIFEST_NAME);
        sum.add(hash.map_err(|reason| StoreError::manifest(&manifest, reason))?);
    }
    let sha256 = sum.to_string();
    let passed_over = runs
        .iter()
        .flat_map(|run| run.manifest().spec.images.passed_over.iter().cloned());
    // A set: two lists of one folder pass over the same things.
    let passed_over: BTreeSet<PassedOver> = passed_over.collect();
    let images = ImageList {
        listed,
        sha256,
        passed_over: passed_over.into_iter().collect(),
    };
    Ok(RunSpec {
        images,
        ..first.manifest().spec.clone()
    })
}

/// New id of each image of each run: its place among all paths.
fn renumber(runs: &[Run]) -> Result<Vec<Vec<u32>>, StoreError> {
    let mut paths = runs.iter().map(paths_of).collect::<Result<Vec<_>, _>>()?;
    let mut new_ids: Vec<Vec<u32>> = runs.iter().map(|_| Vec::new()).collect();
    let mut order = BinaryHeap::new();
    for (run, paths) in paths.iter_mut().enumerate() {
        order.extend(paths.next().transpose()?.map(|path| Reverse((path, run))));
    }
    let mut previous: Option<(String, usize)> = None;
    let mut next_id = 0;
    while let Some(Reverse((path, run))) = order.pop() {
        if let Some((_, other)) = previous.as_ref().filter(|(last, _)| *last == path) {
            let place = |run: usize| runs.get(run).map(|run| run.path().to_path_buf());
            return Err(StoreError::ImageTwice {
                image: path,
                first: place(*other).unwrap_or_default(),
                path: place(run).unwrap_or_default(),
            });
        }
        if let Some(ids) = new_ids.get_mut(run) {
            ids.push(next_id);
        }
        next_id += 1;
        let next = paths.get_mut(run).and_then(Iterator::next).transpose()?;
        order.extend(next.map(|path| Reverse((path, run))));
        previous = Some((path, run));
    }
    Ok(new_ids)
}

/// Paths of all listed images of a run, done or skipped, by id: ascending, each id once.
pub(crate) fn paths_of(run: &Run) -> Result<RowStream<String>, StoreError> {
    let mut images = run.images()?.peekable();
    let mut skipped = run.skipped()?.peekable();
    let listed = run.manifest().counts.listed;
    let folder = run.path().to_path_buf();
    let mut previous = String::new();
    let paths = (0..listed).map(move |id| {
        // An error is taken whichever stream it comes from.
        let image = images.next_if(|row| row.as_ref().map_or(true, |row| row.image.0 == id));
        let skip = skipped.next_if(|row| row.as_ref().map_or(true, |row| row.image.0 == id));
        let path = match (image.transpose()?, skip.transpose()?) {
            (Some(row), None) => row.path,
            (None, Some(row)) => row.path,
            _ => {
                let reason = format!("image {id} is not exactly once among images and skipped");
                return Err(StoreError::table(&folder, reason));
            }
        };
        if path <= previous {
            return Err(StoreError::table(
                &folder,
                format!("path {path:?} is out of order"),
            ));
        }
        previous.clone_from(&path);
        Ok(path)
    });
    Ok(Box::new(paths))
}
