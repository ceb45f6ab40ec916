//! The matrix product behind every dense convolution: pixels times packed weights.
//!
//! `out[p, j] = bias[j] + sum_k x[offset_in[p] + k-th element of the segments] * w[k, j]`
//!
//! A *pixel* is an offset into the input, a *segment* a contiguous run of elements relative to it.
//! A 1x1 convolution has one segment of `Cin` elements; a 3x3 one on a padded channels-last image
//! has three of `3 * Cin`. Nothing is copied into columns (no im2col).
//!
//! Weights are packed in panels of [`Isa::panel`] output channels, `[panel][k][column]`, and the sum
//! over k is cut into chunks whose panel stays in the first-level cache while all pixels pass by.
//! The register tile is `TILE_ROWS` pixels by one panel.

use super::dispatch;
use super::simd::{Isa, Simd};

/// A contiguous run of input elements relative to a pixel's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// First element, relative to the pixel.
    pub(crate) offset: usize,
    /// Elements.
    pub(crate) len: usize,
}

/// Elements of k whose panel (16 columns, 4 bytes) fills half of a 32 KiB first-level cache.
const CHUNK: usize = 256;

/// Weights `[K, columns]` packed for one instruction set.
#[derive(Clone, Debug)]
pub(crate) struct PackedWeights {
    isa: Isa,
    /// `[panel][k][column in panel]`, zero-padded to whole panels.
    data: Vec<f32>,
    columns: usize,
    depth: usize,
    /// Segments cut so that every chunk has at most [`CHUNK`] elements.
    chunks: Vec<Vec<Segment>>,
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
        let depth = segments.iter().map(|segment| segment.len).sum();
        let panel = isa.panel();
        let panels = columns.div_ceil(panel);
        let mut data = vec![0.0; panels * depth * panel];
        for column in 0..columns {
            let base = (column / panel) * depth * panel + column % panel;
            for k in 0..depth {
                data[base + k * panel] = weight(k, column);
            }
        }
        Self {
            isa,
            data,
            columns,
            depth,
            chunks: cut(segments, CHUNK),
            reach: segments.iter().map(|s| s.offset + s.len).max().unwrap_or(0),
        }
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

/// What happens to a sum before it is stored: `clamp(sum + bias + residual, low, high)`.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    /// One per column, or empty.
    pub(crate) bias: &'a [f32],
    /// Added element by element, with the output's pixel offsets replaced by these.
    pub(crate) residual: Option<(&'a [f32], &'a [u32])>,
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
    if let Some((residual, offsets)) = epilogue.residual {
        assert_eq!(offsets.len(), pixels.len(), "one residual offset per pixel");
        assert!(
            reach(offsets) + weights.columns <= residual.len(),
            "residual out of range"
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

/// Loops: chunk of k, panel of columns, tile of pixels.
///
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
    let tiles = pixels.len().div_ceil(S::TILE_ROWS);
    let (rows, longer) = (pixels.len() / tiles, pixels.len() % tiles);
    let mut chunk_start = 0;
    for (index, segments) in weights.chunks.iter().enumerate() {
        let pass = Pass {
            first: index == 0,
            last: index + 1 == weights.chunks.len(),
        };
        for panel in 0..panels {
            let column = panel * width;
            // SAFETY: panel and chunk_start are in range of the packed data.
            let packed = unsafe {
                weights
                    .data
                    .as_ptr()
                    .add((panel * weights.depth + chunk_start) * width)
            };
            let columns = width.min(weights.columns - column);
            let mut pixel = 0;
            for tile in 0..tiles {
                let count = rows + usize::from(tile < longer);
                let job = Tile {
                    input,
                    pixels,
                    segments,
                    packed,
                    target,
                    pixel,
                    column,
                    columns,
                    pass,
                };
                // SAFETY: passed on.
                unsafe { tile_of_any_height::<S>(&job, count) };
                pixel += count;
            }
        }
        chunk_start += segments.iter().map(|segment| segment.len).sum::<usize>();
    }
}

/// Position of a chunk in the sum over k.
#[derive(Clone, Copy)]
struct Pass {
    /// Starts from the bias instead of the partial sum in `out`.
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
    target: &'a Target<'a>,
    pixel: usize,
    column: usize,
    columns: usize,
    pass: Pass,
}

#[inline(always)]
unsafe fn tile_of_any_height<S: Simd>(job: &Tile<'_>, rows: usize) {
    // SAFETY: passed on.
    unsafe {
        match rows {
            1 => tile::<S, 1>(job),
            2 => tile::<S, 2>(job),
            3 => tile::<S, 3>(job),
            4 => tile::<S, 4>(job),
            5 => tile::<S, 5>(job),
            6 => tile::<S, 6>(job),
            7 => tile::<S, 7>(job),
            8 => tile::<S, 8>(job),
            9 => tile::<S, 9>(job),
            10 => tile::<S, 10>(job),
            11 => tile::<S, 11>(job),
            _ => tile::<S, 12>(job),
        }
    }
}

/// `ROWS` pixels times one panel, over the segments of one chunk.
///
/// # Safety
/// `job.pixel + ROWS <= job.pixels.len()`; offsets in range as checked by [`multiply`].
#[inline(always)]
unsafe fn tile<S: Simd, const ROWS: usize>(job: &Tile<'_>) {
    let Target {
        out,
        out_pixels,
        epilogue,
    } = *job.target;
    // SAFETY: every address below is a checked pixel offset plus a segment or column in range;
    // partial panels go through a buffer of a whole panel.
    unsafe {
        let rows: [*const f32; ROWS] = std::array::from_fn(|row| {
            job.input
                .add(*job.pixels.get_unchecked(job.pixel + row) as usize)
        });
        let targets: [*mut f32; ROWS] = std::array::from_fn(|row| {
            out.add(*out_pixels.get_unchecked(job.pixel + row) as usize + job.column)
        });
        let whole = job.columns == 2 * S::LANES;
        let mut sums = if !job.pass.first {
            std::array::from_fn(|row| load_panel::<S>(targets[row], job.columns, whole))
        } else if epilogue.bias.is_empty() {
            [[S::zero(); 2]; ROWS]
        } else {
            [load_panel::<S>(epilogue.bias.as_ptr().add(job.column), job.columns, whole); ROWS]
        };

        let mut packed = job.packed;
        for segment in job.segments {
            let rows: [*const f32; ROWS] = std::array::from_fn(|row| rows[row].add(segment.offset));
            for k in 0..segment.len {
                let low = S::load(packed);
                let high = S::load(packed.add(S::LANES));
                packed = packed.add(2 * S::LANES);
                for row in 0..ROWS {
                    let x = S::splat(*rows[row].add(k));
                    sums[row][0] = S::mul_add(x, low, sums[row][0]);
                    sums[row][1] = S::mul_add(x, high, sums[row][1]);
                }
            }
        }

        if job.pass.last {
            if let Some((residual, offsets)) = epilogue.residual {
                for row in 0..ROWS {
                    let offset = *offsets.get_unchecked(job.pixel + row) as usize + job.column;
                    let more = load_panel::<S>(residual.as_ptr().add(offset), job.columns, whole);
                    sums[row][0] = S::add(sums[row][0], more[0]);
                    sums[row][1] = S::add(sums[row][1], more[1]);
                }
            }
            let (low, high) = (S::splat(epilogue.low), S::splat(epilogue.high));
            for sum in &mut sums {
                sum[0] = S::min(S::max(sum[0], low), high);
                sum[1] = S::min(S::max(sum[1], low), high);
            }
        }
        for row in 0..ROWS {
            store_panel::<S>(targets[row], sums[row], job.columns, whole);
        }
    }
}

/// Columns of the widest panel.
const WIDEST: usize = 32;

/// # Safety
/// `columns` elements readable at `source`.
#[inline(always)]
unsafe fn load_panel<S: Simd>(source: *const f32, columns: usize, whole: bool) -> [S::V; 2] {
    // SAFETY: the caller's; the buffer is as wide as the widest panel.
    unsafe {
        if whole {
            [S::load(source), S::load(source.add(S::LANES))]
        } else {
            let mut buffer = [0.0; WIDEST];
            std::ptr::copy_nonoverlapping(source, buffer.as_mut_ptr(), columns);
            [
                S::load(buffer.as_ptr()),
                S::load(buffer.as_ptr().add(S::LANES)),
            ]
        }
    }
}

/// # Safety
/// `columns` elements writable at `target`.
#[inline(always)]
unsafe fn store_panel<S: Simd>(target: *mut f32, sum: [S::V; 2], columns: usize, whole: bool) {
    // SAFETY: as in `load_panel`.
    unsafe {
        if whole {
            S::store(target, sum[0]);
            S::store(target.add(S::LANES), sum[1]);
        } else {
            let mut buffer = [0.0; WIDEST];
            S::store(buffer.as_mut_ptr(), sum[0]);
            S::store(buffer.as_mut_ptr().add(S::LANES), sum[1]);
            std::ptr::copy_nonoverlapping(buffer.as_ptr(), target, columns);
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
            columns in 1usize..40, seed in 0u64..1000, residual: bool,
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
            let in_pixels: Vec<u32> = (0..pixels).map(|p| (p * 5) as u32).collect();
            let out_pixels: Vec<u32> = (0..pixels).map(|p| (p * columns) as u32).collect();
            let epilogue = Epilogue {
                bias: &bias,
                residual: residual.then_some((other.as_slice(), out_pixels.as_slice())),
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
                        let expected = sum.clamp(0.0, 6.0);
                        let got = f64::from(out[p * columns + j]);
                        prop_assert!((got - expected).abs() < 1e-4, "{}: {got} {expected}", isa.name());
                    }
                }
            }
        }
    }
}
