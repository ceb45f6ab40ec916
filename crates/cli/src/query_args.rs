//! Arguments of the questions over a finished run.

use crate::args::{GraphFormat, share};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Help of every group argument: one syntax for all commands.
pub const GROUP_HELP: &str = "Images asked about: a class by id, name or number; label:C; prediction:C; \
cell:LABEL:PREDICTION; correct; wrong; all; where:CONDITION over the predictions table; list:FILE of paths";

/// How a table is written.
#[derive(Args, Debug)]
pub struct TableArgs {
    /// How to write it [default: as the extension of --out says, else text].
    #[arg(long, value_enum)]
    pub format: Option<TableFormat>,
    /// File to write; standard output if not given.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    Text,
    Csv,
    Json,
}

#[derive(Args, Debug)]
pub struct ClassesArgs {
    /// A finished run folder.
    pub run: PathBuf,
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Args, Debug)]
pub struct PredictionsArgs {
    /// A finished run folder.
    pub run: PathBuf,
    #[arg(long, visible_alias = "class", value_name = "GROUP", help = GROUP_HELP, default_value = "all")]
    pub group: String,
    /// The table to show.
    #[arg(long, value_enum, default_value = "pairs")]
    pub show: PredictionTable,
    /// The most rows; 0 for all. CSV and JSON have all unless it is given.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PredictionTable {
    /// Pairs of classes taken for one another, most confused first.
    Pairs,
    /// Non-empty cells of the confusion matrix, largest first.
    Confusion,
    /// Histograms of the true class's and the winner's probability.
    Histogram,
    /// Reliability curve: accuracy against confidence.
    Calibration,
    /// Images by margin, the most wrong first.
    Images,
}

#[derive(Args, Debug)]
pub struct ChannelsArgs {
    /// A finished run folder.
    pub run: PathBuf,
    #[arg(long, visible_alias = "class", value_name = "GROUP", help = GROUP_HELP)]
    pub group: String,
    /// Only these layers, by name or position from 0; repeatable.
    #[arg(long = "layer", value_name = "LAYER")]
    pub layers: Vec<String>,
    /// Channels of a layer; 0 for all.
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub limit: usize,
    /// Images of the group that excite the channel most.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub examples: usize,
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Args, Debug)]
pub struct SimilarArgs {
    /// A finished run folder.
    pub run: PathBuf,
    #[arg(long, visible_alias = "class", value_name = "GROUP", help = GROUP_HELP)]
    pub group: String,
    /// Compare with the groups of equal prediction instead of equal label.
    #[arg(long)]
    pub by_prediction: bool,
    /// Neighbours in a layer.
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub limit: usize,
    #[command(flatten)]
    pub table: TableArgs,
}

/// Where the network and the images are, for what the tables of a run do not hold: groups that split a
/// cell of the confusion matrix, pictures.
#[derive(Args, Debug, Default)]
pub struct RecountArgs {
    /// The network, if it moved since the run.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Folder of the images, if it moved since the run; pictures are taken from there, too.
    #[arg(long, value_name = "FOLDER")]
    pub images: Option<PathBuf>,
}

/// How graphs are scored and selected.
#[derive(Args, Debug)]
pub struct GraphChoiceArgs {
    /// Share of a layer's score that its selected channels must hold at first; more keeps more
    /// channels.
    #[arg(long, default_value_t = 0.075, value_name = "SHARE", value_parser = share)]
    pub threshold: f64,
    /// Weight channels by how specific they are to classes.
    #[arg(long)]
    pub contrast: bool,
}

#[derive(Args, Debug)]
pub struct CompareArgs {
    /// A finished run folder.
    pub run: PathBuf,
    #[arg(value_name = "A", help = GROUP_HELP)]
    pub first: String,
    /// The group to compare it with.
    #[arg(value_name = "B")]
    pub second: String,
    /// How to write it [default: as the extension of --out says, else text].
    #[arg(long, value_enum)]
    pub format: Option<GraphFormat>,
    /// File to write; standard output if not given.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Draw channels as plain tiles in SVG, without pictures.
    #[arg(long)]
    pub no_pictures: bool,
    #[command(flatten)]
    pub choices: GraphChoiceArgs,
    #[command(flatten)]
    pub recount: RecountArgs,
}

#[derive(Args, Debug)]
pub struct EmbedArgs {
    /// A finished run folder.
    pub run: PathBuf,
    /// What the points are.
    #[arg(long, value_enum, default_value = "classes")]
    pub of: Points,
    /// Only these layers, by name or position from 0; repeatable.
    #[arg(long = "layer", value_name = "LAYER")]
    pub layers: Vec<String>,
    /// Classes are groups of equal prediction instead of equal label.
    #[arg(long)]
    pub by_prediction: bool,
    /// Equal seeds give equal maps.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Points {
    /// Classes, by their channels.
    Classes,
    /// Channels, by their classes; one map a layer.
    Channels,
    /// Images, by their top channels.
    Images,
}

#[derive(Args, Debug)]
pub struct PathsArgs {
    /// A finished run folder.
    pub run: PathBuf,
    #[arg(long, visible_alias = "class", value_name = "GROUP", help = GROUP_HELP, required_unless_present = "frequent")]
    pub group: Option<String>,
    /// The channel whose paths are shown.
    #[arg(
        long,
        value_name = "LAYER:CHANNEL",
        required_unless_present = "frequent"
    )]
    pub through: Option<String>,
    /// Instead: paths that the graphs of at least this many classes share.
    #[arg(long, value_name = "N", conflicts_with_all = ["group", "through"])]
    pub frequent: Option<u32>,
    /// Paths shown; 0 for all.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub limit: usize,
    #[command(flatten)]
    pub choices: GraphChoiceArgs,
    #[command(flatten)]
    pub recount: RecountArgs,
    #[command(flatten)]
    pub table: TableArgs,
}
