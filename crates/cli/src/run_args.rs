//! Arguments of the commands that look at images: run, and its three steps.

use crate::args::{AddressArgs, ImageArgs, ModelArgs, PreprocessingArgs, limit, share_above_zero};
use crate::signed_args::InfluenceArgs;
use clap::{Args, ValueEnum, value_parser};
use std::path::PathBuf;
use std::time::Duration;
use summit_objects::Patience;

/// What the pass looks at.
#[derive(Args, Debug)]
pub struct PassArgs {
    /// Top channels of an image: from the strongest down, until together they have this share of
    /// the layer's activation.
    #[arg(
        long,
        default_value_t = 0.03,
        value_name = "SHARE",
        value_parser = share_above_zero,
        conflicts_with = "top_k"
    )]
    pub mass: f64,
    /// Top channels of an image: this many, instead of --mass.
    #[arg(long, value_name = "K", value_parser = value_parser!(u32).range(1..))]
    pub top_k: Option<u32>,
    /// Leave a channel out of activation aggregation, for example `mixed4a:55`; repeatable.
    #[arg(long, value_name = "LAYER:CHANNEL")]
    pub exclude: Vec<String>,
    /// Leave out the channels that `summit inspect --outliers` proposes for an earlier run of the
    /// network.
    #[arg(long, value_name = "FOLDER")]
    pub exclude_outliers_of: Option<PathBuf>,
    /// Tensors to take as layers instead of those that `summit inspect` lists, comma-separated.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub layers: Vec<String>,
    /// Leave out neuron influence: faster, but the run has no graphs.
    #[arg(long)]
    pub no_influence: bool,
    /// Who runs the network: this program itself, or ONNX Runtime.
    #[arg(long, value_enum, default_value_t = BackendArg::Builtin)]
    pub backend: BackendArg,
    /// Where ONNX Runtime runs it: cpu, cuda, tensorrt, directml or coreml.
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: String,
}

/// Heading of how images elsewhere are read.
const ELSEWHERE: &str = "Images on servers and in buckets";

/// How images elsewhere are read.
#[derive(Args, Clone, Copy, Debug)]
pub struct PatienceArgs {
    /// Give up an attempt to read after this many seconds.
    #[arg(long, help_heading = ELSEWHERE, default_value_t = 30.0, value_name = "SECONDS", value_parser = seconds)]
    pub io_timeout: f64,
    /// Try again this often, with growing pauses, before an image is skipped.
    #[arg(long, help_heading = ELSEWHERE, default_value_t = 4, value_name = "N", value_parser = value_parser!(u32).range(..=20))]
    pub io_retries: u32,
}

impl PatienceArgs {
    pub fn patience(self) -> Patience {
        Patience {
            attempt: Duration::from_secs_f64(self.io_timeout),
            retries: self.io_retries,
        }
    }
}

/// Everything a run is made from.
#[derive(Args, Debug)]
pub struct PlanArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub images: ImageArgs,
    /// The run folder: new, empty, or an interrupted run of the same model, images and settings.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    #[command(flatten)]
    pub pass: PassArgs,
    /// Images whose results are stored together. A killed run loses the shards under way, one a
    /// thread at most and the one being stored; memory grows with it.
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub shard_images: u32,
    #[command(flatten)]
    pub preprocessing: PreprocessingArgs,
}

#[derive(Args, Debug)]
#[command(mut_group("AddressArgs", |group| group.requires("serve")))]
pub struct RunArgs {
    #[command(flatten)]
    pub plan: PlanArgs,
    #[command(flatten)]
    pub signed: InfluenceArgs,
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Exit with code 1 when more images than this cannot be used: a number or a percentage.
    #[arg(long, value_name = "N|N%", value_parser = limit, allow_hyphen_values = true)]
    pub max_skipped: Option<Limit>,
    /// Do not look at the accuracy on a sample first.
    #[arg(long)]
    pub no_check: bool,
    /// Print the closing summary as JSON for machines.
    #[arg(long)]
    pub json: bool,
    /// Show the run in the browser while it is made, and serve it from its end on, until Ctrl-C.
    #[arg(long, conflicts_with = "json")]
    pub serve: bool,
    #[command(flatten)]
    pub address: AddressArgs,
}

#[derive(Args, Debug)]
pub struct ShardArgs {
    /// The plan: the folder (or bucket, s3://...) that `summit plan` made.
    #[arg(long, value_name = "FOLDER")]
    pub plan: String,
    /// Which of its shards, from 0.
    #[arg(long, value_name = "N")]
    pub id: u32,
    /// The network, where it is not where it was when the plan was made.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// The folder of the images, where it is not where it was.
    #[arg(long, value_name = "FOLDER")]
    pub images: Option<PathBuf>,
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    #[command(flatten)]
    pub patience: PatienceArgs,
}

#[derive(Args, Debug)]
pub struct MergeArgs {
    /// A plan (a folder, or a bucket, s3://...) whose shards are all done; or finished runs of different
    /// images.
    #[arg(required = true, value_name = "PLAN|RUN")]
    pub runs: Vec<String>,
    /// The run folder to make; the tables of a plan in a folder are written there unless this is given.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct ChangeArgs {
    /// A finished run folder; it is replaced when all is done.
    pub run: PathBuf,
    /// The images to add, none of which is in the run yet; or those to remove.
    #[arg(long, value_name = "FOLDER|FILE|URL")]
    pub images: PathBuf,
    /// The network, where it is not where it was when the run was made.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    #[command(flatten)]
    pub patience: PatienceArgs,
}

/// A number of images, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    Images(u32),
    Percent(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendArg {
    Builtin,
    Ort,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("0.01 to 3600 seconds".to_owned()),
    }
}
