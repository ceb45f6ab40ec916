//! One module per command.

pub mod check;
pub mod explain_image;
pub mod export;
pub mod featvis;
pub mod graph;
pub mod inspect;
pub mod merge;
pub mod run;
pub mod serve;

/// Worker threads by default.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
