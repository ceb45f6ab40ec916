//! Accuracy on a sample of the images under different preprocessings: the gate before a run, and
//! `summit check`.

use crate::model::LabelledImages;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use summit_images::{
    ColorOrder, DecodeLimits, ImageItem, ImageSource, InputShape, Preprocessing, Preset, load,
};
use summit_nn::exec::{CompileOptions, Network};
use summit_nn::graph::Graph;
use summit_summarize::Prediction;
use summit_tables::ClassId;

/// A way of preprocessing and how well the network does with it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Candidate {
    pub name: String,
    pub preprocessing: Preprocessing,
    pub images: u32,
    pub top1: u32,
    pub top5: u32,
}

impl Candidate {
    fn new(name: &str, preprocessing: Preprocessing) -> Self {
        Self {
            name: name.to_owned(),
            preprocessing,
            images: 0,
            top1: 0,
            top5: 0,
        }
    }

    /// Share of the images whose first class was right.
    pub fn accuracy(&self) -> f64 {
        f64::from(self.top1) / f64::from(self.images.max(1))
    }
}

/// The configured way first, then the known conventions that differ from it.
pub fn candidates(configured: &Preprocessing, input: InputShape) -> Vec<Candidate> {
    let mut all = vec![Candidate::new("as configured", configured.clone())];
    let mut push = |name: &str, preprocessing: Preprocessing| {
        if all.iter().all(|known| known.preprocessing != preprocessing) {
            all.push(Candidate::new(name, preprocessing));
        }
    };
    for preset in Preset::ALL {
        let mut preprocessing = preset.preprocessing(input);
        preprocessing.resize = configured.resize;
        push(preset.name(), preprocessing);
    }
    let swapped = match configured.color {
        ColorOrder::Rgb => ColorOrder::Bgr,
        ColorOrder::Bgr => ColorOrder::Rgb,
        ColorOrder::Grey => ColorOrder::Grey,
    };
    push(
        "as configured, red and blue swapped",
        Preprocessing {
            color: swapped,
            ..configured.clone()
        },
    );
    all
}

/// Evenly spread labelled images, at most `count`.
fn spread(images: &LabelledImages, count: usize) -> Vec<(&ImageItem, ClassId)> {
    let labelled: Vec<(&ImageItem, ClassId)> = images
        .source
        .list()
        .items
        .iter()
        .zip(&images.labels)
        .filter_map(|(item, label)| Some((item, (*label)?)))
        .collect();
    let count = count.min(labelled.len());
    (0..count)
        .map(|k| labelled[k * labelled.len() / count])
        .collect()
}

/// Measures every candidate on the same sample. Images that cannot be read are left out.
pub fn measure(
    graph: &Graph,
    images: &LabelledImages,
    candidates: &mut [Candidate],
    count: usize,
    threads: usize,
) -> Result<()> {
    let network = Network::compile(graph, &CompileOptions::default())?;
    let sample = spread(images, count);
    let next = AtomicUsize::new(0);
    let plan: Vec<Preprocessing> = candidates.iter().map(|c| c.preprocessing.clone()).collect();
    let total = Mutex::new(vec![[0u32; 3]; candidates.len()]);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut session = Arc::clone(&network).session();
                while let Some(&(item, label)) = sample.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Ok(image) = load(&images.source, item, &DecodeLimits::default()) else {
                        continue;
                    };
                    for (index, preprocessing) in plan.iter().enumerate() {
                        let mut pixels = vec![0.0; preprocessing.output_len()];
                        if preprocessing.apply(&image, &mut pixels).is_err() {
                            continue;
                        }
                        let Ok(logits) = session.run(&pixels, &mut |_, _| {}) else {
                            continue;
                        };
                        let top = Prediction::new(&logits, Some(label)).top_classes;
                        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                        total[index][0] += 1;
                        total[index][1] += u32::from(top.first() == Some(&label));
                        total[index][2] += u32::from(top.contains(&label));
                    }
                }
            });
        }
    });
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (candidate, [images, top1, top5]) in candidates.iter_mut().zip(total) {
        (candidate.images, candidate.top1, candidate.top5) = (images, top1, top5);
    }
    Ok(())
}
