//! Shared vocabulary of Summit: ids and the in-memory tables a run is made of.
//!
//! Place in the flow: `summarize` fills these tables, `store` writes and reads them, `explain`
//! computes on them. No I/O, no arithmetic beyond merging. Terms are those of docs/method.md. Beside
//! them stands what every reader of outside bytes needs, [`caught()`], and work shared out among threads,
//! [`in_parallel`].

pub mod caught;
pub mod examples;
pub mod flow;
pub mod ids;
pub mod list;
pub mod model;
pub mod parallel;
pub mod run;
pub mod top_channels;

pub use caught::{caught, one_line};
pub use examples::{
    BestExamples, EXAMPLES_PER_BIN, EXAMPLES_PER_CHANNEL, HISTOGRAM_BINS, RangeExamples,
    histogram_bin, over_the_range,
};
pub use flow::{
    BIAS, EXAMPLES_PER_EDGE, EdgeExample, EdgeSum, FlowHeader, FlowTables, ScoreExample, ScoreSum,
};
pub use ids::{ChannelId, ClassId, ConvId, ImageId, LayerId};
pub use list::{ImageItem, ListHash, Place, PlannedImage, SourceKind};
pub use model::{Block, BlockEdge, BlockStep, ChannelLink, ConvInfo, LayerInfo, ModelInfo};
pub use parallel::{in_parallel, in_parallel_on, processors};
pub use run::{
    ActivationEntry, ClassEntry, ConvMaxCounts, DatasetExample, GroupId, Grouping, ImageRecord,
    InfluenceEntry, LayerTables, ShardTables, SkippedImage, Thumbnail, TopChannel,
};
pub use top_channels::{TopRule, top_channels_of};
