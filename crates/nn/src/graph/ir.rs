//! Types of the intermediate representation.
//!
//! Invariants of a [`Graph`] that came out of the reader:
//! * nodes are in topological order, every value has exactly one producer (a node, a constant or
//!   the graph input);
//! * every value has a full shape (rank and extents, all >= 0);
//! * axes are non-negative and in range, paddings are explicit;
//! * a node whose inputs are all constant has been folded away;
//! * no dead nodes: every node reaches the output, but for a final Softmax and the views behind
//!   it, which read the output;
//! * constants are finite.

use std::sync::Arc;

/// Index of a [`Value`] in [`Graph::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// Index of a [`Node`] in [`Graph::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl ValueId {
    /// As an index into [`Graph::values`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl NodeId {
    /// As an index into [`Graph::nodes`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A dense row-major `f32` tensor; cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extents, outermost axis first. Empty for a scalar.
    pub shape: Vec<usize>,
    /// `shape.product()` elements, last axis fastest.
    pub data: Arc<[f32]>,
}

/// A tensor of the graph: the input, a constant or the output of a node.
#[derive(Clone, Debug)]
pub struct Value {
    /// Name in the ONNX file (unique), or a derived one for values made by a rewrite.
    pub name: String,
    /// Extents in ONNX axis order.
    pub shape: Vec<usize>,
    /// Present for weights and folded constants.
    pub constant: Option<Tensor>,
    /// The node that computes it; `None` for the input and for constants.
    pub producer: Option<NodeId>,
}

/// One operator application.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name in the ONNX file; its first output's name where the file gives none.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Operands in the order given at the [`Op`] variant.
    pub inputs: Vec<ValueId>,
    /// Results; one, except for [`Op::Split`].
    pub outputs: Vec<ValueId>,
}

/// A network with one image input and one output.
#[derive(Clone, Debug)]
pub struct Graph {
    /// All tensors.
    pub values: Vec<Value>,
    /// All operators, topologically ordered.
    pub nodes: Vec<Node>,
    /// The image input, `[N, C, H, W]`.
    pub input: ValueId,
    /// The logits, `[N, classes]`. A final Softmax of the file is kept as a node; see
    /// `output_is_probability`.
    pub output: ValueId,
    /// Further inputs of derived graphs: the gradient that is propagated back.
    pub feeds: Vec<ValueId>,
}

/// Convolution of `[N, Cin, H, W]` with `[Cout, Cin / groups, Kh, Kw]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Stride `[y, x]`.
    pub strides: [usize; 2],
    /// Zero padding `[top, left, bottom, right]`.
    pub pads: [usize; 4],
    /// Dilation `[y, x]`.
    pub dilations: [usize; 2],
    /// Number of groups; `Cin == groups` and `Cout == groups * m` is depthwise.
    pub groups: usize,
}

/// Window of a pooling operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Extent `[y, x]`.
    pub kernel: [usize; 2],
    /// Stride `[y, x]`.
    pub strides: [usize; 2],
    /// Padding `[top, left, bottom, right]` as written in the file. With `ceil_mode` the output
    /// may need more at the bottom and right: the value's shape says how many windows there are,
    /// and what lies beyond is ignored (max) or not counted (average).
    pub pads: [usize; 4],
    /// Dilation `[y, x]` (max pooling only).
    pub dilations: [usize; 2],
    /// Average pooling: padding (as written, not what `ceil_mode` adds) counts in the divisor.
    pub count_include_pad: bool,
}

/// How [`Op::Resize`] maps an output coordinate to the input (ONNX names).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeCoordinates {
    /// `(x + 0.5) / scale - 0.5`
    HalfPixel,
    /// `half_pixel`, but 0 where the output extent is 1.
    PytorchHalfPixel,
    /// `x * (in - 1) / (out - 1)`
    AlignCorners,
    /// `x / scale`
    Asymmetric,
}

/// Interpolation of [`Op::Resize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeMode {
    /// Nearest, with the ONNX rounding.
    Nearest(NearestRounding),
    /// Bilinear (separable over the resized axes).
    Linear,
}

/// Rounding of a nearest-neighbour coordinate (ONNX `nearest_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearestRounding {
    /// Halves round down.
    RoundPreferFloor,
    /// Halves round up.
    RoundPreferCeil,
    /// Towards minus infinity.
    Floor,
    /// Towards plus infinity.
    Ceil,
}

/// Padding mode of [`Op::Pad`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// Fill with a value.
    Constant(f32),
    /// Mirror without repeating the border.
    Reflect,
    /// Repeat the border.
    Edge,
}

/// Reductions over axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    /// Arithmetic mean.
    Mean,
    /// Maximum; gradient to the first in row-major order.
    Max,
    /// Sum.
    Sum,
}

/// Element-wise functions of one operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// `max(x, 0)`; derivative at 0 is 0.
    Relu,
    /// `x` or `alpha * x` below 0.
    LeakyRelu(f32),
    /// `min(max(x, lo), hi)`; derivative at a bound is 1. Bounds may be infinite.
    Clip(f32, f32),
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `min(max(alpha * x + beta, 0), 1)`
    HardSigmoid(f32, f32),
    /// `x * hard_sigmoid(x; 1/6, 0.5)`
    HardSwish,
    /// `erf(x)`
    Erf,
    /// Exact: `x / 2 * (1 + erf(x / sqrt 2))`
    Gelu,
    /// Tanh approximation of GELU.
    GeluTanh,
    /// `tanh(x)`
    Tanh,
    /// `sqrt(x)`
    Sqrt,
    /// `exp(x)`
    Exp,
    /// `ln(x)`
    Log,
    /// `-x`
    Neg,
    /// `|x|`
    Abs,
    /// `1 / x`
    Reciprocal,
    /// `alpha` (exp(x) - 1) below 0, x above.
    Elu(f32),
    /// `ln(1 + exp(x))`
    Softplus,
    /// `x * sigmoid(x)` (opset 24 `Swish`, alpha = 1; also recognised from Mul of Sigmoid).
    Swish,
}

/// Element-wise functions of two operands with NumPy broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// `a ^ b`
    Pow,
    /// `max(a, b)`
    Max,
    /// `min(a, b)`
    Min,
    /// Parametric ReLU: `a` or `b * a` where `a < 0`.
    PRelu,
}

/// What a node computes. Operand lists name the entries of [`Node::inputs`] in order.
///
/// Reading, shape-only and integer operators (`Shape`, `Cast`, `ConstantOfShape`, `Gather` on
/// shapes, ...) exist only while loading: with a fixed batch size they are constant and folded.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `x, weight[, bias]`
    Conv(Conv),
    /// `x, weight [Cin, Cout / groups, Kh, Kw][, bias]`; `Conv` fields are those of the forward
    /// transposed convolution; output padding is in the value's shape.
    ConvTranspose(Conv),
    /// `a [M, K], b [K, N][, c]`: `alpha * op(a) * op(b) + beta * c`.
    Gemm {
        /// Factor of the product.
        alpha: f32,
        /// Factor of `c`.
        beta: f32,
        /// `a` is stored transposed.
        trans_a: bool,
        /// `b` is stored transposed.
        trans_b: bool,
    },
    /// `a, b`, NumPy semantics.
    MatMul,
    /// `x, scale, bias, mean, variance` (inference).
    BatchNormalization {
        /// Added to the variance.
        epsilon: f32,
    },
    /// `x`; across channels: `x / (bias + alpha / size * sum x^2)^beta`.
    Lrn {
        /// Number of channels summed.
        size: usize,
        /// Factor.
        alpha: f32,
        /// Exponent.
        beta: f32,
        /// Offset.
        bias: f32,
    },
    /// `x, scale[, bias]`; normalised over axes `axis..`.
    LayerNormalization {
        /// First normalised axis.
        axis: usize,
        /// Added to the variance.
        epsilon: f32,
    },
    /// `x, scale, bias`; per image and channel over space.
    InstanceNormalization {
        /// Added to the variance.
        epsilon: f32,
    },
    /// `x`
    Unary(Unary),
    /// `a, b`
    Binary(Binary),
    /// `x`; over the axes `first..end` flattened into one (opset < 13: `axis..rank`; later one).
    Softmax {
        /// First axis of the normalised range.
        first: usize,
        /// One past its last axis.
        end: usize,
        /// Logarithm of the result (`LogSoftmax`).
        log: bool,
    },
    /// `x [N, C, H, W]`; ties go to the first position.
    MaxPool(Pool),
    /// `x [N, C, H, W]`
    AveragePool(Pool),
    /// `x [N, C, H, W]` -> `[N, C, 1, 1]`
    GlobalAveragePool,
    /// `x [N, C, H, W]` -> `[N, C, 1, 1]`
    GlobalMaxPool,
    /// `x`; sorted axes. The value's shape says whether they are kept as 1.
    Reduce {
        /// The function.
        kind: Reduce,
        /// Sorted axes.
        axes: Vec<usize>,
        /// Reduced axes stay as extent 1.
        keep_dims: bool,
    },
    /// `x...`
    Concat {
        /// Axis joined.
        axis: usize,
    },
    /// `x` -> parts whose extents are in the outputs' shapes.
    Split {
        /// Axis cut.
        axis: usize,
    },
    /// `x`; one entry per axis: start, step (non-zero, may be negative); extents are in the
    /// output's shape.
    Slice {
        /// First index per axis.
        starts: Vec<usize>,
        /// Step per axis.
        steps: Vec<isize>,
    },
    /// `x`; constant indices along `axis`; the output's rank follows ONNX (`indices_shape`
    /// replaces the axis).
    Gather {
        /// Axis indexed.
        axis: usize,
        /// Non-negative, in range, flattened.
        indices: Vec<usize>,
        /// Shape of the indices (empty: the axis disappears).
        indices_shape: Vec<usize>,
    },
    /// `x`; the row-major order is kept, the output's shape says the rest. Reshape, Flatten,
    /// Squeeze and Unsqueeze all become this.
    Reshape,
    /// `x`
    Transpose {
        /// Output axis k is input axis `perm[k]`.
        perm: Vec<usize>,
    },
    /// `x`
    Pad {
        /// Elements added before each axis; negative crops.
        before: Vec<isize>,
        /// Elements added after each axis; negative crops.
        after: Vec<isize>,
        /// What is added.
        mode: PadMode,
    },
    /// `x`; to the extents of the output's shape.
    Resize {
        /// Scale per axis (output / input as the file gives it).
        scales: Vec<f32>,
        /// Interpolation.
        mode: ResizeMode,
        /// Coordinate transformation.
        coordinates: ResizeCoordinates,
    },
    /// `x`; to the output's shape (NumPy broadcasting).
    Expand,
    /// `x`, `y`; a constant mask chosen at load: 1 takes `x`, 0 takes `y` (broadcast).
    Where {
        /// The condition, 0 or 1.
        mask: Tensor,
    },
    /// Part of a derived graph (see [`grad`](crate::grad)); no file holds one.
    Adjoint(Adjoint),
}

/// Outputs by sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// All of them.
    Any,
    /// Those above 0.
    Positive,
    /// Those below 0.
    Negative,
}

/// Vector-Jacobian products that are no forward operator of another kind. `g` is the gradient with
/// respect to the operator's output; the result has the shape of its operand `x`, which is the
/// output's shape in the graph. Where `g` holds more images than the forward values (one gradient
/// per mask), every image of `g` meets the one forward image.
#[derive(Clone, Debug, PartialEq)]
pub enum Adjoint {
    /// `g, x`; for [`Unary::Relu`] the output serves as well as `x`.
    Unary(Unary),
    /// `g, a, b`, all of the broadcast shape or broadcast to it: the gradient at that shape with
    /// respect to the first (`second: false`) or second operand. Ties of Max and Min go to `a`.
    Binary {
        /// The function.
        function: Binary,
        /// With respect to `b`.
        second: bool,
    },
    /// `g, x, y`; to the first maximum of every window.
    MaxPool(Pool),
    /// `g`
    AveragePool(Pool),
    /// `g` with the reduced axes kept, `x`; to the first maximum in row-major order.
    ReduceMax {
        /// Sorted axes.
        axes: Vec<usize>,
    },
    /// `g, x`; fields as [`Op::Lrn`].
    Lrn {
        /// Number of channels summed.
        size: usize,
        /// Factor.
        alpha: f32,
        /// Exponent.
        beta: f32,
        /// Offset.
        bias: f32,
    },
    /// `g, x, scale`
    LayerNormalization {
        /// First normalised axis.
        axis: usize,
        /// Added to the variance.
        epsilon: f32,
    },
    /// `g, x, scale`
    InstanceNormalization {
        /// Added to the variance.
        epsilon: f32,
    },
    /// `g, y`; fields as [`Op::Softmax`].
    Softmax {
        /// First axis of the normalised range.
        first: usize,
        /// One past its last axis.
        end: usize,
        /// Of the logarithm.
        log: bool,
    },
    /// `g`; into zeros at the places [`Op::Slice`] read.
    Slice {
        /// First index per axis.
        starts: Vec<usize>,
        /// Step per axis.
        steps: Vec<isize>,
    },
    /// `g`; added up at the places [`Op::Gather`] read.
    Gather {
        /// Axis indexed.
        axis: usize,
        /// The indices.
        indices: Vec<usize>,
    },
    /// `g`; what padding by reflection or repetition copied is added up (see [`Op::Pad`]).
    Pad {
        /// Elements added before each axis.
        before: Vec<isize>,
        /// Not constant.
        mode: PadMode,
    },
    /// `g`; the transpose of [`Op::Resize`].
    Resize {
        /// Scale per axis.
        scales: Vec<f32>,
        /// Interpolation.
        mode: ResizeMode,
        /// Coordinate transformation.
        coordinates: ResizeCoordinates,
    },
    /// `g, x`: the gradient with respect to the weight of [`Op::Conv`], summed over images.
    ConvWeight(Conv),
    /// `g, z, d`: `g z / (d + epsilon sign d)`, or 0 where `side` excludes the sign of `z`. The step
    /// of layer-wise relevance propagation through something that makes `d` of its input.
    Relevance {
        /// Keeps quotients finite.
        epsilon: f32,
        /// Outputs it concerns.
        side: Sign,
    },
    /// `g, a`, both `[N, C, ...]`: `sum over positions of g a`, `[N, C]`. The score of a channel
    /// (method.md section 3.2).
    Score,
}
