//! The inner loops: everything that touches pixels and wants vector instructions.
//!
//! Images are stored channels-last, `[H, W, C]`, one after the other: a pixel's channels are
//! contiguous, so a 1x1 convolution is a matrix product without packing, a k x k one is the same
//! product with a longer row, and everything per channel (pooling, depthwise, maxima)
//! vectorises over channels whatever the spatial size.
//!
//! This is the only module of the crate with `unsafe`. Each kernel has a safe entry point that
//! checks the extents its pointer arithmetic relies on, and a naive twin in its tests.
#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "tile loops index several register arrays by the same position"
)]

pub(crate) mod adjoint;
pub(crate) mod buffer;
pub(crate) mod conv_max;
pub(crate) mod depthwise;
pub(crate) mod elementwise;
pub(crate) mod extrema;
pub(crate) mod matrix;
pub(crate) mod pool;
pub(crate) mod scatter;
pub(crate) mod simd;
pub(crate) mod weight_gradient;
pub(crate) mod winograd;

pub(crate) use simd::dispatch;
