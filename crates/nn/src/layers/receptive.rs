//! Receptive fields: which input pixels a unit of a map can see, by analysis of the graph.
//!
//! Along one axis unit `u` sees the pixels `start + stride * u ..= end + stride * u`. Convolution and
//! pooling widen and thin out this interval (Araujo et al., *Computing receptive fields of
//! convolutional neural networks*, Distill 2019); where paths meet, the smallest interval that
//! covers all of them is taken. A global pool, a softmax or a product over positions sees the whole
//! input; where its result is spread over a map again (a squeeze-excite gate), the map keeps its
//! stride and every unit covers the whole input. Mirrored or repeated borders ([`Op::Pad`]) count as
//! the padding they stand for. Numbers are `f64`: after upsampling, units lie between pixels.

use super::layout::{Layout, Role, resize_coordinates};
use super::trace::{Site, Trace};
use crate::graph::ir::{Graph, NearestRounding, Node, Op, ResizeCoordinates, ResizeMode};
use summit_tables::LayerInfo;

/// Input pixels seen by the units of one layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReceptiveField {
    /// Input pixels from one unit to the next, `[y, x]`.
    pub stride: [f64; 2],
    /// Extent of the input pixels a unit can see, `[y, x]`, at least 1; may exceed the input, whose
    /// border is padded.
    pub size: [u32; 2],
    /// First pixel unit (0, 0) can see, `[y, x]`; negative inside the padding.
    pub start: [f64; 2],
}

/// A rectangle of input pixels, inside the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelRectangle {
    /// First row.
    pub top: u32,
    /// First column.
    pub left: u32,
    /// Rows, at least 1 unless the input has none.
    pub height: u32,
    /// Columns, at least 1 unless the input has none.
    pub width: u32,
}

impl ReceptiveField {
    /// The field recorded with a layer.
    #[must_use]
    pub fn of_layer(layer: &LayerInfo) -> Self {
        Self {
            stride: layer.receptive_stride,
            size: layer.receptive_size,
            start: layer.receptive_start,
        }
    }

    /// The pixels unit `(row, column)` can see, clipped to an input of `[height, width]` pixels.
    #[must_use]
    pub fn input_rectangle(&self, unit: [u32; 2], input: [u32; 2]) -> PixelRectangle {
        let [stride_y, stride_x] = self.stride;
        let [size_y, size_x] = self.size;
        let [start_y, start_x] = self.start;
        let [row, column] = unit;
        let [input_height, input_width] = input;
        let (top, height) = clip(start_y + stride_y * f64::from(row), size_y, input_height);
        let (left, width) = clip(start_x + stride_x * f64::from(column), size_x, input_width);
        PixelRectangle {
            top,
            left,
            height,
            width,
        }
    }

    /// The receptive field of unit `(row, column)` as a square, pushed inside an input of `[height, width]`
    /// pixels rather than cut off at its border: those of all units of a layer have the same extent.
    #[must_use]
    pub fn square(&self, unit: [u32; 2], input: [u32; 2]) -> UnitSquare {
        let input = input.map(f64::from);
        let sides = self.size.map(f64::from).into_iter().chain(input);
        let extent = sides.fold(f64::INFINITY, f64::min).max(1.0);
        let place = |axis: usize| {
            let size = f64::from(self.size[axis]);
            let first = self.start[axis] + self.stride[axis] * f64::from(unit[axis]);
            let first = first + (size - extent) / 2.0;
            first.clamp(0.0, (input[axis] - extent).max(0.0))
        };
        UnitSquare {
            top: place(0),
            left: place(1),
            extent,
        }
    }
}

/// The square of the input that pictures of a unit show, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitSquare {
    /// First row.
    pub top: f64,
    /// First column.
    pub left: f64,
    /// Rows and columns, at least 1.
    pub extent: f64,
}

/// Cells of a mask along one side.
pub const MASK_SIDE: usize = 8;

/// Units of a cell along one axis: the first and the last.
type UnitsOfCell = [u16; 2];

/// For every unit of a layer, the units in each cell of its square.
#[derive(Clone, Debug)]
pub struct MaskCells {
    /// `[rows of the layer][MASK_SIDE]`
    rows: Vec<[UnitsOfCell; MASK_SIDE]>,
    /// `[columns of the layer][MASK_SIDE]`
    columns: Vec<[UnitsOfCell; MASK_SIDE]>,
}

impl MaskCells {
    /// * `size`: units of the layer, `[rows, columns]`.
    /// * `input`: pixels of the network's input, `[height, width]`.
    #[must_use]
    pub fn new(field: &ReceptiveField, size: [u32; 2], input: [u32; 2]) -> Self {
        let side = |axis: usize| {
            let units = size[axis].clamp(1, 1 << 16);
            (0..units)
                .map(|unit| cells_around(field, axis, unit, units, input))
                .collect()
        };
        Self {
            rows: side(0),
            columns: side(1),
        }
    }

    /// The mask of one channel (`summit_tables::DatasetExample`).
    ///
    /// * `unit`: row and column of the channel's maximum.
    /// * `at`: the channel's activation at a row and column.
    pub fn mask(&self, maximum: f32, unit: [u16; 2], at: impl Fn(usize, usize) -> f32) -> u64 {
        let [row, column] = unit.map(usize::from);
        let (Some(rows), Some(columns)) = (self.rows.get(row), self.columns.get(column)) else {
            return 0;
        };
        if maximum <= 0.0 {
            return 0;
        }
        let least = maximum / 2.0;
        let all = |[first, last]: UnitsOfCell| usize::from(first)..=usize::from(last);
        let mut mask = 0;
        for (y, &rows) in rows.iter().enumerate() {
            for (x, &columns) in columns.iter().enumerate() {
                let active =
                    all(rows).any(|row| all(columns).any(|column| at(row, column) >= least));
                mask |= u64::from(active) << (MASK_SIDE * y + x);
            }
        }
        mask
    }
}

/// A range with `unit` and all units whose centre is in `first .. first + extent`: not all of a layer's, so that
/// the cells of a long one cost no more than its square has pixels.
fn units_near(
    centre: f64,
    stride: f64,
    [first, extent]: [f64; 2],
    unit: u32,
    units: u32,
) -> std::ops::RangeInclusive<u32> {
    if stride <= 0.0 {
        return unit..=unit;
    }
    let last = f64::from(units - 1);
    let place = |pixel: f64| ((pixel - centre) / stride).clamp(0.0, last);
    let near = [
        place(first).floor() as u32,
        place(first + extent).ceil() as u32,
    ];
    near[0].min(unit)..=near[1].max(unit)
}

/// The units whose fields are centred in each cell of the square around `unit`; the nearest one where there
/// are none. `unit` itself is in the nearest cell, even if its field is centred in the padding.
fn cells_around(
    field: &ReceptiveField,
    axis: usize,
    unit: u32,
    units: u32,
    input: [u32; 2],
) -> [UnitsOfCell; MASK_SIDE] {
    let square = field.square([unit; 2], input);
    let first = if axis == 0 { square.top } else { square.left };
    let cell_extent = square.extent / MASK_SIDE as f64;
    let half = f64::from(field.size[axis]) / 2.0;
    let centre = |unit: u32| field.start[axis] + field.stride[axis] * f64::from(unit) + half;
    let mut cells: [Option<UnitsOfCell>; MASK_SIDE] = [None; MASK_SIDE];
    for other in units_near(
        centre(0),
        field.stride[axis],
        [first, square.extent],
        unit,
        units,
    ) {
        let cell = ((centre(other) - first) / cell_extent).floor();
        let cell = if other == unit {
            cell.clamp(0.0, (MASK_SIDE - 1) as f64)
        } else {
            cell
        };
        if cell < 0.0 {
            continue;
        }
        if let Some(own) = cells.get_mut(cell as usize) {
            let first = own.map_or(other as u16, |[first, _]| first);
            *own = Some([first, other as u16]);
        }
    }
    std::array::from_fn(|cell| {
        let middle = first + (cell as f64 + 0.5) * cell_extent;
        cells[cell].unwrap_or_else(|| {
            // Without a stride there is one unit; NaN becomes 0.
            let nearest = ((middle - centre(0)) / field.stride[axis]).round();
            [nearest.clamp(0.0, f64::from(units - 1)) as u16; 2]
        })
    })
}

/// First pixel and extent of `start .. start + size` inside `0..input`; one border pixel where
/// nothing is inside.
fn clip(start: f64, size: u32, input: u32) -> (u32, u32) {
    let last = f64::from(input.saturating_sub(1));
    let first_pixel = start.floor().clamp(0.0, last);
    let last_pixel = (start + f64::from(size) - 1.0)
        .ceil()
        .clamp(first_pixel, last);
    // Both are whole and within 0..=u32::MAX.
    let first = first_pixel as u32;
    (first, (last_pixel as u32 - first + 1).min(input))
}

/// The interval of pixels of the units along one axis: unit u sees
/// `start + stride * u ..= end + stride * u`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Interval {
    stride: f64,
    start: f64,
    end: f64,
}

impl Interval {
    fn input() -> Self {
        Self {
            stride: 1.0,
            start: 0.0,
            end: 0.0,
        }
    }

    /// Unit u of the result reads units `slope * u + low ..= slope * u + high`.
    fn window(self, slope: f64, low: f64, high: f64) -> Self {
        let (first, last) = (self.stride * low, self.stride * high);
        Self {
            stride: self.stride * slope,
            start: self.start + first.min(last),
            end: self.end + first.max(last),
        }
    }

    /// Covers `other` too, for `units` units; the coarser stride stays.
    fn cover(self, other: Self, units: usize) -> Self {
        let (base, other) = if other.stride.abs() > self.stride.abs() {
            (other, self)
        } else {
            (self, other)
        };
        let drift = (other.stride - base.stride) * units.saturating_sub(1) as f64;
        Self {
            stride: base.stride,
            start: base.start.min(other.start + drift.min(0.0)),
            end: base.end.max(other.end + drift.max(0.0)),
        }
    }
}

/// Rows and columns of one value.
type Field = [Interval; 2];

const ROLES: [Role; 2] = [Role::Row, Role::Column];

/// Receptive fields of all values (`None` for constants). Linear in the graph.
pub(super) fn receptive_fields(graph: &Graph, trace: &Trace) -> Vec<Option<ReceptiveField>> {
    let input = graph.values.get(graph.input.index());
    let extents = match input.map(|value| value.shape.as_slice()) {
        Some(&[_, _, height, width]) => [height, width],
        _ => [1, 1],
    };
    let whole = extents.map(|extent| Interval {
        stride: 0.0,
        start: 0.0,
        end: extent.saturating_sub(1) as f64,
    });
    let mut fields: Vec<Option<Field>> = vec![None; graph.values.len()];
    if let Some(field) = fields.get_mut(graph.input.index()) {
        *field = Some([Interval::input(); 2]);
    }
    for node in &graph.nodes {
        for output in 0..node.outputs.len() {
            let field = output_field(
                &Reader {
                    site: Site::new(graph, node, &trace.layouts),
                    fields: &fields,
                    whole,
                },
                output,
            );
            let Some(&value) = node.outputs.get(output) else {
                continue;
            };
            if let Some(slot) = fields.get_mut(value.index()) {
                *slot = field;
            }
        }
    }
    fields.into_iter().map(|field| field.map(finish)).collect()
}

fn finish(field: Field) -> ReceptiveField {
    let [y, x] = field;
    // At most 2^32 - 1 by the saturating cast; a unit sees at least one pixel.
    let size = |interval: Interval| (interval.end - interval.start + 1.0).ceil().max(1.0) as u32;
    ReceptiveField {
        stride: [y.stride, x.stride],
        size: [size(y), size(x)],
        start: [y.start, x.start],
    }
}

/// A node with the fields of its operands.
struct Reader<'a> {
    site: Site<'a>,
    fields: &'a [Option<Field>],
    whole: Field,
}

impl Reader<'_> {
    fn field(&self, operand: usize) -> Option<Field> {
        let value = self.site.node.inputs.get(operand)?;
        *self.fields.get(value.index())?
    }

    fn node(&self) -> &Node {
        self.site.node
    }
}

/// Field of one output of a node.
fn output_field(reader: &Reader<'_>, output: usize) -> Option<Field> {
    let units = |axis: usize| {
        let layout = reader.site.output_layout(output);
        layout.map_or(1, |layout| layout.extent(ROLES[axis]).max(1))
    };
    let mut merged: Option<Field> = None;
    for operand in 0..reader.node().inputs.len() {
        let Some(field) = reader.field(operand) else {
            continue;
        };
        let seen = match reader.site.layout(operand) {
            Some(layout) => operand_field(reader, layout, operand, output, field),
            // Axes unknown: anything may have been mixed.
            None => reader.whole,
        };
        merged = Some(match merged {
            None => seen,
            Some([y, x]) => [y.cover(seen[0], units(0)), x.cover(seen[1], units(1))],
        });
    }
    merged
}

/// What the node's result sees through one operand.
fn operand_field(
    reader: &Reader<'_>,
    layout: &Layout,
    operand: usize,
    output: usize,
    field: Field,
) -> Field {
    let windows = axis_windows(reader, operand, output);
    let mut seen = field;
    for (axis, window) in windows {
        for (k, role) in ROLES.into_iter().enumerate() {
            // An empty axis of a map (extent 1) is still its row or column axis.
            let is_map_axis = layout.axis_is(axis, role)
                && (layout.axis_has(axis, role) || (layout.axes.len() == 4 && axis == k + 2));
            if let (Window::Linear { slope, low, high }, true) = (window, is_map_axis) {
                seen[k] = seen[k].window(slope, low, high);
            } else if layout.axis_has(axis, role) {
                let units = reader
                    .site
                    .output_layout(output)
                    .map_or(1, |layout| layout.extent(role));
                seen[k] = match units {
                    0 | 1 => reader.whole[k],
                    _ => seen[k].cover(reader.whole[k], units),
                };
            }
        }
    }
    // A reshape that lost the axes may be followed by anything.
    if reader.site.output_layout(output).is_none() {
        seen = reader.whole;
    }
    seen
}

/// How an operator reads one axis of an operand.
#[derive(Clone, Copy, Debug)]
enum Window {
    /// Output position u reads input positions `slope * u + low ..= slope * u + high`.
    Linear { slope: f64, low: f64, high: f64 },
    /// Every output position may read every input position.
    All,
}

/// The axes along which an operator does more than read its own position.
fn axis_windows(reader: &Reader<'_>, operand: usize, output: usize) -> Vec<(usize, Window)> {
    let site = &reader.site;
    let input = site.input_shape(operand);
    let rank = input.len();
    let all = |axes: std::ops::Range<usize>| axes.map(|axis| (axis, Window::All)).collect();
    match &site.node.op {
        Op::Conv(conv) if operand == 0 => {
            let kernel = kernel_extents(site.input_shape(1));
            sliding(kernel, conv.strides, conv.pads, conv.dilations)
        }
        Op::ConvTranspose(conv) if operand == 0 => {
            let kernel = kernel_extents(site.input_shape(1));
            transposed(kernel, conv.strides, conv.pads, conv.dilations)
        }
        Op::MaxPool(pool) | Op::AveragePool(pool) => {
            sliding(pool.kernel, pool.strides, pool.pads, pool.dilations)
        }
        Op::Conv(_)
        | Op::ConvTranspose(_)
        | Op::Adjoint(_)
        | Op::GlobalAveragePool
        | Op::GlobalMaxPool
        | Op::InstanceNormalization { .. } => all(2..rank.max(2)),
        Op::Reduce { axes, .. } => axes.iter().map(|&axis| (axis, Window::All)).collect(),
        Op::Softmax { first, end, .. } => all(*first..*end),
        Op::LayerNormalization { axis, .. } => all(*axis..rank),
        Op::Gemm {
            trans_a, trans_b, ..
        } => match operand {
            0 => vec![(usize::from(!trans_a), Window::All)],
            1 => vec![(usize::from(*trans_b), Window::All)],
            _ => Vec::new(),
        },
        Op::MatMul if operand == 0 => vec![(rank.saturating_sub(1), Window::All)],
        Op::MatMul => vec![(rank.saturating_sub(2), Window::All)],
        Op::Resize {
            scales,
            mode,
            coordinates,
        } => resized(site, operand, output, (scales, *mode, *coordinates)),
        Op::Slice { starts, steps } => starts
            .iter()
            .zip(steps)
            .enumerate()
            .filter(|(_, pair)| *pair != (&0, &1))
            .map(|(axis, (&start, &step))| (axis, shifted(step as f64, start as f64)))
            .collect(),
        Op::Split { axis } => {
            let widths =
                (0..output).filter_map(|earlier| site.output_shape(earlier).get(*axis).copied());
            vec![(*axis, shifted(1.0, widths.sum::<usize>() as f64))]
        }
        Op::Pad { before, .. } => before
            .iter()
            .enumerate()
            .filter(|&(_, &before)| before != 0)
            .map(|(axis, &before)| (axis, shifted(1.0, -(before as f64))))
            .collect(),
        Op::Gather { axis, .. } | Op::Concat { axis } => vec![(*axis, Window::All)],
        Op::Unary(_)
        | Op::Binary(_)
        | Op::BatchNormalization { .. }
        | Op::Lrn { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Expand
        | Op::Where { .. } => Vec::new(),
    }
}

fn shifted(slope: f64, offset: f64) -> Window {
    Window::Linear {
        slope,
        low: offset,
        high: offset,
    }
}

/// `[Kh, Kw]` of a weight `[_, _, Kh, Kw]`.
fn kernel_extents(weight: &[usize]) -> [usize; 2] {
    match weight {
        &[_, _, height, width] => [height, width],
        _ => [1, 1],
    }
}

/// Windows of a convolution or pooling over axes 2 and 3.
fn sliding(
    kernel: [usize; 2],
    strides: [usize; 2],
    pads: [usize; 4],
    dilations: [usize; 2],
) -> Vec<(usize, Window)> {
    (0..2)
        .map(|k| {
            let low = -(pads[k] as f64);
            let reach = kernel[k].saturating_sub(1) as f64 * dilations[k] as f64;
            let window = Window::Linear {
                slope: strides[k] as f64,
                low,
                high: low + reach,
            };
            (k + 2, window)
        })
        .filter(|(_, window)| {
            !matches!(window, Window::Linear { slope, low, high }
                if *slope == 1.0 && *low == 0.0 && *high == 0.0)
        })
        .collect()
}

/// Windows of a transposed convolution: output o reads the inputs i with `o = i * stride - pad + k *
/// dilation`.
fn transposed(
    kernel: [usize; 2],
    strides: [usize; 2],
    pads: [usize; 4],
    dilations: [usize; 2],
) -> Vec<(usize, Window)> {
    (0..2)
        .map(|k| {
            let stride = strides[k].max(1) as f64;
            let pad = pads[k] as f64;
            let reach = kernel[k].saturating_sub(1) as f64 * dilations[k] as f64;
            let window = Window::Linear {
                slope: 1.0 / stride,
                low: (pad - reach) / stride,
                high: pad / stride,
            };
            (k + 2, window)
        })
        .collect()
}

/// Windows of a Resize.
fn resized(
    site: &Site<'_>,
    operand: usize,
    output: usize,
    (scales, mode, coordinates): (&[f32], ResizeMode, ResizeCoordinates),
) -> Vec<(usize, Window)> {
    let (below, above) = interpolation_reach(mode);
    let extents = site
        .input_shape(operand)
        .iter()
        .zip(site.output_shape(output));
    extents
        .enumerate()
        .filter_map(|(axis, (&source, &target))| {
            let scale = f64::from(scales.get(axis).copied().unwrap_or(1.0));
            if target == source && (scale - 1.0).abs() < f64::EPSILON {
                return None;
            }
            let (slope, offset) = resize_coordinates(coordinates, scale, source, target);
            let (low, high) = (offset + below, offset + above);
            Some((axis, Window::Linear { slope, low, high }))
        })
        .collect()
}

/// Farthest units before and after the exact coordinate that an interpolation reads.
fn interpolation_reach(mode: ResizeMode) -> (f64, f64) {
    match mode {
        ResizeMode::Linear => (-1.0, 1.0),
        ResizeMode::Nearest(NearestRounding::Floor) => (-1.0, 0.0),
        ResizeMode::Nearest(NearestRounding::Ceil) => (0.0, 1.0),
        ResizeMode::Nearest(
            NearestRounding::RoundPreferFloor | NearestRounding::RoundPreferCeil,
        ) => (-0.5, 0.5),
    }
}
