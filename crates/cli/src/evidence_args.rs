//! Arguments of the commands that show what channels are: pictures made for them, and single photographs.

use crate::args::share;
use crate::features::Parameterisation;
use crate::query_args::RecountArgs;
use clap::{ArgGroup, Args, ValueEnum, value_parser};
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("which").multiple(true).args(["groups", "layers", "channels"])))]
pub struct FeatvisArgs {
    /// A finished run folder.
    pub run: PathBuf,
    /// The channels of this group's graph; repeatable. Without any of --group, --layer, --channel
    /// and --all: the channels of the graphs of all classes.
    #[arg(long = "group", visible_alias = "class", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// All channels of a layer; repeatable.
    #[arg(long = "layer", value_name = "LAYER")]
    pub layers: Vec<String>,
    /// One channel, for example `mixed4a:55`; repeatable.
    #[arg(long = "channel", value_name = "LAYER:CHANNEL")]
    pub channels: Vec<String>,
    /// All channels of all layers.
    #[arg(long, conflicts_with = "which")]
    pub all: bool,
    /// One picture for two channels of a layer at once, for example `mixed4a:55+17`, into --out.
    #[arg(long, value_name = "LAYER:CHANNEL+CHANNEL", conflicts_with_all = ["which", "all", "logit"], requires = "out")]
    pub joint: Option<String>,
    /// One picture for the logit of a class, into --out.
    #[arg(long, value_name = "CLASS", conflicts_with_all = ["which", "all"], requires = "out")]
    pub logit: Option<String>,
    /// File of the picture (JPEG) of --joint or --logit.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Of the channels chosen only this many, spread evenly.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub sample: Option<u32>,
    /// Also a strip per channel: 4 pictures that differ, and one of what the channel likes least.
    /// Takes five times as long.
    #[arg(long)]
    pub detail: bool,
    /// Write the channels' pictures side by side to this file (JPEG) as well.
    #[arg(long, value_name = "FILE")]
    pub sheet: Option<PathBuf>,
    #[command(flatten)]
    pub recount: RecountArgs,
    /// Care taken: 512 steps on pictures of up to 128 pixels, or 128 steps on up to 96.
    #[arg(long, value_enum, default_value_t = FeaturePreset::Standard)]
    pub preset: FeaturePreset,
    /// Steps at most, instead of the preset's.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=100_000))]
    pub steps: Option<u32>,
    /// Side of the pictures at most, pixels, instead of the preset's.
    #[arg(long, value_name = "PIXELS", value_parser = value_parser!(u32).range(32..=1024))]
    pub side: Option<u32>,
    /// What is optimised: the spectrum, or (MACO) its phases alone, with the mean magnitudes of the run's
    /// images.
    #[arg(long, value_enum, default_value_t)]
    pub parameterisation: Parameterisation,
    /// Of everything random.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Print the closing summary as JSON for machines.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FeaturePreset {
    Standard,
    Fast,
}

#[derive(Args, Debug)]
pub struct ExplainImageArgs {
    /// A finished run folder.
    pub run: PathBuf,
    /// The photograph.
    pub image: PathBuf,
    /// The class to explain, by id, name or number [default: the predicted one].
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    #[command(flatten)]
    pub recount: RecountArgs,
    /// Share of a layer's score that its selected channels must hold.
    #[arg(long, default_value_t = 0.075, value_name = "SHARE", value_parser = share)]
    pub threshold: f64,
    /// How to write it [default: as the extension of --out says, else text].
    #[arg(long, value_enum)]
    pub format: Option<ExplainImageFormat>,
    /// File to write; standard output if not given.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExplainImageFormat {
    Text,
    Json,
    /// One page with all pictures in it.
    Html,
}
