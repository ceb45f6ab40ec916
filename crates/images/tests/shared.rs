//! The evaluation data: label discovery, model metadata, golden images.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers outside #[test] functions"
)]

mod support;

use serde::Deserialize;
use std::path::Path;
use summit_images::{
    ColorOrder, DecodeLimits, ImageFolder, ImageSource, InputShape, Labels, MatchRule, Resize,
    ScanOptions, ValueRange, discover_labels, from_metadata, load_and_preprocess, match_folders,
};

#[test]
fn imagenette_finds_its_labels_without_being_told() {
    let Some(shared) = support::shared() else {
        return;
    };
    let root = shared.join("images/imagenette224");
    let source = ImageFolder::scan(&root, &ScanOptions::default()).unwrap();
    let list = source.list();
    assert_eq!((list.items.len(), list.folders.len()), (3925, 10));
    assert!(list.skipped.is_empty());
    let discovery = discover_labels(Some(Path::new("m.onnx")), Some(&root), 1000);
    let (path, labels) = discovery.found.unwrap();
    assert!(path.ends_with("labels.tsv"), "{}", path.display());
    let matched = match_folders(&list.folders, Some(&labels), 1000);
    assert_eq!(
        matched.to_string(),
        "10 of 10 folders matched: 10 by external id"
    );
    assert!(matched.warnings.is_empty());
    let tench = matched.classes()["n01440764"];
    assert_eq!(tench.0, 0);
    assert_eq!(labels.classes[tench.index()].name, "tench");
    let parachute = matched.classes()["n03888257"];
    assert_eq!(labels.classes[parachute.index()].name, "parachute");
}

#[test]
fn labels_table_is_read_whole() {
    let Some(shared) = support::shared() else {
        return;
    };
    let labels = Labels::read(&shared.join("images/labels.tsv")).unwrap();
    assert_eq!(labels.classes.len(), 1000);
    assert!(
        labels
            .classes
            .iter()
            .all(|c| c.external_id.is_some() && !c.name.is_empty())
    );
    let shark = &labels.classes[2];
    assert_eq!(shark.name, "great white shark");
    assert_eq!(shark.synonyms.len(), 4);
}

#[derive(Deserialize)]
struct GoldenCase {
    preprocessing: GoldenPreprocessing,
    classes: Vec<String>,
    images: Vec<GoldenImage>,
}

#[derive(Deserialize)]
struct GoldenPreprocessing {
    mean: [f32; 3],
    std: [f32; 3],
}

#[derive(Deserialize)]
struct GoldenImage {
    path: String,
    label: u32,
}

#[test]
fn golden_images_arrive_untouched() {
    let Some(shared) = support::shared() else {
        return;
    };
    for name in ["inception-tiny", "resnet-tiny", "depthwise-tiny"] {
        let folder = shared.join("golden").join(name);
        let text = std::fs::read_to_string(folder.join("case.json")).unwrap();
        let case: GoldenCase = serde_json::from_str(&text).unwrap();
        let source = ImageFolder::scan(&folder.join("images"), &ScanOptions::default()).unwrap();
        let list = source.list();
        let matched = match_folders(&list.folders, None, case.classes.len());
        let rule = matched.folders[0].class.unwrap().1;
        assert_eq!(rule, MatchRule::SortedOrder, "{name}");
        let classes = matched.classes();
        let found: Vec<_> = list
            .items
            .iter()
            .map(|item| {
                (
                    format!("images/{}", item.path),
                    classes[item.folder.as_ref().unwrap()].0,
                )
            })
            .collect();
        let expected: Vec<_> = case
            .images
            .into_iter()
            .map(|image| (image.path, image.label))
            .collect();
        assert_eq!(found, expected, "{name}");

        let joined = |values: [f32; 3]| values.map(|value| value.to_string()).join(",");
        let metadata = [
            ("mean", joined(case.preprocessing.mean)),
            ("std", joined(case.preprocessing.std)),
            ("scale", "0-255".to_owned()),
            ("color", "RGB".to_owned()),
            ("layout", "NCHW".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        let shape = InputShape {
            channels: 3,
            height: 32,
            width: 32,
        };
        let reading = from_metadata(&metadata, shape);
        assert_eq!(reading.found.len(), 5, "{name}");
        assert!(reading.notes.is_empty(), "{name}: {:?}", reading.notes);
        let preprocessing = reading.preprocessing;
        assert_eq!(preprocessing.range, ValueRange::Bytes);
        assert_eq!(preprocessing.color, ColorOrder::Rgb);

        // Images of the input's size are not resized, whether or not one says so.
        let mut exact = preprocessing.clone();
        exact.resize = Resize::None;
        let mut out = vec![0.0; preprocessing.output_len()];
        let mut out_exact = out.clone();
        let limits = DecodeLimits::default();
        for item in &list.items {
            load_and_preprocess(&source, item, &limits, &preprocessing, &mut out).unwrap();
            load_and_preprocess(&source, item, &limits, &exact, &mut out_exact).unwrap();
            assert_eq!(out, out_exact, "{}", item.path);
        }
    }
}

#[test]
fn photographs_all_decode() {
    let Some(shared) = support::shared() else {
        return;
    };
    let shape = InputShape {
        channels: 3,
        height: 224,
        width: 224,
    };
    let preprocessing = from_metadata(&Default::default(), shape).preprocessing;
    let mut out = vec![0.0; preprocessing.output_len()];
    for (folder, step) in [("sample1000", 5), ("imagenette224", 40), ("mini84", 100)] {
        let source =
            ImageFolder::scan(&shared.join("images").join(folder), &ScanOptions::default())
                .unwrap();
        for item in source.list().items.iter().step_by(step) {
            load_and_preprocess(
                &source,
                item,
                &DecodeLimits::default(),
                &preprocessing,
                &mut out,
            )
            .unwrap_or_else(|reason| panic!("{folder}/{}: {reason}", item.path));
        }
    }
}
