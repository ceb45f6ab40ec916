//! Finds, decodes and preprocesses images and their labels.
//!
//! Place in the flow: the first step of a run. Images anywhere become a sorted [`ImageList`]
//! ([`source`]), bytes become RGB pixels ([`mod@decode`]), pixels become the network's input
//! ([`mod@preprocess`]), folder names become classes ([`labels`]); [`mod@thumbnail`] goes the way back, from
//! input coordinates to a small picture cut out of the original. Nothing here knows the network.
//!
//! Everything read here comes from outside and is treated as hostile: sizes are checked before
//! memory is allocated, and an image that cannot be used becomes a [`SkipReason`], never a panic.
//!
//! Shapes: pixels are `[height, width, 3]` u8 RGB, inputs `[channels, height, width]` (or channels
//! last) f32. One image is in memory per call; its cost is bounded by [`DecodeLimits`].

pub mod decode;
pub mod labels;
pub mod load;
pub mod preprocess;
pub mod source;
pub mod thumbnail;

pub use decode::{DecodeError, DecodeLimits, DecodedImage, ImageFormat, decode};
pub use labels::{
    ClassLabel, FolderMatch, LabelDiscovery, LabelError, LabelMatch, Labels, MatchRule,
    RejectedLabels, discover_labels, match_folders,
};
pub use load::{LoadedMeta, SkipReason, load, load_and_preprocess};
pub use preprocess::{
    ColorOrder, FoundSetting, InputGeometry, InputShape, Layout, MetadataReading, PreprocessError,
    Preprocessing, Preset, Resize, ResizeFilter, ValueRange, from_metadata,
};
pub use source::{
    ImageFolder, ImageItem, ImageList, ImageSource, Images, ListHash, Place, ReadError,
    ScanOptions, SkippedPath, SourceError, SourceKind,
};
pub use thumbnail::{
    InputRect, ThumbnailError, crop_and_resize, crop_thumbnail, encode_jpeg, thumbnail,
};
