//! Scratch.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]
use std::sync::Arc;
use summit_featvis::*;
use summit_images::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (path, layer, side, steps, out) = (
        &a[1],
        &a[2],
        a[3].parse::<u32>().unwrap(),
        a[4].parse().unwrap(),
        &a[5],
    );
    let model = summit_nn::onnx::load(std::path::Path::new(path), &Default::default()).unwrap();
    let shape = &model.graph.values[model.graph.input.index()].shape;
    let input = InputShape {
        channels: shape[1] as u32,
        height: shape[2] as u32,
        width: shape[3] as u32,
    };
    let pre = from_metadata(&model.metadata, input).preprocessing;
    let layers = summit_nn::layers::layers_from_names(&model.graph, &[layer.clone()]).unwrap();
    let side = if side == 0 {
        picture_side(&layers[0].info, 128)
    } else {
        side
    };
    let network = Arc::new(LayerNetwork::new(&model.graph, layers[0].value, side, &pre).unwrap());
    let mut session = network.session();
    for channel in a[6..].iter() {
        let c = summit_tables::ChannelId(channel.parse().unwrap());
        let start = std::time::Instant::now();
        let options = RenderOptions {
            steps,
            learning_rate: 0.05,
            seed: 0,
            robustness: Robustness::for_side(side as usize),
            early_stop: None,
        };
        let r = render(&mut session, &Objective::channel(c), &options, c.0 as u64).unwrap();
        println!(
            "{channel} {:?} steps {} objective {} max {} {:.1} ms/step",
            r.extents,
            r.steps,
            r.objective,
            r.maxima[c.index()],
            start.elapsed().as_secs_f64() * 1e3 / f64::from(r.steps)
        );
        let [h, w] = r.extents;
        let mut bytes = format!("P6 {w} {h} 255\n").into_bytes();
        for p in 0..h * w {
            for k in 0..3 {
                bytes.push((r.picture[k * h * w + p] * 255.0).round() as u8);
            }
        }
        std::fs::write(format!("{out}/{channel}.ppm"), bytes).unwrap();
    }
}
