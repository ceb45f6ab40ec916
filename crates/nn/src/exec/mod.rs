//! The built-in executor: a graph is compiled once into a plan ([`Network`]) that any number of
//! [`Session`]s run, one per worker thread. Weights are shared, each session owns its arena.
//!
//! ```text
//! fuse (which nodes run together) ─▶ place (where values lie) ─▶ plan (steps) ─▶ session (runs)
//! ```
//!
//! Memory of a session: the peak of live values (a value's storage is reused after its last
//! reader), plus scratch of one convolution.

mod conv;
pub(crate) mod fuse;
pub(crate) mod layout;
mod phases;
pub(crate) mod place;
mod plan;
mod session;
mod step;
mod stream;

pub use plan::{CompileError, CompileOptions, Network};
pub use session::{Hooks, ImageView, ImageViewMut, RunError, Session, TensorView};
#[cfg(feature = "ort")]
pub(crate) use step::to_image;

#[cfg(test)]
mod tests;
