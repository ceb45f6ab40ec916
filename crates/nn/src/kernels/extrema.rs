//! Largest and smallest value of every channel over the positions of a map.

use super::dispatch;
use super::simd::{Isa, Simd};
use crate::exec::layout::Map;

/// Per channel: largest value, its first position in row-major order, smallest value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Channels {
    pub(crate) max: Vec<f32>,
    pub(crate) position: Vec<u32>,
    pub(crate) min: Vec<f32>,
}

/// Extrema of image `n` of a map over the positions a stride visits, starting at (0, 0).
///
/// Positions number the visited positions row by row. A map without positions gives -inf and inf.
pub(crate) fn extrema(
    isa: Isa,
    data: &[f32],
    map: Map,
    n: usize,
    strides: [usize; 2],
    into: &mut Channels,
) {
    assert!(n < map.batch && map.end() <= data.len(), "map out of range");
    into.max.clear();
    into.max.resize(map.channels, f32::NEG_INFINITY);
    into.min.clear();
    into.min.resize(map.channels, f32::INFINITY);
    into.position.clear();
    into.position.resize(map.channels, 0);
    let job = Job { map, n, strides };
    dispatch!(
        isa,
        extrema_with(job: Job, data: &[f32], into: &mut Channels) of (job, data, into)
    );
}

#[derive(Clone, Copy)]
struct Job {
    map: Map,
    n: usize,
    strides: [usize; 2],
}

/// # Safety
/// Instructions as [`Simd`] demands; the body is safe code the compiler vectorises with them.
#[inline(always)]
unsafe fn extrema_with<S: Simd>(job: Job, data: &[f32], into: &mut Channels) {
    let Job { map, n, strides } = job;
    let Channels { max, position, min } = into;
    let mut index = 0;
    for y in (0..map.height).step_by(strides[0].max(1)) {
        for x in (0..map.width).step_by(strides[1].max(1)) {
            let pixel = &data[map.at(n, y, x)..][..map.channels];
            let channels = pixel
                .iter()
                .zip(max.iter_mut())
                .zip(position.iter_mut())
                .zip(min.iter_mut());
            for (((&value, max), position), min) in channels {
                let larger = value > *max;
                *position = if larger { index } else { *position };
                *max = if larger { value } else { *max };
                *min = if value < *min { value } else { *min };
            }
            index += 1;
        }
    }
}
