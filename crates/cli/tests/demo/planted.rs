//! The facts planted in the demonstration's images are found in its run.

use crate::{demo, json, summit};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use summit_demo::world::{DEMO, Facts, Truth, World};
use summit_query::Questions;

/// A channel: layer, index.
type Channel = (usize, u32);

/// Every image's top channels in all layers, by path.
fn top_channels(questions: &Questions) -> BTreeMap<String, BTreeSet<Channel>> {
    let mut tops: BTreeMap<String, BTreeSet<Channel>> = BTreeMap::new();
    for layer in questions.layers() {
        for top in questions.run().top_channels(layer.id).unwrap() {
            let top = top.unwrap();
            let path = questions.record(top.image).unwrap().path.clone();
            let channel = (layer.id.index(), top.channel.0);
            tops.entry(path).or_default().insert(channel);
        }
    }
    tops
}

/// The channel that is on top in the most of `with` and the fewest of `without`, and its two shares.
fn telling(with: &[&BTreeSet<Channel>], without: &[&BTreeSet<Channel>]) -> (Channel, [f64; 2]) {
    let share = |images: &[&BTreeSet<Channel>], channel: &Channel| {
        let on = images.iter().filter(|tops| tops.contains(channel)).count();
        on as f64 / images.len() as f64
    };
    let channels: BTreeSet<&Channel> = with.iter().copied().flatten().collect();
    let shares = channels
        .into_iter()
        .map(|channel| (*channel, [share(with, channel), share(without, channel)]));
    shares
        .max_by(|(_, a), (_, b)| (a[0] - a[1]).total_cmp(&(b[0] - b[1])))
        .unwrap()
}

fn name(questions: &Questions, (layer, channel): Channel) -> String {
    format!("{}:{channel}", questions.layers()[layer].name)
}

/// The channel that tells whether a hand is there, found on other scenes than the demonstration's and
/// without any fish. Half of each layer's activation counts as top, since a hand is not all there is.
fn hand_channel() -> Channel {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    let world = World {
        seed: 77,
        images_per_class: 10,
        facts: Facts {
            hand_with_fish: 0,
            hand_elsewhere: 50,
            mislabelled: 0,
        },
    };
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
        "0.5",
        "--no-check",
    ]);
    let questions = Questions::open(Path::new(run)).unwrap();
    let tops = top_channels(&questions);
    let [with, without] = [true, false].map(|hand| -> Vec<_> {
        let wanted = |truth: &&Truth| truth.shown != "fish" && truth.hand == hand;
        let images = truths.iter().filter(wanted);
        images.map(|truth| &tops[&truth.path]).collect()
    });
    let (channel, shares) = telling(&with, &without);
    println!(
        "hands: {}, on top with and without one: {shares:.2?}",
        name(&questions, channel)
    );
    assert!(shares[0] - shares[1] > 0.4, "no channel tells hands");
    channel
}

#[test]
fn it_leaves_everything_a_user_would_have() {
    let folder = demo().folder();
    let truths = DEMO.truths();
    let text = std::fs::read(folder.join("images/truth.json")).unwrap();
    let written: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(written, serde_json::to_value(&truths).unwrap());
    let exists = |truth: &Truth| folder.join("images").join(&truth.path).is_file();
    assert!(truths.iter().all(exists));
    assert_eq!(
        std::fs::read_dir(folder.join("graphs")).unwrap().count(),
        12
    );
    assert!(folder.join("run/evaluation.html").is_file());
    assert!(demo().printed.contains("A short cut"), "{}", demo().printed);
    // The same command again is done at once and changes nothing.
    let table = folder.join("run/images.parquet");
    let before = std::fs::read(&table).unwrap();
    summit(&["demo", "--no-serve", "--out", folder.to_str().unwrap()]);
    assert_eq!(std::fs::read(&table).unwrap(), before);
}

/// The network takes the hand for the fish.
#[test]
fn the_shortcut_is_found() {
    let channel = hand_channel();
    let run = demo().run();
    let questions = Questions::open(&run).unwrap();
    let run = run.to_str().unwrap();
    let place = channel;
    let channel = name(&questions, place);
    for measure in ["conv-max", "flow"] {
        let graph = json(&[
            "graph",
            run,
            "--class",
            "fish",
            "--measure",
            measure,
            "--format",
            "json",
        ]);
        let nodes = graph["nodes"].as_array().unwrap();
        let found = nodes
            .iter()
            .any(|node| node["layer"] == place.0 && node["channel"] == place.1);
        assert!(
            found,
            "{channel} is not in the {measure} graph of fish: {nodes:?}"
        );
    }

    let muted = json(&["whatif", run, "--mute", &channel, "--json"]);
    let right = |class: usize| {
        let effect = &muted["classes"][class.to_string()];
        let images = effect["images"].as_f64().unwrap();
        [0, 1].map(|time| effect["right"][time].as_f64().unwrap() / images)
    };
    let fish = right(0);
    println!("fish right before and after muting {channel}: {fish:.2?}");
    assert!(
        fish[1] < fish[0] - 0.2,
        "muting {channel} leaves the fish: {fish:?}"
    );
    for class in 1..12 {
        let [before, after] = right(class);
        assert!(
            (after - before).abs() <= 0.05,
            "class {class}: {before} {after}"
        );
    }
}

/// One channel of the last layer tells the spotted mushrooms from the striped ones, and says so in the
/// comparison.
#[test]
fn the_twins_are_told_apart() {
    let run = demo().run();
    let run = run.to_str().unwrap();
    let twins = ["spotted mushroom", "striped mushroom"];
    let compared = json(&["compare", run, twins[0], twins[1], "--format", "json"]);
    let layers = compared["layers"].as_array().unwrap();
    let last = layers
        .iter()
        .find(|layer| layer["name"] == "mixed_c")
        .unwrap();
    let first = &last["most_distinct"][0];
    println!(
        "twins: mixed_c:{} {}",
        first["channel"], first["distinctness"]
    );
    assert!(
        first["distinctness"].as_f64().unwrap().abs() > 0.8,
        "{first}"
    );
    // Nothing before the marks are seen tells them apart.
    let stem = layers.iter().find(|layer| layer["name"] == "stem").unwrap();
    assert!(stem["similarity"].as_f64().unwrap() > 0.9, "{stem}");
}

/// Divided round the two images that stand for the others best, clocks fall into dials and digits.
#[test]
fn the_two_kinds_of_clock_are_found() {
    let questions = Questions::open(&demo().run()).unwrap();
    let tops = top_channels(&questions);
    let truths = DEMO.truths();
    let clocks: Vec<&Truth> = truths
        .iter()
        .filter(|truth| truth.label == "clock")
        .collect();
    let distance = |a: &Truth, b: &Truth| {
        let [a, b] = [a, b].map(|truth| &tops[&truth.path]);
        1.0 - a.intersection(b).count() as f64 / a.union(b).count() as f64
    };
    let pairs = (0..clocks.len()).flat_map(|a| (0..a).map(move |b| [a, b]));
    let cost = |pair: &[usize; 2]| -> f64 {
        let nearest = |clock: &&Truth| {
            let [a, b] = pair.map(|medoid| distance(clock, clocks[medoid]));
            a.min(b)
        };
        clocks.iter().map(nearest).sum()
    };
    let medoids = pairs.min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap();
    let agree = clocks
        .iter()
        .filter(|clock| {
            let [a, b] = medoids.map(|medoid| distance(clock, clocks[medoid]));
            (a <= b) == (clock.kind == Some("dial"))
        })
        .count();
    let agree = agree.max(clocks.len() - agree);
    println!("clocks: {agree} of {} are with their kind", clocks.len());
    assert!(
        agree * 100 >= 85 * clocks.len(),
        "{agree} of {}",
        clocks.len()
    );
}

/// The images with a wrong label have the worst margins, but for the short cut's victims.
#[test]
fn wrong_labels_have_the_worst_margins() {
    let run = demo().run();
    let rows = json(&[
        "predictions",
        run.to_str().unwrap(),
        "--show",
        "images",
        "--limit",
        "12",
        "--format",
        "json",
    ]);
    let rows = rows.as_array().unwrap();
    let worst: BTreeSet<&str> = rows
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
