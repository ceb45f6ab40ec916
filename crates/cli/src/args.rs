//! Arguments as typed. What they mean is decided by the commands.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;
use summit_images::Preset;

/// Shows what an image classifier has learned: which channels fire for each class, and which drive
/// which.
#[derive(Debug, Parser)]
#[command(name = "summit", version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List a network's input, layers, operators and size.
    Inspect(InspectArgs),
    /// Try the known ways of preprocessing on a sample and say which one fits the network.
    Check(CheckArgs),
    /// Summarise a folder of images: one pass, kept in a run folder. Continues an interrupted run.
    Run(RunArgs),
    /// Print or draw the attribution graph of one class, or of all.
    Graph(GraphArgs),
    /// Show a run (or an exported site) in the browser.
    Serve(ServeArgs),
    /// Write a run as a site that any file host can serve.
    Export(ExportArgs),
    /// Combine runs of different images of the same network into one.
    Merge(MergeArgs),
}

#[derive(Args, Debug)]
pub struct ModelArgs {
    /// The network, an ONNX file.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Input extents, where the file leaves them open.
    #[arg(long, value_name = "C,H,W", value_parser = triple::<usize>)]
    pub input_shape: Option<[usize; 3]>,
    /// The output to explain, where the network has several.
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
}

#[derive(Args, Debug)]
pub struct ImageArgs {
    /// Folder of images, one sub-folder a class; or unlabelled images.
    #[arg(long, value_name = "FOLDER")]
    pub images: PathBuf,
    /// Names of the classes in the order of the network's outputs (TSV, JSON or lines). Found by
    /// itself beside the model or the images as labels.tsv and the like.
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    #[command(flatten)]
    pub preprocessing: PreprocessingArgs,
}

/// Overrides of what the model's metadata say.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Preprocessing (read from the model's metadata unless given)")]
pub struct PreprocessingArgs {
    /// A known convention: imagenet-torch, imagenet-tf or caffe.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<Preset>,
    /// Subtracted per channel.
    #[arg(long, value_name = "A,B,C", value_parser = triple::<f32>, allow_hyphen_values = true)]
    pub mean: Option<[f32; 3]>,
    /// Divisor per channel.
    #[arg(long, value_name = "A,B,C", value_parser = triple::<f32>)]
    pub std: Option<[f32; 3]>,
    /// Range of pixel values before the mean.
    #[arg(long, value_enum)]
    pub range: Option<RangeArg>,
    /// Order of the channels.
    #[arg(long, value_enum)]
    pub color: Option<ColorArg>,
    /// How an image gets to the input's size.
    #[arg(long, value_enum)]
    pub resize: Option<ResizeArg>,
    /// Short side before cropping, pixels.
    #[arg(long, value_name = "PIXELS")]
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
    /// Short side, then the centre.
    Crop,
    /// To the input's size, whatever the aspect ratio.
    Squash,
    /// Images must have the input's size.
    None,
}

#[derive(Args, Debug)]
pub struct InspectArgs {
    /// The network, an ONNX file.
    pub model: PathBuf,
    /// Input extents, where the file leaves them open.
    #[arg(long, value_name = "C,H,W", value_parser = triple::<usize>)]
    pub input_shape: Option<[usize; 3]>,
    /// The output to explain, where the network has several.
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    /// For machines.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub images: ImageArgs,
    /// Images looked at, spread over the list.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub sample: usize,
    /// For machines.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub images: ImageArgs,
    /// The run folder: new, empty, or an interrupted run of the same model and images.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Top channels of an image: descending until their share of the layer reaches this.
    #[arg(
        long,
        default_value_t = 0.03,
        value_name = "SHARE",
        conflicts_with = "top_k"
    )]
    pub mass: f64,
    /// Top channels of an image: this many.
    #[arg(long, value_name = "K")]
    pub top_k: Option<u32>,
    /// Leave a channel out of activation aggregation; repeatable.
    #[arg(long, value_name = "LAYER:CHANNEL")]
    pub exclude: Vec<String>,
    /// Tensors to take as layers instead of the ones found, comma-separated, input side first.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub layers: Vec<String>,
    /// Skip neuron influence; there will be no graphs.
    #[arg(long)]
    pub no_influence: bool,
    /// Worker threads; all cores by default.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Images whose results are committed together.
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub shard_images: u32,
    /// Exit with code 1 when more images than this cannot be used: a number or a percentage.
    #[arg(long, value_name = "N|N%")]
    pub max_skipped: Option<String>,
    /// Skip the look at a sample before the run.
    #[arg(long)]
    pub no_check: bool,
    /// For machines: a summary on standard output at the end.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct GraphArgs {
    /// The run folder.
    pub run: PathBuf,
    /// Class by id, name or number; repeatable.
    #[arg(long = "class", value_name = "CLASS", required_unless_present = "all")]
    pub classes: Vec<String>,
    /// All classes with images.
    #[arg(long, conflicts_with = "classes")]
    pub all: bool,
    /// Group images by their predicted class instead of their label.
    #[arg(long)]
    pub by_prediction: bool,
    /// How to write it; by the extension of --out where that is given.
    #[arg(long, value_enum)]
    pub format: Option<GraphFormat>,
    /// File to write; with several classes a folder.
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Share of a layer's score at which selection starts.
    #[arg(long, default_value_t = 0.075, value_name = "SHARE")]
    pub threshold: f64,
    /// Folder of the images, if it moved since the run (pictures of SVG).
    #[arg(long, value_name = "FOLDER")]
    pub images: Option<PathBuf>,
    /// Draw SVG without pictures.
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
    /// Address to listen on. Anything but this machine's own opens the run to the network.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub host: IpAddr,
    /// Port; 0 takes a free one.
    #[arg(long, default_value_t = 8642, value_name = "PORT")]
    pub port: u16,
    /// A further name the server is reached by, for example behind a proxy; repeatable.
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
    /// Folder of the images, if it moved since the run.
    #[arg(long, value_name = "FOLDER")]
    pub images: Option<PathBuf>,
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

#[derive(Args, Debug)]
pub struct MergeArgs {
    /// Finished runs of the same network with the same parameters and different images.
    #[arg(required = true, num_args = 2..)]
    pub runs: Vec<PathBuf>,
    /// The combined run.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
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
