//! Feature visualisation: pictures made so that a channel fires (docs/method.md, evidence for a
//! channel; Olah, Mordvintsev and Schubert, *Feature visualization*, Distill 2017).
//!
//! Place in the flow: beside the pass; `nn` differentiates, this crate optimises, `store` keeps the
//! pictures. The four parts are those of lucid:
//!
//! ```text
//! parameterisation ──▶ picture ──▶ transform ──▶ layer network ──▶ objective
//!  (spectrum, colour)  [3, H, W]   (robustness)   (up to a layer)   (channels)
//!        ▲                                                             │
//!        └───────────── render (Adam, early stop) ◀── gradients ◀──────┘
//! ```
//!
//! Pictures are `[3, H, W]`, f32, red, green, blue from 0 to 1, row-major. A rendering depends on the
//! network, the options and the seed alone, never on what else is rendered beside it.

mod diversity;
mod layer_network;
mod natural;
mod objective;
mod parameterisation;
mod random;
mod render;
#[cfg(test)]
mod testing;
mod transform;

pub use diversity::Style;
pub use layer_network::{FeatureError, LayerNetwork, LayerSession, picture_side};
pub use natural::{Probe, ProbeSession, Profile, mean_profile, naturalness};
pub use objective::Objective;
pub use parameterisation::Magnitudes;
pub use render::{EarlyStop, RenderOptions, Rendering, render};
pub use transform::Robustness;
