//! One module per command.

pub mod about;
pub mod change;
pub mod channels;
pub mod check;
pub mod classes;
pub mod compare;
pub mod demo;
pub mod embed;
pub mod evaluate;
pub mod explain_image;
pub mod export;
pub mod featvis;
pub mod flow;
pub mod graph;
pub mod inspect;
pub mod merge;
pub mod paths;
pub mod plan;
pub mod predictions;
pub mod run;
pub mod serve;
pub mod shard;
pub mod similar;
pub mod whatif;

use crate::interrupt::Interrupt;
use crate::{message, progress};
use anyhow::Result;
use std::path::Path;
use std::sync::atomic::Ordering;
use summit_query::Questions;
use summit_tables::{Grouping, LayerId};

/// The layers named, ascending; all where none is.
fn layers(questions: &Questions, names: &[String]) -> Result<Vec<LayerId>> {
    if names.is_empty() {
        return Ok(questions.layers().iter().map(|layer| layer.id).collect());
    }
    let named = names.iter().map(|name| questions.layer(name));
    let mut layers: Vec<LayerId> = named.collect::<Result<_, _>>()?;
    layers.sort_unstable();
    layers.dedup();
    Ok(layers)
}

/// Tensor name of a layer.
fn layer_name(questions: &Questions, layer: LayerId) -> String {
    questions
        .layers()
        .get(layer.index())
        .map_or_else(String::new, |info| info.name.clone())
}

/// Makes what the first visitor of a finished run would wait for. What prevents it (a network without a block into
/// its logits) is said where it is asked for.
fn prepare(run: &Path) {
    message::note("making the maps and graphs that the browser shows");
    let bar = progress::bar("making graphs", "classes");
    let progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let interrupt = Interrupt::of_process();
    let _ = interrupt.listen_quietly();
    let _ = summit_site::prepare(run, interrupt.came(), &progress);
    bar.finish_and_clear();
    if interrupt.came().load(Ordering::Relaxed) {
        message::note("stopped; graphs that are not made yet are made when they are asked for");
    }
}

/// Which groups the classes stand for.
fn grouping(by_prediction: bool) -> Grouping {
    if by_prediction {
        Grouping::Prediction
    } else {
        Grouping::Label
    }
}

/// Worker threads by default.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
