//! The facts planted in the demonstration's images are found in its run, by the commands of the tutorial.
use crate::{demo, json, summit};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use summit_demo::world::{DEMO, Facts, Truth, World};
use summit_query::Questions;
use summit_tables::{ImageRecord, LayerId};

/// The last layer.
const LAST: &str = "mixed_c";

/// Share of the images that satisfy a condition in which each channel of the last layer is on top.
fn shares(
    questions: &Questions,
    layer: LayerId,
    wanted: impl Fn(&ImageRecord) -> bool,
) -> Vec<f64> {
    let tops = tops(questions, layer);
    let records: Vec<_> = questions
        .records()
        .iter()
        .filter(|record| wanted(record))
        .collect();
    let mut shares = vec![0.0; questions.layers()[layer.index()].channels as usize];
    for record in &records {
        for channel in &tops[&record.path] {
            shares[*channel] += 1.0 / records.len() as f64;
        }
    }
    shares
}

/// Top channels by path, read from the run's table.
fn tops(questions: &Questions, layer: LayerId) -> BTreeMap<String, Vec<usize>> {
    let path = |image| questions.records()[image as usize].path.clone();
    let mut tops: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for top in questions.run().top_channels(layer).unwrap() {
        let top = top.unwrap();
        tops.entry(path(top.image.0))
            .or_default()
            .push(top.channel.0 as usize);
    }
    tops
}

fn largest(values: &[f64]) -> (usize, f64) {
    let all = values.iter().copied().enumerate();
    all.max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap()
}

/// The channel of the last layer that tells whether a hand is there, found on other scenes than the
/// demonstration's and without any fish.
fn hand_channel() -> usize {
    let folder = tempfile::tempdir().unwrap();
    let world = World {
        seed: 77,
        images_per_class: 10,
        facts: Facts {
            hand_with_fish: 0,
            hand_elsewhere: 50,
            mislabelled: 0,
        },
    };
    let images = folder.path().join("images");
    let truths = world.write(&images).unwrap();
    let run = folder.path().join("run");
    let network = demo().folder().join("network.onnx");
    let [images, run, network] = [&images, &run, &network].map(|path| path.to_str().unwrap());
    summit(&[
        "run",
        "--model",
        network,
        "--images",
        images,
        "--out",
        run,
        "--mass",
        "0.1",
        "--no-check",
    ]);
    let questions = Questions::open(Path::new(run)).unwrap();
    let layer = questions.layer(LAST).unwrap();
    let with: BTreeSet<&str> = truths
        .iter()
        .filter(|truth| truth.hand)
        .map(|truth| truth.path.as_str())
        .collect();
    let strange = |record: &ImageRecord| !record.path.starts_with("fish");
    let on = shares(&questions, layer, |record| {
        strange(record) && with.contains(record.path.as_str())
    });
    let off = shares(&questions, layer, |record| {
        strange(record) && !with.contains(record.path.as_str())
    });
    let difference: Vec<f64> = on.iter().zip(&off).map(|(on, off)| on - off).collect();
    let (channel, by) = largest(&difference);
    println!(
        "hand: {LAST}:{channel}, on top in {:.2} of images with one, {:.2} without",
        on[channel], off[channel]
    );
    assert!(by > 0.5, "no channel tells hands: {by}");
    channel
}

#[test]
fn it_leaves_everything_a_user_would_have() {
    let folder = demo().folder();
    let truths = DEMO.truths();
    let written: Value =
        serde_json::from_slice(&std::fs::read(folder.join("images/truth.json")).unwrap()).unwrap();
    assert_eq!(written, serde_json::to_value(&truths).unwrap());
    assert_eq!(
        truths
            .iter()
            .filter(|truth| truth.label != truth.shown)
            .count(),
        6
    );
    assert!(
        truths
            .iter()
            .all(|truth| folder.join("images").join(&truth.path).is_file())
    );
    let graphs = std::fs::read_dir(folder.join("graphs")).unwrap().count();
    assert_eq!(graphs, 12);
    assert!(folder.join("run/evaluation.html").is_file());
    assert!(demo().printed.contains("A short cut"), "{}", demo().printed);
}

/// The network takes the hand for the fish.
#[test]
fn the_shortcut_is_found() {
    let channel = hand_channel();
    let run = demo().run();
    let run = run.to_str().unwrap();
    let graph = json(&["graph", run, "--class", "fish", "--format", "json"]);
    let layers = graph["layers"].as_array().unwrap();
    let last = layers
        .iter()
        .position(|layer| layer["name"] == LAST)
        .unwrap();
    let nodes = graph["nodes"].as_array().unwrap();
    let found = nodes
        .iter()
        .find(|node| node["layer"] == last && node["channel"] == channel);
    assert!(
        found.is_some(),
        "{LAST}:{channel} is not in the graph of fish: {nodes:?}"
    );

    let muted = json(&[
        "whatif",
        run,
        "--mute",
        &format!("{LAST}:{channel}"),
        "--json",
    ]);
    let right = |class: usize| {
        let effect = &muted["classes"][class.to_string()];
        let of = |place: usize| {
            effect["right"][place].as_f64().unwrap() / effect["images"].as_f64().unwrap()
        };
        (of(0), of(1))
    };
    println!(
        "fish right: {:?} before and after muting {LAST}:{channel}",
        right(0)
    );
    let (before, after) = right(0);
    assert!(
        after < before - 0.2,
        "muting the hand leaves fish where they were: {before} {after}"
    );
    for class in 1..12 {
        let (before, after) = right(class);
        assert!(
            (after - before).abs() <= 0.1,
            "class {class}: {before} {after}"
        );
    }
}

/// One channel tells the spotted mushrooms from the striped ones.
#[test]
fn the_twins_are_told_apart() {
    let run = demo().run();
    let run = run.to_str().unwrap();
    let compared = json(&[
        "compare",
        run,
        "spotted mushroom",
        "striped mushroom",
        "--format",
        "json",
    ]);
    println!(
        "{}",
        serde_json::to_string(&compared)
            .unwrap()
            .get(..600)
            .unwrap_or_default()
    );
    let questions = Questions::open(Path::new(run)).unwrap();
    let layer = questions.layer(LAST).unwrap();
    let [spotted, striped] = ["spotted", "striped"]
        .map(|name| shares(&questions, layer, |record| record.path.contains(name)));
    let difference: Vec<f64> = spotted
        .iter()
        .zip(&striped)
        .map(|(a, b)| (a - b).abs())
        .collect();
    let (channel, by) = largest(&difference);
    println!(
        "twins: {LAST}:{channel} is on top in {:.2} of spotted, {:.2} of striped",
        spotted[channel], striped[channel]
    );
    assert!(by > 0.8, "{by}");
}

/// Two channels divide the clocks as truth does: what is on top in most, and what is in most others.
#[test]
fn the_two_kinds_of_clock_are_found() {
    let questions = Questions::open(&demo().run()).unwrap();
    let layer = questions.layer(LAST).unwrap();
    let tops = tops(&questions, layer);
    let truths = DEMO.truths();
    let clocks: Vec<&Truth> = truths
        .iter()
        .filter(|truth| truth.label == "clock")
        .collect();
    let most = |images: &[&&Truth]| {
        let count = |channel: usize| {
            images
                .iter()
                .filter(|truth| tops[&truth.path].contains(&channel))
                .count()
        };
        (0..questions.layers()[layer.index()].channels as usize)
            .max_by_key(|&channel| count(channel))
            .unwrap()
    };
    let all: Vec<&&Truth> = clocks.iter().collect();
    let first = most(&all);
    let (with, without): (Vec<&&Truth>, Vec<&&Truth>) = all
        .iter()
        .partition(|truth| tops[&truth.path].contains(&first));
    let kind = |images: &[&&Truth], kind: &str| {
        images
            .iter()
            .filter(|truth| truth.kind == Some(kind))
            .count()
    };
    let table = [&with, &without].map(|side| [kind(side, "dial"), kind(side, "digits")]);
    println!("clocks with and without {LAST}:{first} on top, dials and digits: {table:?}");
    let straight = table[0][0] + table[1][1];
    let crossed = table[0][1] + table[1][0];
    assert!(
        straight.max(crossed) * 10 >= 9 * (straight + crossed),
        "{table:?}"
    );
}

/// The images with a wrong label are among those with the worst margins.
#[test]
fn wrong_labels_have_the_worst_margins() {
    let run = demo().run();
    let rows = json(&[
        "predictions",
        run.to_str().unwrap(),
        "--show",
        "images",
        "--limit",
        "20",
        "--format",
        "json",
    ]);
    let worst: BTreeSet<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["path"].as_str().unwrap())
        .collect();
    let truths = DEMO.truths();
    let wrong = truths.iter().filter(|truth| truth.label != truth.shown);
    let missing: Vec<_> = wrong
        .filter(|truth| !worst.contains(truth.path.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?} not among {worst:?}");
}
