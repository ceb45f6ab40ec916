//! Writes the whole site to a folder that any file host can serve.
//!
//! Place in the flow: every file of the bundle, made by a few threads, beside the interface. All
//! addresses in it are relative, so it works under any path. Memory: one file per thread, beside what
//! [`Bundle`] keeps.

use crate::assets::{ASSETS, Assets};
use crate::schema::AnnotationFile;
use crate::{Bundle, BundleFile, BundleSource, SiteError};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Marks a folder as written by [`export()`], so that it may be written again.
const MARK: &str = "bundle/manifest.json";

const README: &str =
    "A site made by `summit export`. Any file host can serve this folder, under any path.

Browsers do not run such pages from a folder (file://). To look at it here:

    summit serve .
";

/// What an export wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Files.
    pub files: usize,
    /// Bytes.
    pub bytes: u64,
    /// Pictures left out because their images cannot be read.
    pub missing_pictures: usize,
}

/// Writes the site of `bundle` to `target`: a new or empty folder, or an earlier export.
///
/// * `progress`: called with (files done, files in all), from any thread.
///
/// # Errors
/// The target is in use for something else or cannot be written; a table of the run is damaged.
pub fn export(
    bundle: &Bundle,
    assets: &Assets,
    target: &Path,
    threads: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<ExportReport, SiteError> {
    prepare(target)?;
    let mut report = ExportReport::default();
    for asset in &ASSETS {
        write(&target.join(asset.path), &assets.bytes(asset)?, &mut report)?;
    }
    write(&target.join("README.txt"), README.as_bytes(), &mut report)?;
    // GitHub Pages would otherwise drop files it takes for drafts.
    write(&target.join(".nojekyll"), b"", &mut report)?;

    let files = bundle.files()?;
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let total = Mutex::new(report);
    let worker = || -> Result<(), SiteError> {
        let mut own = ExportReport::default();
        while !stop.load(Ordering::Relaxed)
            && let Some(&file) = files.get(next.fetch_add(1, Ordering::Relaxed))
        {
            match bundle.file(file) {
                Ok(bytes) => {
                    let bytes = as_exported(file, bytes)?;
                    let path = target.join("bundle").join(file.to_string());
                    write(&path, &bytes, &mut own)?;
                }
                Err(error) if error.is_absent() => own.missing_pictures += 1,
                Err(error) => return Err(error),
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, files.len());
        }
        let mut total = total
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        total.files += own.files;
        total.bytes += own.bytes;
        total.missing_pictures += own.missing_pictures;
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1))
            .map(|_| {
                scope.spawn(|| {
                    let result = worker();
                    if result.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    result
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|handle| match handle.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })?;
    Ok(total
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// A file of the bundle as nobody can change it any more.
fn as_exported(file: BundleFile, bytes: Vec<u8>) -> Result<Vec<u8>, SiteError> {
    if file != BundleFile::Annotations {
        return Ok(bytes);
    }
    let mut annotations: AnnotationFile = serde_json::from_slice(&bytes)?;
    annotations.writable = false;
    Ok(serde_json::to_vec(&annotations)?)
}

fn prepare(target: &Path) -> Result<(), SiteError> {
    let in_use = || SiteError::TargetInUse {
        path: target.to_owned(),
    };
    match fs::read_dir(target) {
        Ok(mut entries) => {
            if entries.next().is_some() && !target.join(MARK).is_file() {
                return Err(in_use());
            }
            // An earlier bundle may have files this one has not.
            let old = target.join("bundle");
            if old.is_dir() {
                fs::remove_dir_all(&old).map_err(SiteError::io("remove", &old))?;
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir_all(target).map_err(SiteError::io("create", target))
        }
        Err(error) => Err(SiteError::io("read", target)(error)),
    }
}

fn write(path: &Path, bytes: &[u8], report: &mut ExportReport) -> Result<(), SiteError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(SiteError::io("create", folder))?;
    }
    fs::write(path, bytes).map_err(SiteError::io("write", path))?;
    report.files += 1;
    report.bytes += bytes.len() as u64;
    Ok(())
}
