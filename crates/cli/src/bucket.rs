//! A plan in a bucket: the folder of a plan under a URL, so that machines without a common disk work on it.
//!
//! Shards are made in a folder, as everywhere, then sent file by file; the last is `done.json`, put only if
//! there is none: of several attempts at a shard, one is it. All attempts have the same bytes, so it does
//! not matter whose files lie there. The merge fetches everything and goes on as for a folder.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use summit_objects::{ObjectError, Objects, Patience, joined, shown};
use summit_store::{DONE_NAME, ImageRange, PLAN_FILES, shard_folder};
use summit_tables::in_parallel_on;

/// Largest file of a plan or shard, bytes.
const LARGEST_BYTES: u64 = 8 << 30;
/// Most files of all shards.
const MOST_FILES: u64 = 50_000_000;
/// Files sent or fetched at a time: a request mostly waits.
const AT_ONCE: usize = 16;

/// Sends a plan that was begun in a folder. An equal one may be there already.
pub fn push_plan(local: &Path, url: &str, patience: Patience) -> Result<()> {
    let objects = Objects::new(patience)?;
    for name in PLAN_FILES {
        let bytes = fs::read(local.join(name)).with_context(|| format!("cannot read {name}"))?;
        let place = joined(url, name);
        // What it was made from must not change under the shards that are there.
        let is_new = objects
            .put_if_absent(&place, bytes.clone())
            .with_context(|| shown(&place))?;
        if !is_new
            && objects
                .read(&place, LARGEST_BYTES)
                .with_context(|| shown(&place))?
                != bytes
        {
            bail!("another plan is there already: {}", shown(url));
        }
    }
    Ok(())
}

/// The shards of a plan in a bucket.
pub struct Shards {
    objects: Arc<Objects>,
    url: String,
}

impl Shards {
    /// Fetches the plan into a new folder.
    pub fn open(url: &str, local: &Path, patience: Patience) -> Result<Self> {
        let objects = Arc::new(Objects::new(patience)?);
        fs::create_dir_all(local.join("shards")).with_context(|| local.display().to_string())?;
        for name in PLAN_FILES {
            let place = joined(url, name);
            let bytes = objects
                .read(&place, LARGEST_BYTES)
                .with_context(|| format!("cannot read the plan: {}", shown(&place)))?;
            fs::write(local.join(name), bytes).with_context(|| local.display().to_string())?;
        }
        Ok(Self {
            objects,
            url: url.to_owned(),
        })
    }

    /// Whether a shard is there.
    pub fn is_done(&self, range: ImageRange) -> Result<bool> {
        let place = joined(&self.url, &format!("{}/{DONE_NAME}", shard_folder(range)));
        match self.objects.info(&place) {
            Ok(_) => Ok(true),
            Err(ObjectError::NotFound) => Ok(false),
            Err(error) => Err(error).with_context(|| shown(&place)),
        }
    }

    /// Sends a shard that was done in the folder of the plan.
    pub fn push(&self, local: &Path, range: ImageRange) -> Result<()> {
        let shard = shard_folder(range);
        let folder = local.join(&shard);
        let place = |name: &str| joined(&self.url, &format!("{shard}/{name}"));
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        let names = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .filter(|name| !matches!(name, Ok(name) if name == DONE_NAME))
            .collect::<Result<Vec<_>>>()?;
        in_parallel_on(AT_ONCE, &names, |name| -> Result<()> {
            let place = place(name);
            let bytes = fs::read(folder.join(name))?;
            self.objects
                .put(&place, bytes)
                .with_context(|| shown(&place))
        })?;
        let done = place(DONE_NAME);
        let note = fs::read(folder.join(DONE_NAME))?;
        let first = self
            .objects
            .put_if_absent(&done, note.clone())
            .with_context(|| shown(&done))?;
        if !first && self.objects.read(&done, LARGEST_BYTES)? != note {
            bail!("another attempt came to other results: {}", shown(&done));
        }
        Ok(())
    }

    /// Fetches all shards into the folder of the plan. What they hold is verified by whoever opens them.
    pub fn fetch(&self, local: &Path) -> Result<()> {
        let shards = joined(&self.url, "shards/");
        let found = self
            .objects
            .list(&shards, MOST_FILES)
            .with_context(|| shown(&shards))?;
        in_parallel_on(AT_ONCE, &found, |object| -> Result<()> {
            let mut parts = object.location.rsplit('/');
            let (name, shard) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            if [name, shard]
                .iter()
                .any(|part| matches!(*part, "" | "." | "..") || part.contains('\\'))
            {
                bail!("a file of a shard has no name: {}", shown(&object.location));
            }
            let bytes = self
                .objects
                .read(&object.location, LARGEST_BYTES)
                .with_context(|| shown(&object.location))?;
            let folder = local.join("shards").join(shard);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(name), bytes)?;
            Ok(())
        })?;
        Ok(())
    }
}
