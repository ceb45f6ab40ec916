//! Receptive fields against finite differences, on the evaluation networks: changing the outermost
//! rows and columns a unit should see changes it, changing the next ones does not, to the bit.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code")]

mod common;

use common::samples::uniform;
use summit_nn::exec::{CompileOptions, Network, Session, TensorView};
use summit_nn::layers::{LayerValue, PixelRectangle, ReceptiveField, find_layers};
use summit_nn::onnx::{LoadOptions, load};

const SIDE: usize = 224;

/// Images tried until each of the outermost lines has shown an effect: where a maximum lies elsewhere or
/// a ReLU is shut, a line has none in one image.
const IMAGES: u64 = 6;

/// All channels of each layer's unit, as bits.
fn units(
    session: &mut Session,
    layers: &[LayerValue],
    places: &[[u32; 2]],
    image: &[f32],
) -> Vec<Vec<u32>> {
    let mut found = vec![Vec::new(); layers.len()];
    session
        .run(image, &mut |value, view| {
            for (index, layer) in layers.iter().enumerate() {
                if let (true, TensorView::Image(map)) = (layer.value == value, view) {
                    let [row, column] = places[index];
                    let pixel = map.pixel(0, row as usize, column as usize);
                    found[index] = pixel.iter().map(|x| x.to_bits()).collect();
                }
            }
        })
        .unwrap();
    found
}

/// Another value in each pixel of a row (`axis` 0) or column of all colours.
fn with_line(image: &[f32], axis: usize, line: usize, noise: &[f32]) -> Vec<f32> {
    let mut changed = image.to_vec();
    for colour in 0..3 {
        for other in 0..SIDE {
            let (row, column) = if axis == 0 {
                (line, other)
            } else {
                (other, line)
            };
            let place = (colour * SIDE + row) * SIDE + column;
            changed[place] = noise[place];
        }
    }
    changed
}

#[test]
fn units_see_their_field_and_nothing_else() {
    let Some(shared) = common::shared() else {
        return;
    };
    for (name, bound) in [
        ("bvlc-googlenet", 120.0),
        ("squeezenet1_1", 2.0),
        ("efficientnet-lite0", 1.0),
    ] {
        let file = shared.join("models").join(name).with_extension("onnx");
        let graph = load(&file, &LoadOptions::default()).unwrap().graph;
        let layers = find_layers(&graph);
        let options = CompileOptions {
            observed: layers.iter().map(|layer| layer.value).collect(),
            ..CompileOptions::default()
        };
        let mut session = Network::compile(&graph, &options).unwrap().session();
        let (mut edges, mut outside) = (0, 0);
        for fraction in [0.5, 0.2] {
            let place = |extent: u32| (f64::from(extent) * fraction) as u32;
            let places: Vec<[u32; 2]> = layers
                .iter()
                .map(|layer| [place(layer.info.height), place(layer.info.width)])
                .collect();
            let fields: Vec<PixelRectangle> = layers
                .iter()
                .zip(&places)
                .map(|(layer, &unit)| {
                    ReceptiveField::of_layer(&layer.info).input_rectangle(unit, [SIDE as u32; 2])
                })
                .collect();
            // Per layer: its first and last row, then column; and whether each was seen to matter.
            let lines: Vec<[(usize, usize); 4]> = fields
                .iter()
                .map(|field| {
                    let [top, left] = [field.top as usize, field.left as usize];
                    let (bottom, right) = (
                        top + field.height as usize - 1,
                        left + field.width as usize - 1,
                    );
                    [(0, top), (0, bottom), (1, left), (1, right)]
                })
                .collect();
            let mut seen = vec![[false; 4]; layers.len()];
            for number in 0..IMAGES {
                let random = |name, bound: f64| {
                    uniform(number, name, &[1, 3, SIDE, SIDE], -bound, bound).data
                };
                let (image, noise) = (random("image", bound), random("noise", 3.0 * bound));
                let before = units(&mut session, &layers, &places, &image);
                for index in 0..layers.len() {
                    for (side, &(axis, line)) in lines[index].iter().enumerate() {
                        if !seen[index][side] {
                            let changed = with_line(&image, axis, line, &noise);
                            let after = units(&mut session, &layers, &places, &changed);
                            seen[index][side] = after[index] != before[index];
                        }
                        let next = if side % 2 == 0 {
                            line.checked_sub(1)
                        } else {
                            Some(line + 1)
                        };
                        let next = next.filter(|&line| line < SIDE && number == 0);
                        if let Some(line) = next {
                            let changed = with_line(&image, axis, line, &noise);
                            let after = units(&mut session, &layers, &places, &changed);
                            let layer = &layers[index].info.name;
                            assert_eq!(
                                after[index], before[index],
                                "{name} {layer}: {axis} {line}"
                            );
                            outside += 1;
                        }
                    }
                }
            }
            for (layer, seen) in layers.iter().zip(&seen) {
                assert_eq!(*seen, [true; 4], "{name} {}", layer.info.name);
                edges += 4;
            }
        }
        println!(
            "{name}: {} layers, {edges} edges seen, {outside} lines outside not",
            layers.len()
        );
    }
}
