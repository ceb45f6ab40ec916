//! Feature visualisations: the same bytes however the command is cut, killed or spread over threads;
//! what is half-written or of something else is never taken for a picture.

use crate::case::Case;
use crate::command::Summit;
use crate::folders::{assert_same, contents};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Channels of the small network's three layers.
const CHANNELS: usize = 6 + 8 + 10;

fn featvis(run: &Path) -> Summit {
    Summit::new("featvis").arg(run).args(&["--steps", "24"])
}

/// A copy of a run without pictures.
fn copy(run: &Path, to: PathBuf) -> PathBuf {
    for (name, bytes) in contents(run) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    to
}

fn pictures(run: &Path) -> usize {
    let names = contents(run).into_keys();
    names.filter(|name| name.ends_with(".jpg")).count()
}

/// Pictures there while others are being written.
fn drawn(run: &Path) -> usize {
    let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    entries(run.join("features"))
        .flat_map(|layer| entries(layer.path().join("feature")))
        .filter(|file| file.path().extension().is_some_and(|name| name == "jpg"))
        .count()
}

#[test]
fn the_same_pictures_in_one_go_in_parts_and_killed() {
    let case = Case::small(4);
    let plain = case.path("plain");
    case.run(&plain).expect(0, &[]);
    let whole = copy(&plain, case.path("whole"));
    let outcome = featvis(&whole)
        .args(&["--all", "--threads", "1"])
        .expect(0, &[]);
    assert!(
        outcome.stdout.contains("24 pictures rendered"),
        "{}",
        outcome.stdout
    );
    assert_eq!(pictures(&whole), CHANNELS);

    let parts = copy(&plain, case.path("parts"));
    featvis(&parts)
        .args(&["--channel", "layer3:7", "--channel", "layer1:5"])
        .expect(0, &[]);
    assert_eq!(pictures(&parts), 2);
    featvis(&parts)
        .args(&["--layer", "layer2", "--threads", "2"])
        .expect(0, &[]);
    let outcome = featvis(&parts)
        .args(&["--all", "--threads", "2"])
        .expect(0, &[]);
    assert!(
        outcome.stdout.contains("14 pictures rendered, 10 there"),
        "{}",
        outcome.stdout
    );
    assert_same(&whole, &parts, &[]);

    let killed = copy(&plain, case.path("killed"));
    let mut kills = 0;
    for _ in 0..3 {
        let wanted = drawn(&killed) + 2;
        let mut child = featvis(&killed)
            .args(&["--all", "--threads", "2"])
            .start(None);
        // Struck in the middle, however fast the machine is.
        while child.try_wait().unwrap().is_none() && drawn(&killed) < wanted {
            thread::sleep(Duration::from_millis(1));
        }
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    assert!(kills > 0, "it ended before it could be killed");
    featvis(&killed).arg("--all").expect(0, &[]);
    assert_same(&whole, &killed, &[]);
    // A strip is added without changing what is there.
    let before = contents(&killed);
    let detail = featvis(&killed).args(&["--detail", "--channel", "layer2:3"]);
    detail.expect(0, &[]);
    let after = contents(&killed);
    let strip = "features/layer=layer2/detail/3.jpg";
    assert!(after.contains_key(strip) && !before.contains_key(strip));
    let picture = "features/layer=layer2/feature/3.jpg";
    assert!(before[picture] == after[picture]);
    // What is there stays; nothing is left to do.
    let outcome = featvis(&killed).arg("--all").expect(0, &[]);
    assert!(
        outcome.stdout.contains("0 pictures rendered, 24 there"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn channels_of_graphs_are_the_default() {
    let case = Case::small(4);
    let run = case.path("run");
    case.run(&run).expect(0, &[]);
    featvis(&run).args(&["--class", "birch"]).expect(0, &[]);
    let one = pictures(&run);
    assert!(one > 0 && one < CHANNELS, "{one}");
    featvis(&run).expect(0, &[]);
    assert!(pictures(&run) >= one);
    featvis(&run).args(&["--class", "oak"]).fails(&["oak"]);
    featvis(&run)
        .args(&["--layer", "nowhere"])
        .fails(&["nowhere"]);
    featvis(&run)
        .args(&["--channel", "layer1:6"])
        .fails(&["--channel", "layer1:6", "0 to 5"]);

    let uninfluenced = case.path("uninfluenced");
    case.run(&uninfluenced).arg("--no-influence").expect(0, &[]);
    featvis(&uninfluenced).fails(&["--layer", "influence"]);
}

#[test]
fn pictures_that_belong_to_no_channel_stand_alone() {
    let case = Case::small(4);
    let run = case.path("run");
    case.run(&run).expect(0, &[]);
    let before = contents(&run);
    let drawn = |arguments: &[&str], name: &str| {
        let out = case.path(name);
        let outcome = featvis(&run).args(arguments).arg("--out").arg(&out);
        let outcome = outcome.expect(0, &[]);
        assert!(outcome.stdout.contains("objective"), "{}", outcome.stdout);
        let bytes = fs::read(&out).unwrap();
        assert!(bytes.starts_with(&[0xff, 0xd8, 0xff]));
        bytes
    };
    let joint = drawn(&["--joint", "layer2:1+3"], "joint.jpg");
    let other = drawn(&["--joint", "layer2:1+4"], "other.jpg");
    let logit = drawn(&["--logit", "birch"], "logit.jpg");
    assert!(joint != other && other != logit);
    assert!(joint == drawn(&["--joint", "layer2:1+3"], "again.jpg"));
    assert!(before == contents(&run));
    let wrong = |arguments: &[&str], message: &[&str]| {
        let out = case.path("wrong.jpg");
        let outcome = featvis(&run).args(arguments).arg("--out").arg(&out);
        outcome.fails(message);
        assert!(!out.exists());
    };
    wrong(
        &["--joint", "layer2:1"],
        &["--joint", "LAYER:CHANNEL+CHANNEL"],
    );
    wrong(&["--joint", "layer2:1+8"], &["--joint", "0 to 7"]);
    wrong(&["--logit", "oak"], &["--logit", "oak"]);
}

#[test]
fn what_does_not_belong_together_is_not_mixed() {
    let case = Case::small(4);
    let run = case.path("run");
    case.run(&run).expect(0, &[]);
    let one = |steps: &str| {
        let featvis = Summit::new("featvis").arg(&run);
        featvis.args(&["--channel", "layer2:1", "--steps", steps])
    };
    one("5").expect(0, &[]);
    one("6").fails(&["other settings", "steps is 5 there and 6 now", "layer2"]);

    // Another model under the same name, none at all, and the right one elsewhere.
    let elsewhere = case.path("elsewhere.onnx");
    fs::rename(&case.model, &elsewhere).unwrap();
    one("5").fails(&["network is gone", "--model"]);
    one("5").arg("--model").arg(&elsewhere).expect(0, &[]);
    let mut changed = crate::case::small_network();
    changed.initializers.swap(0, 1);
    fs::write(&case.model, changed.bytes()).unwrap();
    one("5").fails(&["not the network of this run"]);

    // Without images there is nothing to compare with, and still a picture.
    fs::rename(&case.images, case.path("moved")).unwrap();
    let other = Summit::new("featvis")
        .arg(&run)
        .arg("--model")
        .arg(&elsewhere);
    other
        .args(&["--channel", "layer2:2", "--steps", "5"])
        .expect(0, &["not compared with natural images"]);

    let manifest = run.join("features/layer=layer2/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("naturalness") && text.contains("natural_activation"));
    for damaged in [
        &text[..text.len() / 2],
        "{}",
        text.replace("\"1\"", "\"99\"").as_str(),
    ] {
        fs::write(&manifest, damaged).unwrap();
        let again = Summit::new("featvis")
            .arg(&run)
            .arg("--model")
            .arg(&elsewhere);
        again
            .args(&["--channel", "layer2:3", "--steps", "5"])
            .fails(&["manifest is damaged", "layer2"]);
    }
}
