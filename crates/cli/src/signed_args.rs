//! Arguments of the commands that run the network again to measure signed influence.

use crate::args::share;
use crate::query_args::{GROUP_HELP, RecountArgs};
use clap::{Args, ValueEnum, value_parser};
use std::path::PathBuf;
use summit_explain::Measure;
use summit_nn::flow::SignedMeasure;

/// What scores and edges are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MeasureArg {
    /// Counts of the strongest inputs; no sign.
    ConvMax,
    /// Gradient times activation.
    Flow,
    /// The same with gradients averaged on the way from the mean image.
    FlowIg,
    /// Layer-wise relevance propagation.
    Lrp,
    /// What passes through the weights of every convolution, without a table: `summit graph` runs the
    /// network on the group's images.
    FlowTotals,
}

impl MeasureArg {
    /// The measure of a graph.
    pub fn measure(self) -> Measure {
        match self {
            Self::ConvMax => Measure::ConvMax,
            Self::Flow => Measure::Flow,
            Self::FlowIg => Measure::FlowIg,
            Self::Lrp => Measure::Lrp,
            Self::FlowTotals => Measure::FlowTotals,
        }
    }

    /// The signed measure, unless it has no sign.
    pub fn signed(self) -> Option<SignedMeasure> {
        match self {
            Self::ConvMax | Self::FlowTotals => None,
            Self::Flow => Some(SignedMeasure::Flow),
            Self::FlowIg => Some(SignedMeasure::IntegratedGradients),
            Self::Lrp => Some(SignedMeasure::Lrp),
        }
    }
}

/// Share of a layer's positive score among whose channels edges are measured.
pub const MASS: f64 = 0.15;

/// A number of images, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub Option<usize>);

fn count(text: &str) -> Result<Count, String> {
    if text == "all" {
        return Ok(Count(None));
    }
    let number = text.parse().ok().filter(|&number: &usize| number > 0);
    number
        .map(|number| Count(Some(number)))
        .ok_or_else(|| "a number above 0, or \"all\", is needed".to_owned())
}

/// A measure a run can hold.
fn tabled(text: &str) -> Result<MeasureArg, String> {
    match MeasureArg::from_str(text, false) {
        Ok(MeasureArg::FlowTotals) | Err(_) => {
            Err("conv-max, flow, flow-ig or lrp is needed".to_owned())
        }
        Ok(measure) => Ok(measure),
    }
}

/// How influence is measured when a run is made.
#[derive(Args, Debug)]
pub struct InfluenceArgs {
    /// Beside conv-max, measure this signed influence of every class once the run is finished.
    #[arg(long, value_parser = tabled, default_value = "conv-max", conflicts_with = "no_influence")]
    pub influence: MeasureArg,
    /// Images of each class on which it is measured: a number, or all.
    #[arg(long, value_name = "N|all", default_value = "64", value_parser = count)]
    pub influence_images: Count,
}

#[derive(Args, Debug)]
pub struct FlowArgs {
    /// A finished run folder.
    pub run: PathBuf,
    #[arg(long = "group", visible_alias = "class", value_name = "GROUP", help = GROUP_HELP)]
    pub groups: Vec<String>,
    /// What is measured.
    #[arg(long, value_enum, default_value_t = MeasureArg::Flow)]
    pub measure: MeasureArg,
    /// Images of each group: a number, or all.
    #[arg(long, value_name = "N|all", default_value = "64", value_parser = count)]
    pub images_per_group: Count,
    /// Share of each layer's positive score that the channels with edges hold: the most a graph can
    /// show.
    #[arg(long, default_value_t = MASS, value_name = "SHARE", value_parser = share)]
    pub mass: f64,
    /// Measure again what was measured.
    #[arg(long)]
    pub again: bool,
    /// Only scores of channels: print how long they take beside the plain network.
    #[arg(long)]
    pub time: bool,
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    #[command(flatten)]
    pub recount: RecountArgs,
}

#[derive(Args, Debug)]
pub struct EvaluateArgs {
    /// A finished run folder; `evaluation.json` and `evaluation.html` are written there.
    pub run: PathBuf,
    #[arg(long = "group", visible_alias = "class", value_name = "GROUP", help = GROUP_HELP)]
    pub groups: Vec<String>,
    /// Images of each group on which measures are fitted.
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = value_parser!(u32).range(2..))]
    pub fit: u32,
    /// Held-out images of each group on which they are judged.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub held_out: u32,
    /// Held-out images of each group on which edges are judged.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub edge_images: u32,
    /// Seed of samples and baselines.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    #[command(flatten)]
    pub recount: RecountArgs,
}

#[derive(Args, Debug)]
pub struct WhatifArgs {
    /// A finished run folder.
    pub run: PathBuf,
    /// Set a channel to 0; repeatable.
    #[arg(long, value_name = "LAYER:CHANNEL")]
    pub mute: Vec<String>,
    /// Multiply a channel by a factor; repeatable.
    #[arg(long, value_name = "LAYER:CHANNEL:FACTOR")]
    pub boost: Vec<String>,
    #[arg(long, visible_alias = "class", value_name = "GROUP", help = GROUP_HELP, default_value = "all")]
    pub group: String,
    /// Images of the group: a number, or all.
    #[arg(long, value_name = "N|all", default_value = "all", value_parser = count)]
    pub sample: Count,
    /// Write the network with the change as an ONNX file.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Print JSON for machines.
    #[arg(long)]
    pub json: bool,
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    #[command(flatten)]
    pub recount: RecountArgs,
}
