//! Arguments as typed. Values that can be judged alone are judged here, so that a wrong one is
//! refused before anything is read; what they mean is decided by the commands.

use crate::evidence_args::{ExplainImageArgs, FeatvisArgs};
use crate::query_args::{
    ChannelsArgs, ClassesArgs, CompareArgs, EmbedArgs, GROUP_HELP, GraphChoiceArgs, PathsArgs,
    PredictionsArgs, RecountArgs, SimilarArgs,
};
use crate::run_args::{ChangeArgs, Limit, MergeArgs, PatienceArgs, PlanArgs, RunArgs, ShardArgs};
use crate::signed_args::{EvaluateArgs, FlowArgs, MeasureArg, WhatifArgs};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum, value_parser};
use std::net::IpAddr;
use std::path::PathBuf;
use summit_images::Preset;

/// Shows what an image classifier has learned: which channels fire for each class, and which drive
/// which.
#[derive(Debug, Parser)]
#[command(
    name = "summit",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 done with more images skipped than --max-skipped allows, \
                  2 failed or stopped."
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try everything on a small world of drawn images with known facts: make it, summarise it, show it.
    Demo(DemoArgs),
    /// List a network's input, layers, operators and size.
    Inspect(InspectArgs),
    /// Try the known ways of preprocessing on a sample and say which one fits the network.
    Check(CheckArgs),
    /// Summarise a folder of images in one pass, kept in a run folder. The same command continues a
    /// run that was interrupted.
    Run(Box<RunArgs>),
    /// Write down a run for many machines: its images, cut into shards.
    Plan(Box<PlanArgs>),
    /// Do one shard of a plan. Doing it again changes nothing.
    Shard(ShardArgs),
    /// Add images to a finished run, as if it had been made from all of them.
    Add(ChangeArgs),
    /// Take images out of a finished run, as if it had been made without them. Refused where the run does not
    /// hold what would follow: one of them is among the ten strongest of a channel.
    Remove(ChangeArgs),
    /// Print or draw the attribution graph of a class or any group of images, or of all classes.
    Graph(GraphArgs),
    /// Draw what excites channels: pictures optimised for them, kept in the run folder. The same
    /// command continues where it was stopped.
    Featvis(FeatvisArgs),
    /// Explain one photograph: prediction, its own graph, where its channels are active, and how it
    /// compares with its class.
    ExplainImage(ExplainImageArgs),
    /// List the classes of a run with images, accuracy and mean probability.
    Classes(ClassesArgs),
    /// Confused pairs, confusion matrix, probability histograms, calibration, images by margin.
    Predictions(PredictionsArgs),
    /// The channels of a group in each layer, with the images that excite them.
    Channels(ChannelsArgs),
    /// The classes most like a group, layer by layer.
    Similar(SimilarArgs),
    /// What two groups share and what tells them apart, layer by layer.
    Compare(CompareArgs),
    /// Maps of classes, channels or images, layer by layer.
    Embed(EmbedArgs),
    /// Paths through a channel, or paths that many classes' graphs share.
    Paths(PathsArgs),
    /// Measure the signed influence of channels on classes, for graphs under `--measure flow`.
    Flow(FlowArgs),
    /// Measure how far influences can be trusted, on held-out images.
    Evaluate(EvaluateArgs),
    /// Mute channels or make them louder, and see what the network then says.
    Whatif(WhatifArgs),
    /// Show a run (or an exported site) in the browser.
    Serve(ServeArgs),
    /// Write a run as a site that any file host can serve.
    Export(ExportArgs),
    /// Make the tables of a plan from its shards; or combine runs of different images of the same
    /// network into one.
    Merge(MergeArgs),
    /// Print a shell's completion script.
    Completions(CompletionsArgs),
    /// Print the manual page.
    #[command(hide = true)]
    Man,
    /// Print the licences of the network and the font that are built in.
    Notices,
}

#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Folder for images, network, run and graphs; an earlier demonstration there is continued.
    #[arg(long, default_value = "summit-demo", value_name = "FOLDER")]
    pub out: PathBuf,
    /// Stop before the page is served.
    #[arg(long)]
    pub no_serve: bool,
    /// Port of the page; 0 takes a free one.
    #[arg(long, default_value_t = 8642, value_name = "PORT")]
    pub port: u16,
}

#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh.
    pub shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
pub struct ModelArgs {
    /// The network: an ONNX file, or `squeezenet`, which is built in (a file of that name comes first).
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Channels, height and width of the input, where the file leaves them open.
    #[arg(long, value_name = "C,H,W", value_parser = triple::<usize>)]
    pub input_shape: Option<[usize; 3]>,
    /// The output to explain, where the network has several.
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
}

#[derive(Args, Debug)]
pub struct ImageArgs {
    /// The images: a folder with one sub-folder per class, or with unlabelled images; WebDataset
    /// archives (.tar, .tar.gz); Parquet tables of images; a list (.csv, .tsv, .parquet) of paths or
    /// URLs. On disk, or under http(s)://, s3://, gs:// or az://; `{000..146}` stands for numbers.
    #[arg(long, value_name = "FOLDER|FILE|URL")]
    pub images: PathBuf,
    /// Names of the classes in the order of the network's outputs: a TSV, a JSON or one name a
    /// line. A labels.tsv, .json or .txt beside the model or the images is found without this.
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    #[command(flatten)]
    pub patience: PatienceArgs,
}

/// Heading of its arguments, each by itself: one set for the struct would stay for what follows it.
const PREPROCESSING: &str = "Preprocessing (taken from the model's metadata unless given)";

/// Overrides of what the model's metadata say.
#[derive(Args, Debug, Default)]
pub struct PreprocessingArgs {
    /// A known convention: imagenet-torch, imagenet-tf or caffe.
    #[arg(long, help_heading = PREPROCESSING, value_name = "NAME")]
    pub preset: Option<Preset>,
    /// Subtracted from each channel, on the scale of --range; one number serves all channels.
    #[arg(long, help_heading = PREPROCESSING, value_name = "A,B,C", value_parser = triple::<f32>, allow_hyphen_values = true)]
    pub mean: Option<[f32; 3]>,
    /// Then each channel is divided by this; one number serves all channels.
    #[arg(long, help_heading = PREPROCESSING, value_name = "A,B,C", value_parser = triple::<f32>, allow_hyphen_values = true)]
    pub std: Option<[f32; 3]>,
    /// Scale of the pixels from which the mean is subtracted.
    #[arg(long, help_heading = PREPROCESSING, value_enum)]
    pub range: Option<RangeArg>,
    /// Channels of the input and their order.
    #[arg(long, help_heading = PREPROCESSING, value_enum)]
    pub color: Option<ColorArg>,
    /// How an image is brought to the input's size.
    #[arg(long, help_heading = PREPROCESSING, value_enum)]
    pub resize: Option<ResizeArg>,
    /// Length of the short side from which the centre is cropped, in pixels.
    #[arg(long, help_heading = PREPROCESSING, value_name = "PIXELS")]
    pub short_side: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RangeArg {
    #[value(name = "0-255")]
    Bytes,
    #[value(name = "0-1")]
    Unit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ColorArg {
    Rgb,
    Bgr,
    Grey,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ResizeArg {
    /// Scale the short side, then crop the centre.
    Crop,
    /// Scale both sides, whatever the aspect ratio.
    Squash,
    /// Take images as they are; those of another size are skipped.
    None,
}

#[derive(Args, Debug)]
pub struct InspectArgs {
    /// The network, an ONNX file or `squeezenet`; with --outliers a run folder.
    pub model: PathBuf,
    /// Instead: channels of a finished run that are on top of most images, to leave out of another.
    #[arg(long)]
    pub outliers: bool,
    /// Channels, height and width of the input, where the file leaves them open.
    #[arg(long, value_name = "C,H,W", value_parser = triple::<usize>)]
    pub input_shape: Option<[usize; 3]>,
    /// The output to explain, where the network has several.
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    /// Print JSON for machines.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub images: ImageArgs,
    /// Images to look at, spread evenly over the folder.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub sample: u32,
    /// Print JSON for machines.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub preprocessing: PreprocessingArgs,
}

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("which").required(true).args(["groups", "all"])))]
pub struct GraphArgs {
    /// A finished run folder.
    pub run: PathBuf,
    #[arg(long = "group", visible_alias = "class", value_name = "GROUP", help = GROUP_HELP)]
    pub groups: Vec<String>,
    /// All classes that have images.
    #[arg(long)]
    pub all: bool,
    /// A class stands for the images predicted as it instead of those labelled as it.
    #[arg(long)]
    pub by_prediction: bool,
    /// What scores and edges are; flow, flow-ig and lrp must have been measured with `summit flow`
    /// [default: flow where the run holds it, else conv-max].
    #[arg(long, value_enum)]
    pub measure: Option<MeasureArg>,
    /// Draw edges with a negative effect as well (signed measures).
    #[arg(long)]
    pub negative: bool,
    /// How to write it [default: as the extension of --out says, else text].
    #[arg(long, value_enum)]
    pub format: Option<GraphFormat>,
    /// File to write, or with several classes the folder for their files; standard output if not
    /// given.
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub choices: GraphChoiceArgs,
    #[command(flatten)]
    pub recount: RecountArgs,
    /// Draw channels as plain tiles in SVG, without pictures.
    #[arg(long)]
    pub no_pictures: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    Text,
    Json,
    Dot,
    Svg,
}

#[derive(Args, Debug)]
pub struct ServeArgs {
    /// A finished run, or a folder written by `summit export`.
    pub run: PathBuf,
    #[command(flatten)]
    pub address: AddressArgs,
    /// Folder of the images, if it moved since the run.
    #[arg(long, value_name = "FOLDER")]
    pub images: Option<PathBuf>,
    /// The network, if it has moved since the run; it looks at photographs.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
}

/// Where a page is served, and to whom.
#[derive(Args, Debug)]
pub struct AddressArgs {
    /// Address to listen on. Anything but this machine's own opens the run to the network.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub host: IpAddr,
    /// Port; 0 takes a free one.
    #[arg(long, default_value_t = 8642, value_name = "PORT")]
    pub port: u16,
    /// A further name the server is reached by, for example behind a proxy; repeatable.
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
    /// Read the interface from this folder (for its development).
    #[arg(long, value_name = "FOLDER")]
    pub ui_dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The run folder.
    pub run: PathBuf,
    /// The site: a new or empty folder, or an earlier export.
    pub site: PathBuf,
    /// Folder of the images, if it moved since the run.
    #[arg(long, value_name = "FOLDER")]
    pub images: Option<PathBuf>,
    /// Worker threads; all cores by default.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

fn triple<T: std::str::FromStr + Copy>(text: &str) -> Result<[T; 3], String> {
    let parts: Vec<T> = text
        .split([',', ' ', 'x'])
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.parse()
                .map_err(|_| format!("`{part}` is not a number"))
        })
        .collect::<Result<_, _>>()?;
    match parts.as_slice() {
        [one] => Ok([*one; 3]),
        [a, b, c] => Ok([*a, *b, *c]),
        _ => Err("three numbers separated by commas are needed".to_owned()),
    }
}

pub(crate) fn share(text: &str) -> Result<f64, String> {
    let wrong = || "a number from 0 to 1 is needed".to_owned();
    let share: f64 = text.parse().map_err(|_| wrong())?;
    (0.0..=1.0)
        .contains(&share)
        .then_some(share)
        .ok_or_else(wrong)
}

pub fn share_above_zero(text: &str) -> Result<f64, String> {
    let share = share(text).ok().filter(|&share| share > 0.0);
    share.ok_or_else(|| "a number above 0 and at most 1 is needed".to_owned())
}

pub fn limit(text: &str) -> Result<Limit, String> {
    let limit = match text.strip_suffix('%') {
        Some(percent) => percent
            .trim()
            .parse()
            .ok()
            .filter(|percent| (0.0..=100.0).contains(percent))
            .map(Limit::Percent),
        None => text.parse().ok().map(Limit::Images),
    };
    limit.ok_or_else(|| "a number of images or a percentage from 0% to 100% is needed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn values_are_judged() {
        assert_eq!(limit("3"), Ok(Limit::Images(3)));
        assert_eq!(limit("2.5%"), Ok(Limit::Percent(2.5)));
        for text in ["", "%", "-1", "1.5", "101%", "nan%", "x"] {
            assert!(limit(text).is_err(), "{text}");
        }
        assert_eq!(share("0"), Ok(0.0));
        assert_eq!(share_above_zero("1"), Ok(1.0));
        for text in ["0", "-0.1", "1.1", "nan", "inf", "x", ""] {
            assert!(share_above_zero(text).is_err(), "{text}");
        }
        assert_eq!(triple("7"), Ok([7.0_f32; 3]));
        assert_eq!(triple("3x4, 5"), Ok([3_usize, 4, 5]));
        assert!(triple::<f32>("1,2").is_err() && triple::<usize>("1,2,-3").is_err());
    }
}
