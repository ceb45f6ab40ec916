//! Winograd convolution F(2x2, 3x3): stride 1, 2.25 times fewer multiplications than direct sums.
//!
//! Tiles of 4x4 input pixels become 16 matrix products of `[tiles, Cin] x [Cin, Cout]`
//! (Lavin and Gray, arXiv 1509.09308). The transforms contain only 0, 1, -1 and 1/2, so the error
//! stays at that of direct sums in float32; larger tiles would be faster and lose two digits, which
//! gradients feel at every kink. Tiles go through in blocks whose transforms stay in the
//! second-level cache.

use super::dispatch;
use super::matrix::{Epilogue, PackedWeights, Segment, multiply};
use super::simd::{Isa, Simd};
use crate::exec::layout::Map;

/// Matrix products per tile.
const POINTS: usize = 16;

/// Elements of transformed input and output kept at a time: 768 KiB beside the weights in a
/// second-level cache.
const BLOCK_ELEMENTS: usize = 192 * 1024;

/// Transformed weights that such a cache does not keep: every block reads them anew from further
/// away, so blocks are larger.
const MANY_WEIGHTS: usize = 600 * 1024;

/// [`BLOCK_ELEMENTS`] for those: 2 MiB.
const BLOCK_ELEMENTS_OF_MANY: usize = 512 * 1024;

/// Transformed weights of one convolution.
#[derive(Debug)]
pub(crate) struct WinogradWeights {
    isa: Isa,
    points: Vec<PackedWeights>,
    inputs: usize,
    outputs: usize,
}

impl WinogradWeights {
    /// From `weight(output, input, ky, kx)` of a 3x3 convolution.
    pub(crate) fn new(
        isa: Isa,
        inputs: usize,
        outputs: usize,
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Self {
        let mut transformed = vec![0.0f32; POINTS * inputs * outputs];
        for j in 0..outputs {
            for i in 0..inputs {
                let kernel: [[f64; 3]; 3] = std::array::from_fn(|ky| {
                    std::array::from_fn(|kx| f64::from(weight(j, i, ky, kx)))
                });
                let rows: [[f64; 3]; 4] = transpose_expand(kernel);
                for (y, row) in rows.iter().enumerate() {
                    for (x, value) in expand(*row).into_iter().enumerate() {
                        transformed[((y * 4 + x) * inputs + i) * outputs + j] = value as f32;
                    }
                }
            }
        }
        let whole = Segment {
            offset: 0,
            len: inputs,
        };
        let points = PackedWeights::many(isa, &[whole], outputs, POINTS, |point, i, j| {
            transformed[(point * inputs + i) * outputs + j]
        });
        Self {
            isa,
            points,
            inputs,
            outputs,
        }
    }

    /// Tiles that go through at a time.
    fn block(&self) -> usize {
        let weights = POINTS * self.inputs * self.outputs;
        let budget = if weights > MANY_WEIGHTS {
            BLOCK_ELEMENTS_OF_MANY
        } else {
            BLOCK_ELEMENTS
        };
        let tiles = budget / (POINTS * (self.inputs + self.outputs));
        (tiles / 6 * 6).clamp(12, 96)
    }

    /// Scratch elements [`convolve`] needs.
    pub(crate) fn scratch(&self) -> usize {
        POINTS * self.block() * (self.inputs + self.outputs)
    }
}

/// `G g`: 3 taps to 4 points.
fn expand([a, b, c]: [f64; 3]) -> [f64; 4] {
    [a, (a + b + c) / 2.0, (a - b + c) / 2.0, c]
}

fn transpose_expand(kernel: [[f64; 3]; 3]) -> [[f64; 3]; 4] {
    let mut rows = [[0.0; 3]; 4];
    for x in 0..3 {
        let column = expand([kernel[0][x], kernel[1][x], kernel[2][x]]);
        for (row, value) in rows.iter_mut().zip(column) {
            row[x] = value;
        }
    }
    rows
}

/// Convolves. Position (0, 0) of `source` is what the first tap of output (0, 0) reads; at the
/// bottom and right everything that tiles of 2x2 outputs read must be readable:
/// `2 * ceil(out / 2) + 2` rows and columns.
///
/// `residual` adds another map of the output's extents before clamping; where `gate`, a third one,
/// is not positive, the result is 0.
#[expect(
    clippy::too_many_arguments,
    reason = "one call site; a struct would repeat the names"
)]
pub(crate) fn convolve(
    weights: &WinogradWeights,
    source: (&[f32], Map),
    target: (&mut [f32], Map),
    residual: Option<(&[f32], Map)>,
    gate: Option<(&[f32], Map)>,
    bias: &[f32],
    [low, high]: [f32; 2],
    scratch: &mut [f32],
) {
    let (input, from) = source;
    let (out, to) = target;
    assert_eq!(from.channels, weights.inputs, "input channels");
    assert_eq!(to.channels, weights.outputs, "output channels");
    assert_eq!(bias.len(), weights.outputs, "one bias per output channel");
    assert!(to.end() <= out.len(), "output out of range");
    let [tiles_y, tiles_x] = [to.height.div_ceil(2), to.width.div_ceil(2)];
    let last = from.offset
        + from.batch.saturating_sub(1) * from.image
        + (2 * tiles_y + 1) * from.row
        + (2 * tiles_x + 1) * from.pixel
        + from.channels;
    assert!(last <= input.len(), "input out of range");
    for (data, map) in residual.iter().chain(&gate) {
        assert!(
            map.end() <= data.len() && map.channels == to.channels,
            "residual or gate out of range"
        );
    }

    let block = weights.block();
    let (points_in, rest) = scratch.split_at_mut(POINTS * block * weights.inputs);
    let points_out = &mut rest[..POINTS * block * weights.outputs];
    let offsets = |width: usize| -> Vec<u32> { (0..block).map(|t| (t * width) as u32).collect() };
    let (in_offsets, out_offsets) = (offsets(weights.inputs), offsets(weights.outputs));

    let corners: Vec<[usize; 3]> = (0..to.batch)
        .flat_map(|n| (0..tiles_y).flat_map(move |y| (0..tiles_x).map(move |x| [n, 2 * y, 2 * x])))
        .collect();
    // Blocks of about the same size.
    let size = corners.len().div_ceil(corners.len().div_ceil(block).max(1));
    for corners in corners.chunks(size.max(1)) {
        let job = Job {
            from,
            to,
            corners,
            block,
        };
        dispatch!(
            weights.isa,
            transform_input(job: &Job<'_>, input: &[f32], points: &mut [f32])
                of (&job, input, &mut *points_in)
        );
        let count = corners.len();
        for (point, packed) in weights.points.iter().enumerate() {
            multiply(
                packed,
                &points_in[point * block * weights.inputs..],
                &in_offsets[..count],
                &mut points_out[point * block * weights.outputs..],
                &out_offsets[..count],
                Epilogue::NONE,
            );
        }
        let finish = Finish {
            residual,
            gate,
            bias,
            low,
            high,
        };
        dispatch!(
            weights.isa,
            transform_output(
                job: &Job<'_>,
                points: &[f32],
                out: &mut [f32],
                finish: &Finish<'_>,
            ) of (&job, &*points_out, &mut *out, &finish)
        );
    }
}

/// A block of tiles; corners are output positions `[n, y, x]`.
struct Job<'a> {
    from: Map,
    to: Map,
    corners: &'a [[usize; 3]],
    block: usize,
}

struct Finish<'a> {
    residual: Option<(&'a [f32], Map)>,
    gate: Option<(&'a [f32], Map)>,
    bias: &'a [f32],
    low: f32,
    high: f32,
}

/// First channel of every vector, the last one overlapping its neighbour where needed; `None` when
/// there are fewer channels than lanes.
#[inline(always)]
fn starts(channels: usize, lanes: usize) -> Option<impl Iterator<Item = usize>> {
    (channels >= lanes).then(|| {
        (0..channels.div_ceil(lanes)).map(move |index| (index * lanes).min(channels - lanes))
    })
}

/// # Safety
/// Extents as checked by [`convolve`]; instructions as [`Simd`] demands.
#[inline(always)]
unsafe fn transform_input<S: Simd>(job: &Job<'_>, input: &[f32], points: &mut [f32]) {
    let Job {
        from,
        corners,
        block,
        ..
    } = *job;
    let channels = from.channels;
    for (tile, &[n, y, x]) in corners.iter().enumerate() {
        let corner = from.at(n, y, x);
        let target = tile * channels;
        let step = block * channels;
        // SAFETY: `convolve` checked that 4x4 pixels from every corner are inside `input`, and
        // `points` has POINTS * block * channels elements.
        unsafe {
            if let Some(vectors) = starts(channels, S::LANES) {
                for c in vectors {
                    let tile = |py: usize, px: usize| {
                        S::load(
                            input
                                .as_ptr()
                                .add(corner + py * from.row + px * from.pixel + c),
                        )
                    };
                    input_points::<S>(tile, points.as_mut_ptr().add(target + c), step);
                }
            } else {
                let mut buffer = vec![0.0f32; POINTS * S::LANES];
                let mut tiles = vec![0.0f32; 16 * S::LANES];
                for point in 0..16 {
                    let at = corner + point / 4 * from.row + point % 4 * from.pixel;
                    tiles[point * S::LANES..][..channels]
                        .copy_from_slice(&input[at..at + channels]);
                }
                let tile =
                    |py: usize, px: usize| S::load(tiles.as_ptr().add((py * 4 + px) * S::LANES));
                input_points::<S>(tile, buffer.as_mut_ptr(), S::LANES);
                for point in 0..POINTS {
                    points[target + point * step..][..channels]
                        .copy_from_slice(&buffer[point * S::LANES..][..channels]);
                }
            }
        }
    }
}

/// `B^T d B` of one tile and one vector of channels; point p is stored at `target + p * step`.
///
/// # Safety
/// As [`transform_input`].
#[inline(always)]
unsafe fn input_points<S: Simd>(
    tile: impl Fn(usize, usize) -> S::V,
    target: *mut f32,
    step: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let columns: [[S::V; 4]; 4] = std::array::from_fn(|x| {
            input_line::<S>([tile(0, x), tile(1, x), tile(2, x), tile(3, x)])
        });
        for y in 0..4 {
            let line =
                input_line::<S>([columns[0][y], columns[1][y], columns[2][y], columns[3][y]]);
            for (x, value) in line.into_iter().enumerate() {
                S::store(target.add((y * 4 + x) * step), value);
            }
        }
    }
}

#[inline(always)]
unsafe fn input_line<S: Simd>([a, b, c, d]: [S::V; 4]) -> [S::V; 4] {
    // SAFETY: the caller's.
    unsafe { [S::sub(a, c), S::add(b, c), S::sub(c, b), S::sub(b, d)] }
}

/// # Safety
/// As [`transform_input`].
#[inline(always)]
unsafe fn transform_output<S: Simd>(
    job: &Job<'_>,
    points: &[f32],
    out: &mut [f32],
    finish: &Finish<'_>,
) {
    let Job {
        to, corners, block, ..
    } = *job;
    let channels = to.channels;
    let step = block * channels;
    // SAFETY: `convolve` checked the extents; a tile that hangs over the edge stores only the
    // pixels inside.
    unsafe {
        for (tile, &[n, y, x]) in corners.iter().enumerate() {
            let source = tile * channels;
            let rows = (to.height - y).min(2);
            let columns = (to.width - x).min(2);
            if let Some(vectors) = starts(channels, S::LANES) {
                for c in vectors {
                    let point = |p: usize| S::load(points.as_ptr().add(source + p * step + c));
                    let bias = S::load(finish.bias.as_ptr().add(c));
                    let block = output_block::<S>(point, bias);
                    for dy in 0..rows {
                        for dx in 0..columns {
                            let mut value = block[dy][dx];
                            if let Some((data, map)) = finish.residual {
                                let at = map.at(n, y + dy, x + dx) + c;
                                value = S::add(value, S::load(data.as_ptr().add(at)));
                            }
                            value =
                                S::min(S::max(value, S::splat(finish.low)), S::splat(finish.high));
                            if let Some((data, map)) = finish.gate {
                                let at = map.at(n, y + dy, x + dx) + c;
                                value = S::where_positive(S::load(data.as_ptr().add(at)), value);
                            }
                            S::store(out.as_mut_ptr().add(to.at(n, y + dy, x + dx) + c), value);
                        }
                    }
                }
            } else {
                let mut buffer = vec![0.0f32; POINTS * S::LANES];
                for p in 0..POINTS {
                    buffer[p * S::LANES..][..channels]
                        .copy_from_slice(&points[source + p * step..][..channels]);
                }
                let point = |p: usize| S::load(buffer.as_ptr().add(p * S::LANES));
                let block = output_block::<S>(point, S::zero());
                for dy in 0..rows {
                    for dx in 0..columns {
                        let mut values = vec![0.0f32; S::LANES];
                        S::store(values.as_mut_ptr(), block[dy][dx]);
                        let at = to.at(n, y + dy, x + dx);
                        for c in 0..channels {
                            let more = finish
                                .residual
                                .map_or(0.0, |(data, map)| data[map.at(n, y + dy, x + dx) + c]);
                            let value = values[c] + finish.bias[c] + more;
                            let open = finish.gate.is_none_or(|(data, map)| {
                                data[map.at(n, y + dy, x + dx) + c] > 0.0
                            });
                            out[at + c] = if open {
                                value.max(finish.low).min(finish.high)
                            } else {
                                0.0
                            };
                        }
                    }
                }
            }
        }
    }
}

/// `A^T m A + bias` of one tile and one vector of channels.
#[inline(always)]
unsafe fn output_block<S: Simd>(point: impl Fn(usize) -> S::V, bias: S::V) -> [[S::V; 2]; 2] {
    // SAFETY: the caller's.
    unsafe {
        let columns: [[S::V; 2]; 4] = std::array::from_fn(|x| {
            output_line::<S>([point(x), point(4 + x), point(8 + x), point(12 + x)])
        });
        std::array::from_fn(|y| {
            output_line::<S>([columns[0][y], columns[1][y], columns[2][y], columns[3][y]])
                .map(|value| S::add(value, bias))
        })
    }
}

#[inline(always)]
unsafe fn output_line<S: Simd>([a, b, c, d]: [S::V; 4]) -> [S::V; 2] {
    // SAFETY: the caller's.
    unsafe { [S::add(S::add(a, b), c), S::sub(S::sub(b, c), d)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "prints the speed; run by hand with --release"]
    fn speed() {
        for isa in Isa::available() {
            for (size, inputs, outputs) in [
                (56, 64, 192),
                (28, 96, 128),
                (28, 128, 192),
                (14, 96, 208),
                (14, 160, 320),
                (7, 160, 320),
                (7, 192, 384),
                (56, 64, 64),
                (28, 128, 128),
                (14, 256, 256),
                (7, 512, 512),
            ] {
                let extra = size % 2;
                let from = Map::with_halo([1, inputs, size, size], [1, 1, 1 + extra, 1 + extra]);
                let to = Map::contiguous([1, outputs, size, size]);
                let input = vec![0.5; from.image];
                let mut out = vec![0.0; to.image];
                let weights =
                    WinogradWeights::new(isa, inputs, outputs, |j, i, _, _| (i + j) as f32);
                let mut scratch = vec![0.0; weights.scratch()];
                let bias = vec![0.0; outputs];
                let work = 9 * size * size * inputs * outputs;
                let rounds = (3_000_000_000 / work).max(1);
                let start = std::time::Instant::now();
                for _ in 0..rounds {
                    convolve(
                        &weights,
                        (&input, Map { offset: 0, ..from }),
                        (&mut out, to),
                        None,
                        None,
                        &bias,
                        [0.0, 9.0],
                        &mut scratch,
                    );
                }
                let gflops = 2e-9 * (rounds * work) as f64 / start.elapsed().as_secs_f64();
                println!(
                    "{} {size} {inputs}->{outputs}: {gflops:.1} direct GFLOP/s (block {})",
                    isa.name(),
                    weights.block()
                );
            }
        }
    }
}
