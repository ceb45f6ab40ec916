//! Memory of a whole run: bounded, and the same for few and many images.

use crate::command::Summit;
use std::os::unix::fs::symlink;
use std::path::Path;

/// The promise of `summit run` on GoogLeNet.
const LIMIT_BYTES: u64 = 1 << 30;

/// Links to the first images of every class of `source`, `count` in all, as an image folder.
fn subset(source: &Path, count: usize, target: &Path) {
    let sorted = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    };
    let classes: Vec<_> = sorted(source)
        .into_iter()
        .filter(|path| path.is_dir())
        .collect();
    let mut images: Vec<_> = classes
        .iter()
        .flat_map(|class| sorted(class).into_iter().enumerate())
        .collect();
    // One of each class first, so that few images have many classes as well.
    images.sort_by_key(|(rank, path)| (*rank, path.clone()));
    assert!(images.len() >= count, "{} images", images.len());
    for (_, image) in images.into_iter().take(count) {
        let class = target.join(image.parent().unwrap().file_name().unwrap());
        std::fs::create_dir_all(&class).unwrap();
        symlink(&image, class.join(image.file_name().unwrap())).unwrap();
    }
}

#[test]
fn googlenet_stays_below_a_gigabyte_at_any_number_of_images() {
    let Some(shared) = crate::support::shared() else {
        return;
    };
    if !cfg!(target_os = "linux") {
        println!("skipped: the peak of a process is read from /proc");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let peak_bytes = |images: usize| {
        let source = folder.path().join(format!("{images}"));
        subset(&shared.join("images/sample1000"), images, &source);
        let outcome = Summit::new("run")
            .arg("--model")
            .arg(shared.join("models/bvlc-googlenet.onnx"))
            .arg("--images")
            .arg(&source)
            .arg("--labels")
            .arg(shared.join("images/labels.tsv"))
            .arg("--out")
            .arg(folder.path().join(format!("run-{images}")))
            .args(&["--no-check", "--shard-images", "25"])
            .expect(0, &[]);
        println!(
            "{images} images: {} MiB at the peak",
            outcome.peak_bytes >> 20
        );
        outcome.peak_bytes
    };
    let (few, many) = (peak_bytes(100), peak_bytes(400));
    assert!(
        few > 0 && few.max(many) <= LIMIT_BYTES,
        "{few} and {many} bytes"
    );
    // Measured in shards of 50: 219 MiB at 100 images, 268 at 400, 275 at 800. Sums that outlived their
    // shard would cost about a third of a MiB an image, 100 MiB here.
    assert!(many < few + few / 4, "{few} and {many} bytes");
}
