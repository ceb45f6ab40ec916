//! Resampling by nearest neighbour and by linear interpolation (ONNX Resize).
//!
//! Coordinates are computed in `f32` as ONNX Runtime does: whether 2.9999999 or 3 comes out
//! decides which pixel a nearest-neighbour resize takes. The mapping functions are public so that
//! faster kernels read the same pixels.

use super::index::{for_each_index, offset, strides};
use crate::graph::Tensor;
use crate::graph::ir::{NearestRounding, ResizeCoordinates, ResizeMode};

/// Input coordinate (pixels, may lie outside) of an output pixel along one axis.
fn source_coordinate(
    position: usize,
    scale: f32,
    [inputs, outputs]: [usize; 2],
    coordinates: ResizeCoordinates,
) -> f32 {
    let x = position as f32;
    // An axis that keeps its extent is copied whatever the rule.
    if scale == 1.0 && inputs == outputs {
        return x;
    }
    match coordinates {
        ResizeCoordinates::PytorchHalfPixel if outputs == 1 => 0.0,
        ResizeCoordinates::HalfPixel | ResizeCoordinates::PytorchHalfPixel => {
            (x + 0.5) / scale - 0.5
        }
        ResizeCoordinates::AlignCorners if outputs == 1 => 0.0,
        ResizeCoordinates::AlignCorners => x * (inputs - 1) as f32 / (outputs - 1) as f32,
        ResizeCoordinates::Asymmetric => x / scale,
    }
}

/// Input pixel an output pixel copies along one axis; `extents` are `[input, output]`.
#[must_use]
pub fn nearest_source(
    position: usize,
    scale: f32,
    extents: [usize; 2],
    coordinates: ResizeCoordinates,
    rounding: NearestRounding,
) -> usize {
    let x = source_coordinate(position, scale, extents, coordinates);
    let rounded = match rounding {
        NearestRounding::RoundPreferFloor => (x - 0.5).ceil(),
        NearestRounding::RoundPreferCeil => (x + 0.5).floor(),
        NearestRounding::Floor => x.floor(),
        NearestRounding::Ceil => x.ceil(),
    };
    // The cast saturates: coordinates left of the image become its first pixel.
    (rounded as usize).min(extents[0] - 1)
}

/// The two input pixels an output pixel mixes along one axis, and the weight of the second;
/// `extents` are `[input, output]`. Coordinates outside are moved to the border.
#[must_use]
pub fn linear_sources(
    position: usize,
    scale: f32,
    extents: [usize; 2],
    coordinates: ResizeCoordinates,
) -> (usize, usize, f32) {
    let last = extents[0] - 1;
    let x = source_coordinate(position, scale, extents, coordinates).clamp(0.0, last as f32);
    let low = (x as usize).min(last);
    (low, (low + 1).min(last), x - low as f32)
}

/// Resamples to `output_shape`.
pub(super) fn resize(
    input: &Tensor,
    scales: &[f32],
    mode: ResizeMode,
    coordinates: ResizeCoordinates,
    output_shape: &[usize],
) -> Vec<f32> {
    let own = strides(&input.shape);
    let extents = |axis: usize| [input.shape[axis], output_shape[axis]];
    let mut output = Vec::with_capacity(output_shape.iter().product());
    for_each_index(output_shape, |index| {
        let axes = 0..index.len();
        let value = match mode {
            ResizeMode::Nearest(rounding) => {
                let source: Vec<usize> = axes
                    .map(|axis| {
                        nearest_source(
                            index[axis],
                            scales[axis],
                            extents(axis),
                            coordinates,
                            rounding,
                        )
                    })
                    .collect();
                f64::from(input.data[offset(&source, &own)])
            }
            ResizeMode::Linear => {
                let sources: Vec<(usize, usize, f32)> = axes
                    .map(|axis| {
                        linear_sources(index[axis], scales[axis], extents(axis), coordinates)
                    })
                    .collect();
                interpolate(input, &own, &sources)
            }
        };
        output.push(value as f32);
    });
    output
}

/// Sum over the corners of the cell, each weighted by the product of its axes' weights.
fn interpolate(input: &Tensor, own: &[usize], sources: &[(usize, usize, f32)]) -> f64 {
    let corners = vec![2; sources.len()];
    let mut sum = 0.0;
    for_each_index(&corners, |corner| {
        let mut weight = 1.0f64;
        let mut position = 0;
        for (axis, &(low, high, fraction)) in sources.iter().enumerate() {
            let upper = corner[axis] == 1;
            weight *= if upper {
                f64::from(fraction)
            } else {
                1.0 - f64::from(fraction)
            };
            position += own[axis] * if upper { high } else { low };
        }
        if weight != 0.0 {
            sum += weight * f64::from(input.data[position]);
        }
    });
    sum
}
