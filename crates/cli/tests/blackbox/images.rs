//! Hostile images: skipped with their reason, the good ones counted, memory bounded.

use crate::case::{CLASSES, Case, picture};
use crate::command::Outcome;
use crate::support::black_png;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A JPEG of a picture.
fn jpeg() -> Vec<u8> {
    let limits = summit_images::DecodeLimits::default();
    let image = summit_images::decode(&picture(7, 1), &limits).unwrap();
    summit_images::encode_jpeg(&image, 90).unwrap()
}

/// The skip report: path to reason.
fn skipped(run: &Path) -> BTreeMap<String, String> {
    let report = json(&run.join("skipped.json"));
    let entry = |entry: &Value| {
        let text = |key: &str| entry[key].as_str().unwrap().to_owned();
        (text("path"), text("reason"))
    };
    report.as_array().unwrap().iter().map(entry).collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// `[listed, done, skipped]` of the manifest.
fn counts(run: &Path) -> [u64; 3] {
    let counts = json(&run.join("manifest.json"))["counts"].clone();
    ["listed", "done", "skipped"].map(|key| counts[key].as_u64().unwrap())
}

#[test]
fn bad_images_are_skipped_with_their_reason() {
    struct Bad {
        name: &'static str,
        bytes: Vec<u8>,
        reason: &'static str,
    }
    let good = jpeg();
    let bad = |name, bytes: &[u8], reason| Bad {
        name,
        bytes: bytes.to_vec(),
        reason,
    };
    let cases = [
        bad("birch/empty.jpg", b"", "the file is empty"),
        bad(
            "birch/half.jpg",
            &good[..good.len() / 2],
            "the JPEG file is truncated",
        ),
        bad(
            "birch/huge.png",
            &black_png(20_000, 20_000, 1),
            "too large: 20000x20000",
        ),
        bad("birch/text.jpg", b"dear diary", "it looks like text"),
        bad(
            "birch/half.png",
            &picture(1, 1)[..700],
            "the PNG file is truncated",
        ),
    ];
    let case = Case::small(6);
    let clean = case.path("clean");
    case.run(&clean).expect(0, &[]);
    for Bad { name, bytes, .. } in &cases {
        fs::write(case.images.join(name), bytes).unwrap();
    }
    // Not bad, only small.
    fs::write(case.images.join("birch/pixel.png"), black_png(1, 1, 8)).unwrap();
    fs::write(case.images.join("birch/good.jpg"), &good).unwrap();

    let out = case.path("run");
    let outcome = case.run(&out).expect(0, &[]);
    assert_eq!(counts(&out), [25, 20, 5]);
    assert!(
        outcome.stdout.contains("20 images, 5 skipped"),
        "{}",
        outcome.stdout
    );
    let report = skipped(&out);
    assert_eq!(report.len(), cases.len());
    for Bad { name, reason, .. } in &cases {
        assert!(report[*name].contains(reason), "{name}: {}", report[*name]);
        let line = format!("skipped: {name}: {}", report[*name]);
        assert!(outcome.stderr.contains(&line), "{line}");
        assert!(!report[*name].contains('\n'), "{name}");
    }
    assert_bounded(&outcome);
    // The same images without the bad ones give the same figures.
    for Bad { name, .. } in &cases {
        fs::remove_file(case.images.join(name)).unwrap();
    }
    let without = case.path("without");
    let second = case.run(&without).expect(0, &[]);
    let accuracy = |outcome: &Outcome| outcome.stdout.lines().last().unwrap().to_owned();
    assert_eq!(accuracy(&outcome), accuracy(&second));
}

/// A 20,000 x 20,000 picture is 1.2 GB decoded.
fn assert_bounded(outcome: &Outcome) {
    if cfg!(target_os = "linux") {
        let mebibytes = outcome.peak_bytes >> 20;
        assert!((1..200).contains(&mebibytes), "{mebibytes} MiB");
    }
}

#[test]
fn too_many_skipped_is_code_1_and_a_whole_run() {
    let case = Case::small(4);
    for name in ["ash/a.jpg", "birch/b.png", "birch/c.gif"] {
        fs::write(case.images.join(name), "no image").unwrap();
    }
    let unlimited = case.path("unlimited");
    case.run(&unlimited).expect(0, &["skipped: birch/b.png"]);
    for (limit, code) in [
        ("3", 0),
        ("2", 1),
        ("20%", 0),
        ("19.9%", 1),
        ("0", 1),
        ("100%", 0),
    ] {
        let out = case.path(&format!("run-{limit}"));
        let words: &[&str] = if code == 1 {
            &["3 of 15 images", "--max-skipped"]
        } else {
            &[]
        };
        case.run(&out)
            .args(&["--max-skipped", limit])
            .expect(code, words);
        crate::folders::assert_same(&unlimited, &out, &[]);
    }
}

#[test]
fn only_bad_images_are_still_a_run() {
    let case = Case::small(0);
    for class in CLASSES {
        fs::write(case.images.join(class).join("1.jpg"), "no image").unwrap();
    }
    let out = case.path("run");
    case.run(&out).expect(0, &["skipped: ash/1.jpg"]);
    assert_eq!(counts(&out), [3, 0, 3]);
    let graph = crate::command::Summit::new("graph").arg(&out);
    graph
        .args(&["--class", "ash"])
        .fails(&["no image of this run belongs to the group \"ash\""]);
}

#[test]
fn folders_without_images_are_refused_by_name() {
    let case = Case::small(0);
    let out = case.path("run");
    case.run(&out)
        .fails(&["no images", &case.images.display().to_string()]);
    let missing = case.path("nowhere");
    case.run_on(&missing, &out).fails(&[
        "cannot read the image folder",
        &missing.display().to_string(),
    ]);
    case.run_on(&case.model, &out)
        .fails(&["not a folder", &case.model.display().to_string()]);
    assert!(!out.exists(), "nothing was begun");
}

#[test]
fn what_cannot_be_listed_is_passed_over_with_its_reason() {
    use std::os::unix::fs::symlink;
    let case = Case::small(4);
    symlink("loop", case.images.join("loop")).unwrap();
    symlink("../nowhere.png", case.images.join("ash/dangling.png")).unwrap();
    symlink("..", case.images.join("birch/up")).unwrap();
    let out = case.path("run");
    case.run(&out).expect(
        0,
        &[
            "passed over: ash/dangling.png: it cannot be read: No such file",
            "passed over: birch/up: ",
            "passed over: loop: it cannot be read: Too many levels of symbolic links",
        ],
    );
    assert_eq!(counts(&out), [12, 12, 0]);
    let manifest = json(&out.join("manifest.json"));
    let listed = manifest["images"]["passed_over"].as_array().unwrap().len();
    assert_eq!(listed, 3);
    let limited = case.path("limited");
    case.run(&limited)
        .args(&["--max-skipped", "2"])
        .expect(1, &["3 of 15 images"]);
}

#[test]
fn an_unreadable_folder_is_passed_over() {
    use std::os::unix::fs::PermissionsExt;
    let case = Case::small(4);
    let locked = case.images.join("birch");
    let set =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(&locked, 0o000);
    let out = case.path("run");
    // Root reads everything, so it has itself replaced by nobody.
    let launched = if fs::read_dir(&locked).is_err() {
        Some(case.run(&out))
    } else {
        let become_nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let works = Command::new("setpriv")
            .args(become_nobody)
            .arg("true")
            .status();
        works.is_ok_and(|status| status.success()).then(|| {
            // All of the case's folder is nobody's, the binary is reached through a copy in it.
            set(case.folder.path(), 0o777);
            let copy = case.path("summit");
            fs::copy(crate::command::BINARY, &copy).unwrap();
            let mut launcher = Command::new("setpriv");
            launcher.args(become_nobody).arg(&copy);
            case.run(&out).launched_by(launcher)
        })
    };
    let Some(command) = launched else {
        println!("skipped: this user may read everything and cannot become another");
        return;
    };
    command.expect(
        0,
        &["passed over: birch: the folder cannot be read: Permission denied"],
    );
    assert_eq!(counts(&out), [8, 8, 0]);
    set(&case.images, 0o000);
    set(&locked, 0o755);
    let whole = if fs::read_dir(&case.images).is_err() {
        case.run(&case.path("second"))
    } else {
        let mut launcher = Command::new("setpriv");
        launcher
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(case.path("summit"));
        case.run(&case.path("second")).launched_by(launcher)
    };
    whole.fails(&[
        "cannot read the image folder: Permission denied",
        &case.images.display().to_string(),
    ]);
    set(&case.images, 0o755);
}
