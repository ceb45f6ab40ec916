//! The matrix product behind every dense convolution: pixels times packed weights.
//!
//! `out[p, j] = bias[j] + sum_k x[offset_in[p] + k-th element of the segments] * w[k, j]`
//!
//! A *pixel* is an offset into the input, a *segment* a contiguous run of elements relative to it.
//! A 1x1 convolution has one segment of `Cin` elements; a 3x3 one on a padded channels-last image
//! has three of `3 * Cin`. Nothing is copied into columns (no im2col).
//!
//! Weights are packed in panels two vectors of output channels wide, `[panel][k][column]`; a last panel
//! of at most one vector of channels is one vector wide. The register tile is `TILE_ROWS` pixels by one
//! panel. Loops, outermost first: a block of pixels whose input and output stay in the second-level
//! cache; a chunk of k whose panel stays in the first-level cache; the panels; the block's tiles.

use super::buffer::{Buffer, LINE};
use super::dispatch;
use super::simd::{Isa, Simd};
use std::sync::Arc;

/// A contiguous run of input elements relative to a pixel's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// First element, relative to the pixel.
    pub(crate) offset: usize,
    /// Elements.
    pub(crate) len: usize,
}

/// Elements of k whose panel (16 or 32 columns, 4 bytes) leaves room in the first-level cache.
const CHUNK: usize = 128;

/// Input and output elements of a block of pixels: 256 KiB.
const BLOCK_ELEMENTS: usize = 1 << 16;

/// Weights `[K, columns]` packed for one instruction set.
#[derive(Clone, Debug)]
pub(crate) struct PackedWeights {
    isa: Isa,
    /// `[panel][k][column in panel]`, zero-padded to whole vectors.
    data: Arc<Buffer>,
    /// Where its panels begin there.
    start: usize,
    columns: usize,
    depth: usize,
    /// Segments cut so that every chunk has at most [`CHUNK`] elements.
    chunks: Arc<[Vec<Segment>]>,
    /// Largest `offset + len` over the segments.
    reach: usize,
}

impl PackedWeights {
    /// Packs `weight(k, column)`, where k runs through the segments in order.
    pub(crate) fn new(
        isa: Isa,
        segments: &[Segment],
        columns: usize,
        weight: impl Fn(usize, usize) -> f32,
    ) -> Self {
        Self::many(isa, segments, columns, 1, |_, k, column| weight(k, column)).remove(0)
    }

    /// Packs `count` products of the same shape side by side: `weight(index, k, column)`.
    pub(crate) fn many(
        isa: Isa,
        segments: &[Segment],
        columns: usize,
        count: usize,
        weight: impl Fn(usize, usize, usize) -> f32,
    ) -> Vec<Self> {
        let depth = segments.iter().map(|segment| segment.len).sum();
        let (lanes, panel) = (isa.lanes(), 2 * isa.lanes());
        // Whole vectors; the last panel may be a single one.
        let len = columns.next_multiple_of(lanes) * depth;
        let mut data = Buffer::zeros(count * len);
        for index in 0..count {
            for column in 0..columns {
                let first = column / panel * panel;
                let width = panel.min((columns - first).next_multiple_of(lanes));
                let base = index * len + first * depth + column - first;
                for k in 0..depth {
                    data[base + k * width] = weight(index, k, column);
                }
            }
        }
        let data = Arc::new(data);
        let chunks: Arc<[Vec<Segment>]> = cut(segments, CHUNK).into();
        let packed = |index| Self {
            isa,
            data: Arc::clone(&data),
            start: index * len,
            columns,
            depth,
            chunks: Arc::clone(&chunks),
            reach: segments.iter().map(|s| s.offset + s.len).max().unwrap_or(0),
        };
        (0..count).map(packed).collect()
    }
}

/// Cuts segments into chunks of at most `limit` elements, as equal as possible.
fn cut(segments: &[Segment], limit: usize) -> Vec<Vec<Segment>> {
    let depth: usize = segments.iter().map(|segment| segment.len).sum();
    let count = depth.div_ceil(limit).max(1);
    let target = depth.div_ceil(count).max(1);
    let mut chunks = vec![Vec::new()];
    let mut room = target;
    for &Segment {
        mut offset,
        mut len,
    } in segments
    {
        while len > 0 {
            if room == 0 {
                chunks.push(Vec::new());
                room = target;
            }
            let take = len.min(room);
            if let Some(chunk) = chunks.last_mut() {
                chunk.push(Segment { offset, len: take });
            }
            offset += take;
            len -= take;
            room -= take;
        }
    }
    chunks
}

/// What happens to a sum before it is stored: `clamp(sum + bias + residual, low, high)`, or 0 where
/// the gate is closed.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    /// One per column, or empty.
    pub(crate) bias: &'a [f32],
    /// Added element by element, with the output's pixel offsets replaced by these.
    pub(crate) residual: Option<(&'a [f32], &'a [u32])>,
    /// Where this map (offsets as for `residual`) is not positive, the result is 0.
    pub(crate) gate: Option<(&'a [f32], &'a [u32])>,
    /// Lower bound; `-inf` for none.
    pub(crate) low: f32,
    /// Upper bound; `inf` for none.
    pub(crate) high: f32,
}

impl Epilogue<'_> {
    /// Stores the plain sum.
    pub(crate) const NONE: Self = Self {
        bias: &[],
        residual: None,
        gate: None,
        low: f32::NEG_INFINITY,
        high: f32::INFINITY,
    };
}

/// Computes `out[out_pixels[p] + j]` for every pixel p and column j.
///
/// `pixels` and `out_pixels` have one offset per pixel, in elements. `padded_bias` is scratch.
///
/// # Panics
/// When an offset reaches beyond its buffer: the extents are checked here, once per call.
pub(crate) fn multiply(
    weights: &PackedWeights,
    input: &[f32],
    pixels: &[u32],
    out: &mut [f32],
    out_pixels: &[u32],
    epilogue: Epilogue<'_>,
) {
    assert_eq!(
        pixels.len(),
        out_pixels.len(),
        "one output offset per pixel"
    );
    let reach = |offsets: &[u32]| offsets.iter().max().map_or(0, |&offset| offset as usize);
    if pixels.is_empty() || weights.columns == 0 {
        return;
    }
    assert!(
        reach(pixels) + weights.reach <= input.len(),
        "input pixel out of range"
    );
    assert!(
        reach(out_pixels) + weights.columns <= out.len(),
        "output pixel out of range"
    );
    for (data, offsets) in epilogue.residual.iter().chain(&epilogue.gate) {
        assert_eq!(offsets.len(), pixels.len(), "one offset per pixel");
        assert!(
            reach(offsets) + weights.columns <= data.len(),
            "residual or gate out of range"
        );
    }
    assert!(
        epilogue.bias.is_empty() || epilogue.bias.len() == weights.columns,
        "one bias per column"
    );
    let target = Target {
        out: out.as_mut_ptr(),
        out_pixels,
        epilogue,
    };
    dispatch!(
        weights.isa,
        multiply_with(
            weights: &PackedWeights,
            input: *const f32,
            pixels: &[u32],
            target: &Target<'_>,
        ) of (weights, input.as_ptr(), pixels, &target)
    );
}

/// Where a product goes.
struct Target<'a> {
    out: *mut f32,
    out_pixels: &'a [u32],
    epilogue: Epilogue<'a>,
}

/// # Safety
/// Extents as checked by [`multiply`]; instructions as [`Simd`] demands.
#[inline(always)]
unsafe fn multiply_with<S: Simd>(
    weights: &PackedWeights,
    input: *const f32,
    pixels: &[u32],
    target: &Target<'_>,
) {
    let width = 2 * S::LANES;
    let panels = weights.columns.div_ceil(width);
    let most = BLOCK_ELEMENTS / (weights.depth.min(CHUNK) + weights.columns) / S::TILE_ROWS;
    let blocks = pixels.len().div_ceil(most.max(4) * S::TILE_ROWS);
    let block = pixels.len().div_ceil(blocks).next_multiple_of(S::TILE_ROWS);
    for start in (0..pixels.len()).step_by(block) {
        let count = block.min(pixels.len() - start);
        let tiles = count.div_ceil(S::TILE_ROWS);
        let (rows, longer) = (count / tiles, count % tiles);
        let mut chunk_start = 0;
        for (index, segments) in weights.chunks.iter().enumerate() {
            let pass = Pass {
                first: index == 0,
                last: index + 1 == weights.chunks.len(),
            };
            let chunk = segments.iter().map(|segment| segment.len).sum::<usize>();
            for panel in 0..panels {
                let column = panel * width;
                let columns = width.min(weights.columns - column);
                let single = columns <= S::LANES;
                let own_width = if single { S::LANES } else { width };
                let at = weights.start + column * weights.depth + chunk_start * own_width;
                let length = own_width * chunk;
                let mut job = Tile {
                    input,
                    pixels,
                    segments,
                    // SAFETY: panel and chunk_start are in range of the packed data.
                    packed: unsafe { weights.data.as_ptr().add(at) },
                    ahead: weights
                        .data
                        .as_ptr()
                        .wrapping_add(at + own_width * weights.depth),
                    target,
                    pixel: start,
                    column,
                    columns,
                    pass,
                };
                for tile in 0..tiles {
                    let count = rows + usize::from(tile < longer);
                    // SAFETY: passed on.
                    unsafe {
                        if single {
                            tile_of_any_height::<S, 1>(&job, count);
                        } else {
                            tile_of_any_height::<S, 2>(&job, count);
                        }
                    }
                    job.pixel += count;
                    job.ahead = if (tile + 1) * chunk < length / LINE {
                        job.ahead.wrapping_add(chunk * LINE)
                    } else {
                        job.packed
                    };
                }
            }
            chunk_start += chunk;
        }
    }
}

/// Position of a chunk in the sum over k.
#[derive(Clone, Copy)]
struct Pass {
    /// Adds the bias instead of the partial sum in `out`.
    first: bool,
    /// Ends with residual and clamp.
    last: bool,
}

/// One register tile.
struct Tile<'a> {
    input: *const f32,
    pixels: &'a [u32],
    segments: &'a [Segment],
    packed: *const f32,
    /// What the tile fetches while it computes, a cache line for every k: its part of the panel
    /// that comes next. Without it a product of few pixels waits for its weights, since the
    /// hardware's own prefetching stops at every page.
    ahead: *const f32,
    target: &'a Target<'a>,
    pixel: usize,
    column: usize,
    columns: usize,
    pass: Pass,
}

#[inline(always)]
unsafe fn tile_of_any_height<S: Simd, const VECTORS: usize>(job: &Tile<'_>, rows: usize) {
    // SAFETY: passed on.
    unsafe {
        match rows {
            1 => tile::<S, 1, VECTORS>(job),
            2 => tile::<S, 2, VECTORS>(job),
            3 => tile::<S, 3, VECTORS>(job),
            4 => tile::<S, 4, VECTORS>(job),
            5 => tile::<S, 5, VECTORS>(job),
            6 => tile::<S, 6, VECTORS>(job),
            7 => tile::<S, 7, VECTORS>(job),
            8 => tile::<S, 8, VECTORS>(job),
            9 => tile::<S, 9, VECTORS>(job),
            10 => tile::<S, 10, VECTORS>(job),
            11 => tile::<S, 11, VECTORS>(job),
            _ => tile::<S, 12, VECTORS>(job),
        }
    }
}

/// What sums start from without a bias: one panel.
static ZEROS: [f32; 32] = [0.0; 32];

/// `ROWS` pixels times one panel of `VECTORS` vectors, over the segments of one chunk.
///
/// # Safety
/// `job.pixel + ROWS <= job.pixels.len()`; offsets in range as checked by [`multiply`].
#[inline(always)]
unsafe fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(job: &Tile<'_>) {
    let Target {
        out,
        out_pixels,
        epilogue,
    } = *job.target;
    // SAFETY: every address below is a checked pixel offset plus a segment or column in range;
    // partial vectors touch only their columns.
    unsafe {
        let rows: [*const f32; ROWS] = std::array::from_fn(|row| {
            job.input
                .add(*job.pixels.get_unchecked(job.pixel + row) as usize)
        });
        let targets: [*mut f32; ROWS] = std::array::from_fn(|row| {
            out.add(*out_pixels.get_unchecked(job.pixel + row) as usize + job.column)
        });
        // Loaded even where it is zero: from constants the compiler makes moves that cost registers.
        let start = if job.pass.first && !epilogue.bias.is_empty() {
            epilogue.bias.as_ptr().add(job.column)
        } else {
            ZEROS.as_ptr()
        };
        let mut sums = [load_columns::<S, VECTORS>(start, job.columns); ROWS];

        let mut packed = job.packed;
        let mut ahead = job.ahead;
        for segment in job.segments {
            let rows: [*const f32; ROWS] = std::array::from_fn(|row| rows[row].add(segment.offset));
            for k in 0..segment.len {
                let weights: [S::V; VECTORS] =
                    std::array::from_fn(|vector| S::load(packed.add(vector * S::LANES)));
                packed = packed.add(VECTORS * S::LANES);
                S::prefetch(ahead);
                ahead = ahead.wrapping_add(LINE);
                for row in 0..ROWS {
                    let x = S::splat(*rows[row].add(k));
                    for vector in 0..VECTORS {
                        sums[row][vector] = S::mul_add(x, weights[vector], sums[row][vector]);
                    }
                }
            }
        }

        // The sum of earlier chunks is added afterwards: a long sum rounds less in parts.
        if !job.pass.first {
            for row in 0..ROWS {
                let earlier = load_columns::<S, VECTORS>(targets[row], job.columns);
                for vector in 0..VECTORS {
                    sums[row][vector] = S::add(sums[row][vector], earlier[vector]);
                }
            }
        }
        if job.pass.last {
            if let Some((residual, offsets)) = epilogue.residual {
                for row in 0..ROWS {
                    let offset = *offsets.get_unchecked(job.pixel + row) as usize + job.column;
                    let more =
                        load_columns::<S, VECTORS>(residual.as_ptr().add(offset), job.columns);
                    for vector in 0..VECTORS {
                        sums[row][vector] = S::add(sums[row][vector], more[vector]);
                    }
                }
            }
            let (low, high) = (S::splat(epilogue.low), S::splat(epilogue.high));
            for sum in sums.as_flattened_mut() {
                *sum = S::min(S::max(*sum, low), high);
            }
            if let Some((data, offsets)) = epilogue.gate {
                for row in 0..ROWS {
                    let offset = *offsets.get_unchecked(job.pixel + row) as usize + job.column;
                    let gate = load_columns::<S, VECTORS>(data.as_ptr().add(offset), job.columns);
                    for vector in 0..VECTORS {
                        sums[row][vector] = S::where_positive(gate[vector], sums[row][vector]);
                    }
                }
            }
        }
        for row in 0..ROWS {
            store_columns::<S, VECTORS>(targets[row], sums[row], job.columns);
        }
    }
}

/// # Safety
/// `columns` elements readable at `source`, more than `(VECTORS - 1) * LANES`.
#[inline(always)]
unsafe fn load_columns<S: Simd, const VECTORS: usize>(
    source: *const f32,
    columns: usize,
) -> [S::V; VECTORS] {
    // SAFETY: the caller's.
    unsafe {
        if columns == VECTORS * S::LANES {
            return std::array::from_fn(|vector| S::load(source.add(vector * S::LANES)));
        }
        std::array::from_fn(|vector| {
            let first = vector * S::LANES;
            S::load_first(source.add(first), (columns - first).min(S::LANES))
        })
    }
}

/// # Safety
/// `columns` elements writable at `target`, more than `(VECTORS - 1) * LANES`.
#[inline(always)]
unsafe fn store_columns<S: Simd, const VECTORS: usize>(
    target: *mut f32,
    sum: [S::V; VECTORS],
    columns: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let whole = columns == VECTORS * S::LANES;
        for (vector, value) in sum.into_iter().enumerate() {
            let first = vector * S::LANES;
            if whole {
                S::store(target.add(first), value);
            } else {
                S::store_first(target.add(first), value, (columns - first).min(S::LANES));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(seed: u64, count: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (0..count)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    #[test]
    #[ignore = "prints the speed of the micro-kernel; run by hand with --release"]
    fn speed() {
        for isa in Isa::available() {
            for (pixels, depth, columns) in [
                (784, 256, 128),
                (196, 512, 512),
                (49, 2048, 512),
                (49, 4608, 512),
                (3136, 576, 192),
                (12544, 147, 64),
            ] {
                let input = values(1, pixels * depth);
                let packed = PackedWeights::new(
                    isa,
                    &[Segment {
                        offset: 0,
                        len: depth,
                    }],
                    columns,
                    |k, j| ((k * 7 + j) % 13) as f32,
                );
                let offsets: Vec<u32> = (0..pixels).map(|p| (p * depth) as u32).collect();
                let outs: Vec<u32> = (0..pixels).map(|p| (p * columns) as u32).collect();
                let mut out = vec![0.0; pixels * columns];
                let rounds = (2_000_000_000 / (pixels * depth * columns)).max(1);
                let start = std::time::Instant::now();
                for _ in 0..rounds {
                    multiply(&packed, &input, &offsets, &mut out, &outs, Epilogue::NONE);
                }
                let seconds = start.elapsed().as_secs_f64();
                let gflops = 2e-9 * (rounds * pixels * depth * columns) as f64 / seconds;
                println!(
                    "{} {pixels}x{depth}x{columns}: {gflops:.1} GFLOP/s",
                    isa.name()
                );
            }
        }
    }

    proptest! {
        #[test]
        fn equals_the_naive_sum(
            pixels in 1usize..30, lengths in prop::collection::vec(1usize..200, 1..4),
            columns in 1usize..40, seed in 0u64..1000, residual: bool, gated: bool,
        ) {
            let mut segments = Vec::new();
            let mut offset = 0;
            for &len in &lengths {
                segments.push(Segment { offset, len });
                offset += len + 3;
            }
            let depth: usize = lengths.iter().sum();
            let input = values(seed, pixels * 5 + offset);
            let weight = values(seed + 1, depth * columns);
            let bias = values(seed + 2, columns);
            let other = values(seed + 3, pixels * columns);
            let gate = values(seed + 4, pixels * columns);
            let in_pixels: Vec<u32> = (0..pixels).map(|p| (p * 5) as u32).collect();
            let out_pixels: Vec<u32> = (0..pixels).map(|p| (p * columns) as u32).collect();
            let epilogue = Epilogue {
                bias: &bias,
                residual: residual.then_some((other.as_slice(), out_pixels.as_slice())),
                gate: gated.then_some((gate.as_slice(), out_pixels.as_slice())),
                low: 0.0,
                high: 6.0,
            };
            for isa in Isa::available() {
                let packed = PackedWeights::new(isa, &segments, columns, |k, j| weight[k * columns + j]);
                let mut out = vec![f32::NAN; pixels * columns];
                multiply(&packed, &input, &in_pixels, &mut out, &out_pixels, epilogue);
                for p in 0..pixels {
                    for j in 0..columns {
                        let mut sum = f64::from(bias[j]);
                        let mut k = 0;
                        for segment in &segments {
                            for element in 0..segment.len {
                                let x = input[p * 5 + segment.offset + element];
                                sum += f64::from(x) * f64::from(weight[k * columns + j]);
                                k += 1;
                            }
                        }
                        if residual { sum += f64::from(other[p * columns + j]); }
                        let closed = gated && gate[p * columns + j] <= 0.0;
                        let expected = if closed { 0.0 } else { sum.clamp(0.0, 6.0) };
                        let got = f64::from(out[p * columns + j]);
                        prop_assert!((got - expected).abs() < 1e-4, "{}: {got} {expected}", isa.name());
                    }
                }
            }
        }
    }
}
