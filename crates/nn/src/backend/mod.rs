//! Who runs the network forward: the built-in executor, or ONNX Runtime (feature `ort`).
//!
//! A [`Backend`] is made once and shared; every worker thread asks it for a [`Runner`]. Both give
//! the same values to the observer in the same form, so whatever is computed from them does not
//! know who ran the network.

#[cfg(feature = "ort")]
mod ort;

#[cfg(feature = "ort")]
pub use self::ort::{Device, OrtBackend, OrtError, OrtModel};

use crate::exec::{Network, RunError, Session, TensorView};
use crate::graph::ValueId;
use std::sync::Arc;

/// Called with every observed value.
pub type Observe<'a> = dyn FnMut(ValueId, TensorView<'_>) + 'a;

/// A network that can be run by any number of threads.
pub trait Backend: std::fmt::Debug + Send + Sync {
    /// Memory and state of one thread.
    ///
    /// # Errors
    /// When the other runtime refuses the network.
    fn runner(&self) -> Result<Box<dyn Runner>, RunError>;
}

/// One thread's means of running a network.
pub trait Runner: std::fmt::Debug + Send {
    /// Runs on `input`, row-major `[N, C, H, W]`, and returns the output, row-major. Every observed
    /// value is handed to `observe` once; maps `[N, C, H, W]` as images.
    ///
    /// # Errors
    /// When the input's extent is wrong or the output is not finite.
    fn run(&mut self, input: &[f32], observe: &mut Observe<'_>) -> Result<Vec<f32>, RunError>;
}

impl Backend for Arc<Network> {
    fn runner(&self) -> Result<Box<dyn Runner>, RunError> {
        Ok(Box::new(self.session()))
    }
}

impl Runner for Session {
    fn run(&mut self, input: &[f32], observe: &mut Observe<'_>) -> Result<Vec<f32>, RunError> {
        Session::run(self, input, observe)
    }
}
