//! Dataset examples as evidence: what is left of an activation when the network sees the crop alone.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic")]

#[path = "../../images/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use summit_images::{DecodeLimits, decode};
use summit_nn::exec::{CompileOptions, Network};
use summit_nn::layers::{ReceptiveField, layers_from_names};
use summit_nn::onnx::{LoadOptions, load};
use summit_store::Run;
use summit_tables::DatasetExample;

/// Every so many-th class of the evaluation data.
const STEP: usize = 12;

/// Every so many-th channel.
const CHANNELS: usize = 8;

/// The input with the mean colour everywhere but in the field of the example's unit.
fn alone(input: &[f32], field: ReceptiveField, example: &DatasetExample, side: usize) -> Vec<f32> {
    let unit = [u32::from(example.row), u32::from(example.column)];
    let field = field.input_rectangle(unit, [side as u32; 2]);
    let rows = field.top as usize..(field.top + field.height) as usize;
    let columns = field.left as usize..(field.left + field.width) as usize;
    let plane = side * side;
    let mean = |colour: usize| {
        let values = &input[colour * plane..(colour + 1) * plane];
        values.iter().sum::<f32>() / plane as f32
    };
    let means = [0, 1, 2].map(mean);
    let place = |(index, &value): (usize, &f32)| {
        let (row, column) = (index % plane / side, index % side);
        let inside = rows.contains(&row) && columns.contains(&column);
        if inside { value } else { means[index / plane] }
    };
    input.iter().enumerate().map(place).collect()
}

#[test]
fn crops_keep_most_of_the_activation() {
    let Some(shared) = support::shared() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    let classes = std::fs::read_dir(shared.join("images/sample1000")).unwrap();
    let mut classes: Vec<_> = classes.map(|entry| entry.unwrap().path()).collect();
    classes.sort();
    for class in classes.iter().filter(|path| path.is_dir()).step_by(STEP) {
        let target = images.join(class.file_name().unwrap());
        std::fs::create_dir_all(&target).unwrap();
        for entry in std::fs::read_dir(class).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), target.join(entry.file_name())).unwrap();
        }
    }
    let model = shared.join("models/squeezenet1_1.onnx");
    let run = folder.path().join("run");
    let made = Command::new(env!("CARGO_BIN_EXE_summit"))
        .args(["run", "--no-influence", "--no-check", "--model"])
        .args([
            model.as_os_str(),
            "--images".as_ref(),
            images.as_os_str(),
            "--out".as_ref(),
        ])
        .arg(&run)
        .status()
        .unwrap();
    assert!(made.success());
    measure(&Run::open(&run).unwrap(), &model, &images);
}

fn measure(run: &Run, model: &Path, images: &Path) {
    let graph = load(model, &LoadOptions::default()).unwrap().graph;
    let info = run.model_info();
    let names: Vec<String> = info.layers.iter().map(|layer| layer.name.clone()).collect();
    let layers = layers_from_names(&graph, &names).unwrap();
    let options = CompileOptions {
        observed: layers.iter().map(|layer| layer.value).collect(),
        ..CompileOptions::default()
    };
    let mut session = Network::compile(&graph, &options).unwrap().session();
    let preprocessing: summit_images::Preprocessing =
        serde_json::from_value(run.manifest().spec.preprocessing.clone()).unwrap();
    let records: Vec<_> = run.images().unwrap().map(Result::unwrap).collect();
    let side = preprocessing.size[0] as usize;
    let mut all = Vec::new();
    for layer in &layers {
        let field = ReceptiveField::of_layer(&layer.info);
        let mut kept = Vec::new();
        for example in run.examples(layer.info.id).unwrap().map(Result::unwrap) {
            if example.rank > 0 || example.channel.index() % CHANNELS > 0 || example.value <= 0.0 {
                continue;
            }
            let path = &records
                .iter()
                .find(|record| record.image == example.image)
                .unwrap()
                .path;
            let bytes = std::fs::read(images.join(path)).unwrap();
            let image = decode(&bytes, &DecodeLimits::default()).unwrap();
            let mut input = vec![0.0; preprocessing.output_len()];
            preprocessing.apply(&image, &mut input).unwrap();
            let crop = alone(&input, field, &example, side);
            let mut largest = 0.0f32;
            session
                .run(&crop, &mut |value, view| {
                    if value == layer.value {
                        let map = view.to_vec();
                        let plane = map.len() / layer.info.channels as usize;
                        let channel = map.chunks_exact(plane).nth(example.channel.index());
                        largest = channel.unwrap().iter().copied().fold(0.0, f32::max);
                    }
                })
                .unwrap();
            kept.push(largest / example.value);
        }
        kept.sort_by(f32::total_cmp);
        let median = kept[kept.len() / 2];
        println!(
            "{}: {} crops keep {median:.3} in the median",
            layer.info.name,
            kept.len()
        );
        assert!(median >= 0.7, "{}: {median}", layer.info.name);
        all.extend(kept);
    }
    all.sort_by(f32::total_cmp);
    println!(
        "all: {:.3}, a tenth of them below {:.3}",
        all[all.len() / 2],
        all[all.len() / 10]
    );
}
