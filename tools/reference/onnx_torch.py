"""Runs ONNX graphs with PyTorch operators, so that autograd differentiates them.

An interpreter of the operators this project reads. Where a function has no derivative the
convention is the project's: ReLU'(0) = 0, Clip'(bound) = 1, and a maximum over a window or over
axes belongs to the first position in row-major order. PyTorch's relu, max_pool2d and max(dim) do
just this (`check_conventions`); its clamp, relu6, hardtanh, hardsigmoid and amax do not and are not
used. For all other functions nothing is promised there, so `Kink` is raised.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

OPERATORS = {}


class Unsupported(Exception):
    """An operator, or a form of one, that the interpreter does not know."""


class Kink(Exception):
    """An operand lies where the derivative is anybody's choice."""


def constants(model, dtype):
    """The initialisers as tensors by name; those of floating point in `dtype`."""
    return {t.name: tensor(t, dtype) for t in model.graph.initializer}


def run(model, values, before=None):
    """All values of the graph by name, from the initialisers (see `constants`) and the input.

    `before(node, values, opset)` is called before each node and may change values.
    """
    values = dict(values)
    dtype = next(x.dtype for x in values.values() if x.is_floating_point())
    opsets = {o.domain: o.version for o in model.opset_import}
    for node in model.graph.node:
        if before:
            before(node, values, opsets[node.domain])
        results = evaluate(node, values, opsets[node.domain], dtype)
        values.update((name, x) for name, x in zip(node.output, results) if name)
    return values


def evaluate(node, values, opset, dtype):
    """The outputs of one node; constants it makes have type `dtype`."""
    if node.op_type not in OPERATORS or any(name and name not in values for name in node.input):
        # An operand is missing where an output of statistics or of a mask is read.
        raise Unsupported(node.op_type)
    a = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    a = {key: value.decode() if isinstance(value, bytes) else value for key, value in a.items()}
    a.update(opset=opset, dtype=dtype, outputs=len(node.output))
    operands = [values[name] if name else None for name in node.input]
    results = OPERATORS[node.op_type](a, *operands)
    return results if isinstance(results, (list, tuple)) else [results]


def check_conventions():
    """PyTorch's own derivatives at kinks are those promised above."""

    def slope(function, x):
        x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        return torch.autograd.grad(function(x).sum(), x)[0].flatten().tolist()

    ties = [[[[0.0, 2.0, 2.0], [2.0, 1.0, 2.0], [0.0, 0.0, 0.0]]]]
    first = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert slope(torch.relu, [-1.0, 0.0, 1.0]) == [0.0, 0.0, 1.0]
    assert slope(lambda x: between(x, 0.0, 6.0), [-1.0, 0.0, 6.0, 7.0]) == [0.0, 1.0, 1.0, 0.0]
    assert slope(lambda x: F.max_pool2d(x, 3), ties) == first
    assert slope(lambda x: extremum(x, [2, 3], False), ties) == first


def tensor(proto, dtype):
    made = torch.from_numpy(np.array(numpy_helper.to_array(proto)))
    return made.to(dtype) if made.is_floating_point() else made


def operator(*names):
    """Registers a function of (attributes, operands...) under ONNX names."""

    def register(function):
        OPERATORS.update({name: function for name in names})
        return function

    return register


def integers(x):
    return [int(value) for value in x.flatten()]


def number(x, default):
    """An operand or attribute that steers; nothing is differentiated by it."""
    return default if x is None else float(x.detach() if torch.is_tensor(x) else x)


def smooth_unless_at(x, *places):
    """Refuses operands that are, but for rounding, where there is no derivative."""
    if any((x.detach() - place).abs().le(1e-7).any() for place in places):
        raise Kink
    return x


# Element-wise functions.


def between(x, low, high):
    """`x` within bounds; the derivative at a bound is 1."""
    return torch.where((x >= low) & (x <= high), x, torch.clamp(x.detach(), low, high))


for name, function in {
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Erf": torch.erf,
    "Tanh": torch.tanh,
    "Sqrt": torch.sqrt,
    "Exp": torch.exp,
    "Log": torch.log,
    "Neg": torch.neg,
    "Reciprocal": torch.reciprocal,
    "Softplus": lambda x: F.softplus(x, threshold=700.0),
    "Mish": F.mish,
    "Softsign": F.softsign,
    "QuickGelu": lambda x: x * torch.sigmoid(1.702 * x),
    "Identity": lambda x: x,
}.items():
    OPERATORS[name] = lambda a, x, function=function: function(x)


@operator("Dropout")
def dropout(a, x, ratio=None, training=None):
    return x


@operator("Clip")
def clip(a, x, low=None, high=None):
    low = number(a.get("min") if low is None else low, -math.inf)
    return between(x, low, number(a.get("max") if high is None else high, math.inf))


@operator("Abs")
def absolute(a, x):
    return torch.abs(smooth_unless_at(x, 0.0))


@operator("HardSigmoid")
def hard_sigmoid(a, x):
    line = a.get("alpha", 0.2) * x + a.get("beta", 0.5)
    return between(smooth_unless_at(line, 0.0, 1.0), 0.0, 1.0)


@operator("HardSwish")
def hard_swish(a, x):
    return x * between(smooth_unless_at(x, -3.0, 3.0) + 3.0, 0.0, 6.0) / 6.0


@operator("Swish")
def swish(a, x):
    return x * torch.sigmoid(a.get("alpha", 1.0) * x)


@operator("Gelu")
def gelu(a, x):
    return F.gelu(x, approximate=a.get("approximate", "none"))


@operator("FastGelu")
def fast_gelu(a, x, offset=None):
    return F.gelu(x if offset is None else x + offset, approximate="tanh")


@operator("LeakyRelu")
def leaky_relu(a, x):
    return F.leaky_relu(smooth_unless_at(x, 0.0), a.get("alpha", 0.01))


@operator("PRelu")
def parametric_relu(a, x, slope):
    return torch.where(smooth_unless_at(x, 0.0) < 0.0, slope * x, x)


@operator("Elu")
def elu(a, x):
    return F.elu(smooth_unless_at(x, 0.0), a.get("alpha", 1.0))


@operator("Celu")
def celu(a, x):
    return F.celu(x, a.get("alpha", 1.0))


@operator("Selu")
def selu(a, x):
    x = F.elu(smooth_unless_at(x, 0.0), a.get("alpha", 1.6732632423543772))
    return a.get("gamma", 1.0507009873554805) * x


@operator("Add", "Sum")
def add(a, *terms):
    return sum(terms[1:], start=terms[0])


@operator("Mean")
def mean(a, *terms):
    return add(a, *terms) / len(terms)


@operator("Sub")
def subtract(a, x, y):
    return x - y


@operator("Mul")
def multiply(a, x, y):
    return x * y


@operator("Div")
def divide(a, x, y):
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


@operator("Pow")
def power(a, x, y):
    # The derivative by the exponent is not real for negative bases; exponents are constants.
    return x ** y.detach().to(x.dtype)


@operator("Max")
def maximum(a, *terms):
    result = terms[0]
    for term in terms[1:]:
        smooth_unless_at(result - term, 0.0)
        result = torch.maximum(result, term)
    return result


@operator("Min")
def minimum(a, *terms):
    return -maximum(a, *(-term for term in terms))


@operator("Where")
def where(a, condition, x, y):
    return torch.where(condition, x, y)


@operator("Cast")
def cast(a, x):
    if a["to"] in (TensorProto.FLOAT, TensorProto.DOUBLE):
        return x.to(a["dtype"])
    if a["to"] != TensorProto.INT64:
        raise Unsupported("Cast")
    return x.to(torch.int64)


# Windows.


def window_count(extent, span, stride, before, after, ceil):
    """Windows along one axis."""
    slack = extent + before + after - span
    if not ceil:
        return slack // stride + 1
    count = -(-slack // stride) + 1
    # A window that begins behind the image and its first padding sees nothing.
    return count - ((count - 1) * stride >= extent + before)


def extents(a, x, kernel):
    """Strides, dilations, padding [top, left, bottom, right] and output extents."""
    if x.dim() != 4:
        raise Unsupported("not an image")
    strides, dilations = a.get("strides", [1, 1]), a.get("dilations", [1, 1])
    pads = list(a.get("pads", [0, 0, 0, 0]))
    auto, out = a.get("auto_pad", "NOTSET"), []
    for axis in range(2):
        extent, span = x.shape[2 + axis], (kernel[axis] - 1) * dilations[axis] + 1
        if auto.startswith("SAME"):
            total = max((-(-extent // strides[axis]) - 1) * strides[axis] + span - extent, 0)
            small, large = total // 2, total - total // 2
            pads[axis], pads[axis + 2] = (small, large) if auto == "SAME_UPPER" else (large, small)
        out.append(window_count(extent, span, strides[axis], pads[axis], pads[axis + 2], a.get("ceil_mode", 0)))
    return strides, dilations, pads, out


def windows(x, fill, kernel, strides, dilations, pads, out):
    """`x` padded and cropped to exactly what `out` windows cover."""
    ends = [(out[k] - 1) * strides[k] + (kernel[k] - 1) * dilations[k] + 1 - x.shape[2 + k] - pads[k] for k in range(2)]
    return F.pad(x, [pads[1], ends[1], pads[0], ends[0]], value=fill)


@operator("Conv", "FusedConv")
def convolve(a, x, weight, bias=None):
    strides, dilations, pads, _ = extents(a, x, weight.shape[2:])
    if pads[:2] != pads[2:]:
        x, pads = F.pad(x, [pads[1], pads[3], pads[0], pads[2]]), [0, 0]
    y = F.conv2d(x, weight, bias, strides, pads[:2], dilations, a.get("group", 1))
    if "activation" not in a:
        return y
    if a["activation"] != "LeakyRelu":
        raise Unsupported("FusedConv")
    return leaky_relu({"alpha": a["activation_params"][0]}, y)


@operator("ConvTranspose")
def convolve_transposed(a, x, weight, bias=None):
    if x.dim() != 4:
        raise Unsupported("not an image")
    strides, dilations = a.get("strides", [1, 1]), a.get("dilations", [1, 1])
    pads, more = a.get("pads", [0, 0, 0, 0]), a.get("output_padding", [0, 0])
    y = F.conv_transpose2d(x, weight, None, strides, 0, 0, a.get("group", 1), dilations)
    full = [y.shape[2 + k] + more[k] for k in range(2)]
    auto = a.get("auto_pad", "NOTSET")
    if auto.startswith("SAME") or "output_shape" in a:
        wanted = a.get("output_shape", [x.shape[2 + k] * strides[k] for k in range(2)])
        total = [full[k] - wanted[k] for k in range(2)]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = [*small, *large] if auto == "SAME_UPPER" else [*large, *small]
    y = F.pad(y, [-pads[1], more[1] - pads[3], -pads[0], more[0] - pads[2]])
    return y if bias is None else y + bias[:, None, None]


@operator("MaxPool")
def max_pool(a, x):
    kernel = a["kernel_shape"]
    if a["outputs"] > 1:
        raise Unsupported("MaxPool")
    strides, dilations, pads, out = extents(a, x, kernel)
    # PyTorch pads both ends alike; with the same windows that makes no difference.
    for ceil in (False, True):
        spans = [(kernel[k] - 1) * dilations[k] + 1 for k in range(2)]
        own = [window_count(x.shape[2 + k], spans[k], strides[k], pads[k], pads[k], ceil) for k in range(2)]
        if own == out and all(2 * pads[k] <= kernel[k] for k in range(2)):
            return F.max_pool2d(x, kernel, strides, pads[:2], dilations, ceil)
    x = windows(x, -math.inf, kernel, strides, dilations, pads, out)
    return F.max_pool2d(x, kernel, strides, 0, dilations)


@operator("AveragePool")
def average_pool(a, x):
    kernel = a["kernel_shape"]
    strides, dilations, pads, out = extents(a, x, kernel)
    if max(dilations) > 1:
        raise Unsupported("AveragePool")
    include = bool(a.get("count_include_pad", 0))
    if pads[:2] == pads[2:] and not a.get("ceil_mode", 0) and all(2 * pads[k] <= kernel[k] for k in range(2)):
        return F.avg_pool2d(x, kernel, strides, pads[:2], False, include)
    counted = torch.ones_like(x[:1, :1].detach())
    if include:
        counted = F.pad(counted, [pads[1], pads[3], pads[0], pads[2]], value=1.0)
        counted = windows(counted, 0.0, kernel, strides, dilations, [0, 0], out)
    else:
        counted = windows(counted, 0.0, kernel, strides, dilations, pads, out)
    x = windows(x, 0.0, kernel, strides, dilations, pads, out)
    return F.avg_pool2d(x, kernel, strides, divisor_override=1) / F.avg_pool2d(counted, kernel, strides, divisor_override=1)


@operator("GlobalAveragePool")
def global_average_pool(a, x):
    return x.mean(list(range(2, x.dim())), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(a, x):
    return extremum(x, list(range(2, x.dim())), True)


# Products and normalisations.


@operator("Gemm")
def gemm(a, x, y, offset=None):
    x = x.T if a.get("transA", 0) else x
    product = a.get("alpha", 1.0) * (x @ (y.T if a.get("transB", 0) else y))
    return product if offset is None else product + a.get("beta", 1.0) * offset


@operator("MatMul")
def matrix_product(a, x, y):
    return x @ y


def per_channel(x, values):
    return values.reshape(-1, *[1] * (x.dim() - 2))


@operator("BatchNormalization")
def batch_normalization(a, x, scale, bias, mean, variance):
    if a.get("training_mode", 0) or a["outputs"] > 1:
        raise Unsupported("BatchNormalization")
    epsilon = a.get("epsilon", 1e-5)
    if not mean.requires_grad and not variance.requires_grad:
        return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, epsilon)
    # PyTorch's own does not differentiate by the statistics.
    factor = scale / torch.sqrt(variance + epsilon)
    return (x - per_channel(x, mean)) * per_channel(x, factor) + per_channel(x, bias)


@operator("LayerNormalization")
def layer_normalization(a, x, scale, bias=None):
    y = F.layer_norm(x, x.shape[a.get("axis", -1) % x.dim() :], None, None, a.get("epsilon", 1e-5)) * scale
    return y if bias is None else y + bias


@operator("InstanceNormalization")
def instance_normalization(a, x, scale, bias):
    y = F.layer_norm(x, x.shape[2:], None, None, a.get("epsilon", 1e-5))
    return y * per_channel(x, scale) + per_channel(x, bias)


@operator("GroupNormalization")
def group_normalization(a, x, scale, bias):
    groups = a["num_groups"]
    y = F.group_norm(x, groups, eps=a.get("epsilon", 1e-5))
    # One factor per group before opset 21, per channel since.
    repeat = x.shape[1] // scale.numel()
    return y * per_channel(x, scale.repeat_interleave(repeat)) + per_channel(x, bias.repeat_interleave(repeat))


@operator("LRN")
def local_response(a, x):
    size = a["size"]
    before = (size - 1) // 2
    squares = F.pad(x * x, [0, 0, 0, 0, before, size - 1 - before])
    total = sum(squares[:, k : k + x.shape[1]] for k in range(size))
    return x / (a.get("bias", 1.0) + a.get("alpha", 1e-4) / size * total) ** a.get("beta", 0.75)


def softmax_rows(a, x, function):
    if a["opset"] >= 13:
        return function(x, a.get("axis", -1))
    axis = a.get("axis", 1) % x.dim()
    return function(x.reshape(math.prod(x.shape[:axis]), -1), 1).reshape(x.shape)


@operator("Softmax")
def softmax(a, x):
    return softmax_rows(a, x, torch.softmax)


@operator("LogSoftmax")
def log_softmax(a, x):
    return softmax_rows(a, x, torch.log_softmax)


# Reductions.


def extremum(x, axes, keep):
    """The maximum over axes; its derivative goes to the first position."""
    others = [axis for axis in range(x.dim()) if axis not in axes]
    rows = x.permute(others + axes).reshape(*[x.shape[axis] for axis in others], -1)
    result = rows.max(-1).values
    return result.reshape([1 if axis in axes else extent for axis, extent in enumerate(x.shape)]) if keep else result


def reduction(name, since, function):
    """Axes are an attribute before opset `since`, an operand from then on."""

    def reduce(a, x, axes=None):
        axes = a.get("axes") if a["opset"] < since or axes is None else integers(axes)
        if not axes and a.get("noop_with_empty_axes", 0):
            axes = []
            if name in ("ReduceL1", "ReduceL2", "ReduceSumSquare"):
                raise Unsupported(name)
            return x
        axes = sorted(axis % x.dim() for axis in axes) if axes else list(range(x.dim()))
        return function(x, axes, bool(a.get("keepdims", 1)))

    OPERATORS[name] = reduce


reduction("ReduceMean", 18, torch.mean)
reduction("ReduceSum", 13, torch.sum)
reduction("ReduceMax", 18, extremum)
reduction("ReduceMin", 18, lambda x, axes, keep: -extremum(-x, axes, keep))
reduction("ReduceL1", 18, lambda x, axes, keep: smooth_unless_at(x, 0.0).abs().sum(axes, keep))
reduction("ReduceL2", 18, lambda x, axes, keep: (x * x).sum(axes, keep).sqrt())
reduction("ReduceSumSquare", 18, lambda x, axes, keep: (x * x).sum(axes, keep))


# Movement.


@operator("Reshape")
def reshape(a, x, shape):
    shape = integers(shape)
    return x.reshape([x.shape[k] if n == 0 and not a.get("allowzero", 0) else n for k, n in enumerate(shape)])


@operator("Flatten")
def flatten(a, x):
    axis = a.get("axis", 1)
    axis = axis + x.dim() if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), -1)


def axes_of(a, axes):
    return a.get("axes") if axes is None else integers(axes)


@operator("Squeeze")
def squeeze(a, x, axes=None):
    axes = axes_of(a, axes)
    axes = [k for k, n in enumerate(x.shape) if n == 1] if axes is None else [axis % x.dim() for axis in axes]
    return x.reshape([n for k, n in enumerate(x.shape) if k not in axes])


@operator("Unsqueeze")
def unsqueeze(a, x, axes=None):
    axes = axes_of(a, axes)
    shape = list(x.shape)
    for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
        shape.insert(axis, 1)
    return x.reshape(shape)


@operator("Transpose")
def transpose(a, x):
    return x.permute(a.get("perm", list(range(x.dim()))[::-1]))


@operator("Concat")
def concat(a, *parts):
    return torch.cat(parts, a["axis"])


@operator("Split")
def split(a, x, sizes=None):
    axis = a.get("axis", 0)
    sizes = a.get("split") if sizes is None else integers(sizes)
    if sizes is None:
        return torch.split(x, -(-x.shape[axis] // a["outputs"]), axis)
    return torch.split(x, sizes, axis)


@operator("Slice")
def slice_(a, x, starts=None, ends=None, axes=None, steps=None):
    starts, ends = (a["starts"], a["ends"]) if starts is None else (integers(starts), integers(ends))
    axes = a.get("axes", range(len(starts))) if axes is None else integers(axes)
    for k, (start, end, axis) in enumerate(zip(starts, ends, axes)):
        step = 1 if steps is None else integers(steps)[k]
        picked = range(x.shape[axis])[start:end:step]
        x = x.index_select(axis, torch.tensor(list(picked), dtype=torch.int64))
    return x


@operator("Gather")
def gather(a, x, indices):
    axis = a.get("axis", 0) % x.dim()
    flat = indices.flatten() % x.shape[axis]
    return x.index_select(axis, flat).reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


@operator("Expand")
def expand(a, x, shape):
    return x.expand(torch.broadcast_shapes(x.shape, integers(shape)))


@operator("Tile")
def tile(a, x, repeats):
    return x.repeat(integers(repeats))


@operator("Pad")
def pad(a, x, pads=None, value=None, axes=None):
    pads = a.get("pads") if pads is None else integers(pads)
    axes = range(x.dim()) if axes is None else [axis % x.dim() for axis in integers(axes)]
    fill = a.get("value", 0.0) if value is None else number(value, 0.0)
    mode = a.get("mode", "constant")
    for k, axis in enumerate(axes):
        first, last = pads[k], pads[k + len(axes)]
        extent = x.shape[axis]
        wanted = torch.arange(-first, extent + last)
        inside = (wanted >= 0) & (wanted < extent)
        if mode == "reflect":
            period = max(2 * (extent - 1), 1)
            wanted = wanted % period
            wanted = torch.minimum(wanted, period - wanted)
        elif mode not in ("constant", "edge"):
            raise Unsupported("Pad")
        x = x.index_select(axis, wanted.clamp(0, extent - 1))
        if mode == "constant":
            x = torch.where(inside.reshape(-1, *[1] * (x.dim() - 1 - axis)), x, fill)
    return x


@operator("DepthToSpace")
def depth_to_space(a, x):
    n, c, h, w = x.shape
    b = a["blocksize"]
    if a.get("mode", "DCR") == "DCR":
        return x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)
    return x.reshape(n, c // b**2, b, b, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // b**2, h * b, w * b)


@operator("SpaceToDepth")
def space_to_depth(a, x):
    n, c, h, w = x.shape
    b = a["blocksize"]
    order = (0, 3, 5, 1, 2, 4) if a.get("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return x.reshape(n, c, h // b, b, w // b, b).permute(order).reshape(n, c * b**2, h // b, w // b)


def interpolation(a, extent, scale, out):
    """Weights `[out, extent]` of one axis."""
    k = np.arange(out, dtype=np.float32)
    scale = np.float32(scale)
    transform = a.get("coordinate_transformation_mode", "half_pixel")
    if transform == "asymmetric":
        at = k / scale
    elif transform == "align_corners":
        at = k * np.float32(extent - 1) / np.float32(out - 1) if out > 1 else np.zeros(1, np.float32)
    elif transform in ("half_pixel", "pytorch_half_pixel"):
        at = (k + np.float32(0.5)) / scale - np.float32(0.5)
        if transform == "pytorch_half_pixel" and out == 1:
            at = np.zeros(1, np.float32)
    else:
        raise Unsupported(transform)
    weights = torch.zeros(out, extent, dtype=torch.float64)
    if a.get("mode", "nearest") == "nearest":
        rounding = {
            "round_prefer_floor": lambda x: np.ceil(x - np.float32(0.5)),
            "round_prefer_ceil": lambda x: np.floor(x + np.float32(0.5)),
            "floor": np.floor,
            "ceil": np.ceil,
        }[a.get("nearest_mode", "round_prefer_floor")]
        source = np.clip(rounding(at), 0, extent - 1).astype(np.int64)
        weights[np.arange(out), source] = 1.0
        return weights
    if a["mode"] != "linear" or a.get("antialias", 0) or a.get("exclude_outside", 0):
        raise Unsupported("Resize")
    at = np.clip(at.astype(np.float64), 0, extent - 1)
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, extent - 1)
    for row in range(out):
        weights[row, low[row]] += 1.0 - (at[row] - low[row])
        weights[row, high[row]] += at[row] - low[row]
    return weights


def resample(a, x, scales, sizes):
    axes = a.get("axes", range(x.dim()))
    for k, axis in enumerate(axes):
        extent = x.shape[axis]
        out = int(np.floor(np.float32(extent) * np.float32(scales[k]))) if sizes is None else sizes[k]
        scale = scales[k] if sizes is None else out / extent
        if out != extent or scale != 1.0:
            weights = interpolation(a, extent, scale, out).to(x.dtype)
            x = torch.movedim(torch.tensordot(x, weights, dims=([axis], [1])), -1, axis)
    return x


@operator("Upsample")
def upsample(a, x, scales=None):
    scales = a.get("scales") if scales is None else scales.tolist()
    # ONNX Runtime rounds up where it shrinks, so that the last pixel is reached.
    rounding = "ceil" if min(scales) < 1.0 else "floor"
    return resample({**a, "coordinate_transformation_mode": "asymmetric", "nearest_mode": rounding}, x, scales, None)


@operator("Resize")
def resize(a, x, *operands):
    if a["opset"] < 11:
        return upsample(a, x, operands[0])
    if a.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unsupported("Resize")
    _, scales, sizes = [None if o is None or o.numel() == 0 else o for o in [*operands, None, None]][:3]
    return resample(a, x, scales if scales is None else scales.tolist(), sizes if sizes is None else integers(sizes))


# What exists while shapes are computed.


@operator("Constant")
def constant(a):
    if "value" in a:
        return tensor(a["value"], a["dtype"])
    floating = "value_float" in a or "value_floats" in a
    value = next(a[key] for key in ("value_float", "value_floats", "value_int", "value_ints") if key in a)
    return torch.tensor(value, dtype=a["dtype"] if floating else torch.int64)


@operator("ConstantOfShape")
def constant_of_shape(a, shape):
    value = tensor(a["value"], a["dtype"]) if "value" in a else torch.zeros(1, dtype=a["dtype"])
    return value.expand(integers(shape)).clone()


@operator("Shape")
def shape(a, x):
    return torch.tensor(x.shape[a.get("start", 0) : a.get("end", x.dim())], dtype=torch.int64)
