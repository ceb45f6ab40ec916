"""Writes crates/nn/tests/data/operators.npz: small models with inputs and expected outputs.

Every case is an ONNX model with one input of four axes and one output [1, n], as the reader
demands. Node tests of the onnx package are wrapped: the first float operand becomes the input
(reshaped from [1, 1, 1, n]), all others become initialisers, all outputs are flattened, cast to
float and joined. The archive holds

    index     u8, JSON: list of {name, source, model: [start, end], input: [start, end],
              input_shape, expected: [start, end]}
    models    u8, concatenated
    inputs    f32, concatenated
    expected  f32, concatenated

Usage: python make_operator_cases.py   (see README.md for versions)
"""

import json
import pathlib
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

warnings.filterwarnings("ignore")
ort.set_default_logger_severity(4)
TARGET = pathlib.Path(__file__).resolve().parents[2] / "crates/nn/tests/data/operators.npz"

OPERATORS = set(
    """Conv ConvTranspose Gemm MatMul BatchNormalization LRN LayerNormalization
    InstanceNormalization GroupNormalization Relu LeakyRelu PRelu Clip Sigmoid HardSigmoid
    HardSwish Swish Mish Softsign Selu Celu Erf Gelu Tanh Sqrt Exp Log Neg Abs Reciprocal Elu
    Softplus Softmax LogSoftmax MaxPool AveragePool GlobalAveragePool GlobalMaxPool ReduceMean
    ReduceMax ReduceMin ReduceSum ReduceProd ReduceL1 ReduceL2 ReduceSumSquare Add Sub Mul Div Pow
    Max Min Sum Mean Concat Split Slice Gather Reshape Flatten Squeeze Unsqueeze Transpose Pad
    Resize Upsample Dropout Identity Constant ConstantOfShape Shape Size Cast Where Expand Tile
    Range DepthToSpace SpaceToDepth Equal Less Greater LessOrEqual GreaterOrEqual And Or Xor Not
    Floor Ceil Round Sign Mod""".split()
)
KEPT_TYPES = (np.float32, np.float64, np.float16, np.int64, np.int32, np.bool_)
# Cases whose own expected values are not used: rounded to four digits; computed with the unrounded
# output extent, unlike PyTorch and ONNX Runtime.
BY_RUNTIME = {
    "test_averagepool_2d_ceil_last_window_starts_on_pad",
    "test_resize_downsample_scales_linear_align_corners",
}
SMALL = 1500
rng = np.random.default_rng(20260)


def coarse(shape):
    """Random multiples of 1/16 in [-4, 4]: they compress to about a byte each."""
    return (rng.integers(-64, 65, shape) / 16).astype(np.float32)


def evaluate(model, feeds):
    """ONNX Runtime's outputs; those of the ONNX reference evaluator where it has no kernel."""
    try:
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, feeds), "onnxruntime"
    except Exception:
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(model).run(None, feeds), "onnx"


def wrap(name, model, inputs, expected):
    """The case as a network, or None where it has no place in one."""
    node = model.graph.node[0]
    names = [value.name for value in model.graph.input]
    if any(not isinstance(x, np.ndarray) or x.dtype.type not in KEPT_TYPES for x in [*inputs, *expected]):
        return None
    if any(x.size == 0 for x in expected):
        return None
    # Half precision arithmetic rounds otherwise.
    if any(x.dtype == np.float16 for x in inputs) and node.op_type not in ("Cast", "Identity"):
        return None
    # Further outputs of these are statistics, which no network reads.
    if node.op_type == "LayerNormalization":
        expected = expected[:1]
    source = "onnx"
    floats = [i for i, x in enumerate(inputs) if x.dtype == np.float32 and x.size > 0]
    if name in BY_RUNTIME:
        expected, source = evaluate(model, dict(zip(names, inputs)))
    if sum(x.size for x in [*inputs, *expected]) > SMALL and floats:
        inputs = [coarse(x.shape) if x.dtype == np.float32 and x.size > SMALL // 4 else x for x in inputs]
        results, source = evaluate(model, dict(zip(names, inputs)))
        expected = results[: len(expected)]
    nodes, initializers = [], []
    image = None
    for i, (value, x) in enumerate(zip(names, inputs)):
        if floats and i == floats[0]:
            image = x.reshape(1, 1, 1, -1)
            initializers.append(numpy_helper.from_array(np.array(x.shape, np.int64), "image_shape"))
            nodes.append(helper.make_node("Reshape", ["image", "image_shape"], [value]))
        else:
            initializers.append(numpy_helper.from_array(np.ascontiguousarray(x), value))
    nodes.append(node)
    opset = {o.domain: o.version for o in model.opset_import}[""]
    initializers.append(numpy_helper.from_array(np.array([1, -1], np.int64), "flat"))
    parts, results = [], []
    for i, (value, x) in enumerate(zip([o for o in node.output if o], expected)):
        nodes.append(helper.make_node("Cast", [value], [f"float_{i}"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Reshape", [f"float_{i}", "flat"], [f"part_{i}"]))
        parts.append(f"part_{i}")
        results.append(np.asarray(x, np.float32).ravel())
    if image is None or node.op_type in ("Shape", "Size"):
        # The result is constant: the image is joined with factor 0.
        if image is None:
            image = coarse((1, 1, 1, 1))
        initializers.append(numpy_helper.from_array(np.array(0, np.float32), "zero"))
        nodes.append(helper.make_node("Mul", ["image", "zero"], ["nothing"]))
        nodes.append(helper.make_node("Reshape", ["nothing", "flat"], ["flat_nothing"]))
        nodes.append(helper.make_node("Concat", [*parts, "flat_nothing"], ["scores"], axis=1))
        results.append(np.zeros(image.size, np.float32))
    else:
        nodes.append(helper.make_node("Concat", parts, ["scores"], axis=1))
    expected = np.concatenate(results)
    if not np.isfinite(expected).all():
        return None
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image.shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, expected.size])],
        initializers,
    )
    wrapped = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return name, source, wrapped, image.astype(np.float32), expected


def node_tests():
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        model = case.model
        if len(model.graph.node) != 1 or model.graph.node[0].op_type not in OPERATORS:
            continue
        if {o.domain: o.version for o in model.opset_import}.get("", 0) < 7:
            continue
        inputs, outputs = case.data_sets[0]
        if "bernoulli" in case.name or len(inputs) != len(model.graph.input):
            continue
        wrapped = wrap(case.name, model, list(inputs), list(outputs))
        if wrapped:
            yield wrapped


def form(name, opset, nodes, shape, constants=None, domain=None, low=None, levels=None):
    """A network written for one operator set; expected values by ONNX Runtime.

    The image is above `low`, or made of the integers from -`levels` to `levels`, full of ties.
    """
    constants = constants or {}
    image = coarse(shape) if levels is None else rng.integers(-levels, levels + 1, shape).astype(np.float32)
    if low is not None:
        image = np.abs(image) + np.float32(low)
    flat = numpy_helper.from_array(np.array([1, -1], np.int64), "flat")
    last = nodes[-1].output[0]
    graph = helper.make_graph(
        [*nodes, helper.make_node("Reshape", [last, "flat"], ["scores"])],
        name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image.shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, "n"])],
        [flat, *(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())],
    )
    imports = [helper.make_opsetid("", opset)]
    if domain:
        imports.append(helper.make_opsetid(domain, 1))
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    outputs, source = evaluate(model, {"image": image})
    return f"{name}_opset{opset}", source, model, image, np.asarray(outputs[0], np.float32).ravel()


def n(op, inputs, output="y", **attributes):
    return helper.make_node(op, inputs, [output] if isinstance(output, str) else output, **attributes)


F, I = np.float32, np.int64


def forms():
    """Operators whose meaning or form changed between operator sets."""
    x34 = (1, 3, 4, 5)
    for opset in (7, 9, 11, 12, 13, 17):
        for axis in (1, 2, 3, -1) if opset >= 11 else (1, 2, 3):
            yield form(f"softmax_axis{axis}", opset, [n("Softmax", ["image"], axis=axis)], x34)
            yield form(f"log_softmax_axis{axis}", opset, [n("LogSoftmax", ["image"], axis=axis)], x34)
        yield form("softmax_default", opset, [n("Softmax", ["image"])], x34)
    for opset in (7, 10):
        yield form("clip_attributes", opset, [n("Clip", ["image"], min=-1.0, max=2.0)], x34)
        yield form("clip_no_bounds", opset, [n("Clip", ["image"])], x34)
    for opset in (11, 12, 13):
        yield form("clip_inputs", opset, [n("Clip", ["image", "lo", "hi"])], x34, {"lo": F(0), "hi": F(3)})
        yield form("clip_upper", opset, [n("Clip", ["image", "", "hi"])], x34, {"hi": F(1)})
    for opset in (7, 9):
        yield form("slice_attributes", opset, [n("Slice", ["image"], starts=[1, -4], ends=[9, -1], axes=[1, 3])], x34)
        yield form("slice_no_axes", opset, [n("Slice", ["image"], starts=[0, 1, 1], ends=[1, 3, 3])], x34)
    for opset in (10, 11, 13):
        yield form("slice_inputs", opset, [n("Slice", ["image", "s", "e", "a", "t"])], x34,
                   {"s": I([-1, 0]), "e": I([-9, 5]), "a": I([2, 3]), "t": I([-1, 2])})
        yield form("slice_inputs_no_steps", opset, [n("Slice", ["image", "s", "e"])], x34,
                   {"s": I([0, 1]), "e": I([1, 1 << 40])})
    for opset in (7, 10):
        for mode in ("constant", "reflect", "edge"):
            yield form(f"pad_{mode}", opset, [n("Pad", ["image"], mode=mode, pads=[0, 0, 1, 2, 0, 0, 2, 1], value=1.5)], x34)
    for opset in (11, 13, 18, 19):
        for mode in ("constant", "reflect", "edge"):
            yield form(f"pad_{mode}", opset, [n("Pad", ["image", "p", "v"], mode=mode)], x34,
                       {"p": I([0, 0, 1, 2, 0, 0, 2, 1]), "v": F(1.5)})
        yield form("pad_crop", opset, [n("Pad", ["image", "p"])], x34, {"p": I([0, 0, -1, 2, 0, 0, 0, -1])})
    for opset in (18, 21):
        yield form("pad_axes", opset, [n("Pad", ["image", "p", "", "a"])], x34, {"p": I([1, 0, 2, 1]), "a": I([-1, 1])})
    for op in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare"):
        for opset in (7, 11, 13):
            yield form(f"{op}_attributes".lower(), opset, [n(op, ["image"], axes=[2, 3], keepdims=0)], x34)
            yield form(f"{op}_all".lower(), opset, [n(op, ["image"])], x34)
        yield form(f"{op}_negative".lower(), 13, [n(op, ["image"], axes=[-1])], x34)
        yield form(f"{op}_inputs".lower(), 18, [n(op, ["image", "a"], keepdims=1)], x34, {"a": I([-2, 1])})
        yield form(f"{op}_noop".lower(), 18, [n(op, ["image"], noop_with_empty_axes=1)], x34)
    yield form("reduce_sum_attributes", 11, [n("ReduceSum", ["image"], axes=[1])], x34)
    for opset in (13, 18):
        yield form("reduce_sum_inputs", opset, [n("ReduceSum", ["image", "a"], keepdims=0)], x34, {"a": I([1])})
        yield form("reduce_sum_noop", opset, [n("ReduceSum", ["image"], noop_with_empty_axes=1)], x34)
    for opset in (7, 11):
        yield form("split_attribute", opset, [n("Split", ["image"], ["a", "b"], axis=1, split=[1, 2]), n("Concat", ["b", "a"], axis=1)], x34)
    for opset in (13, 18):
        yield form("split_input", opset, [n("Split", ["image", "s"], ["a", "b"], axis=-1), n("Concat", ["b", "a"], axis=3)], x34, {"s": I([4, 1])})
    yield form("split_equal", 13, [n("Split", ["image"], ["a", "b"], axis=2), n("Sub", ["a", "b"])], x34)
    yield form("split_num_outputs", 18, [n("Split", ["image"], ["a", "b"], axis=3, num_outputs=2), n("Concat", ["b", "a"], axis=3)], x34)
    yield form("split_unused", 13, [n("Split", ["image", "s"], ["a", "b", "c"], axis=3), n("Relu", ["b"])], x34, {"s": I([1, 3, 1])})
    for opset in (7, 11):
        yield form("squeeze_attribute", opset, [n("Unsqueeze", ["image"], "u", axes=[0, 5]), n("Squeeze", ["u"], axes=[0, 1])], x34)
    for opset in (13, 21):
        yield form("squeeze_input", opset, [n("Unsqueeze", ["image", "a"], "u"), n("Squeeze", ["u"])], x34, {"a": I([-1, 0])})
    for opset in (7, 8):
        for mode in ("nearest", "linear"):
            yield form(f"upsample_{mode}", opset, [n("Upsample", ["image"], mode=mode, scales=[1.0, 1.0, 2.0, 3.0])], x34)
    for mode in ("nearest", "linear"):
        yield form(f"upsample_{mode}", 9, [n("Upsample", ["image", "s"], mode=mode)], x34, {"s": F([1, 1, 2, 1.5])})
        yield form(f"resize_{mode}", 10, [n("Resize", ["image", "s"], mode=mode)], x34, {"s": F([1, 1, 2, 1.5])})
        yield form(f"resize_shrink_{mode}", 10, [n("Resize", ["image", "s"], mode=mode)], (1, 2, 6, 7), {"s": F([1, 1, 0.5, 0.6])})
    for opset in (11, 13, 18, 19):
        for mode, extra in (("nearest", ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")), ("linear", (None,))):
            for transform in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
                for rounding in extra:
                    attributes = {"nearest_mode": rounding} if rounding else {}
                    for kind, constants in (
                        ("scales", {"r": F([]), "s": F([1, 1, 1.6, 0.7])}),
                        ("sizes", {"r": F([]), "s": F([]), "z": I([1, 2, 3, 9])}),
                    ):
                        if opset in (11, 19) or (rounding in (None, "floor") and kind == "sizes"):
                            yield form(f"resize_{kind}_{mode}_{transform}_{rounding}", opset,
                                       [n("Resize", ["image", *constants], mode=mode, coordinate_transformation_mode=transform, **attributes)],
                                       (1, 2, 5, 6), constants)
    yield form("resize_axes", 18, [n("Resize", ["image", "", "s"], mode="linear", axes=[3, 2])], x34, {"s": F([2, 1.5])})
    bn = {"s": F([0.5, 1, 2]), "b": F([0, 1, -1]), "m": F([0.1, -0.2, 0.3]), "v": F([1, 0.5, 2])}
    for opset in (7, 9, 14, 15):
        yield form("batch_normalization", opset, [n("BatchNormalization", ["image", *bn], epsilon=1e-3)], x34, bn)
    for opset in (7, 10):
        yield form("dropout", opset, [n("Dropout", ["image"], ratio=0.5)], x34)
    for opset in (12, 13):
        yield form("dropout_ratio", opset, [n("Dropout", ["image", "r", "t"])], x34, {"r": F(0.5), "t": np.array(False)})
    for opset in (7, 10, 11, 19):
        for pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
            for op in ("MaxPool", "AveragePool"):
                yield form(f"{op}_{pad}".lower(), opset, [n(op, ["image"], kernel_shape=[3, 2], strides=[2, 2], auto_pad=pad)], (1, 2, 7, 6))
            yield form(f"conv_{pad}".lower(), opset, [n("Conv", ["image", "w"], kernel_shape=[3, 2], strides=[2, 1], auto_pad=pad)],
                       (1, 2, 7, 6), {"w": coarse((3, 2, 3, 2))})
        yield form("average_pool_include_pad", opset, [n("AveragePool", ["image"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)], (1, 2, 6, 7))
    for opset in (10, 11, 12, 22):
        for op in ("MaxPool", "AveragePool"):
            yield form(f"{op}_ceil".lower(), opset, [n(op, ["image"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)], (1, 2, 6, 8))
            yield form(f"{op}_ceil_padded".lower(), opset, [n(op, ["image"], kernel_shape=[2, 2], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)], (1, 2, 5, 6))
        yield form("average_pool_ceil_include_pad", opset, [n("AveragePool", ["image"], kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 0, 1], ceil_mode=1, count_include_pad=1)], (1, 2, 6, 6))
    yield form("max_pool_dilated", 10, [n("MaxPool", ["image"], kernel_shape=[2, 2], dilations=[2, 1], pads=[1, 0, 1, 1])], (1, 2, 6, 5))
    yield form("max_pool_unused_indices", 12, [n("MaxPool", ["image"], ["y", "i"], kernel_shape=[2, 2])], x34)
    for group, out in ((1, 4), (2, 4), (4, 4), (4, 8)):
        w = {"w": coarse((out, 4 // group, 3, 3)), "b": coarse(out)}
        yield form(f"conv_group{group}_{out}", 11, [n("Conv", ["image", "w", "b"], group=group, strides=[2, 1], pads=[2, 1, 0, 1], dilations=[1, 2])], (1, 4, 7, 8), w)
        w = {"w": coarse((4, out // group, 3, 2)), "b": coarse(out)}
        yield form(f"conv_transpose_group{group}_{out}", 11, [n("ConvTranspose", ["image", "w", "b"], group=group, strides=[2, 3], pads=[1, 0, 0, 1], output_padding=[1, 0], dilations=[1, 2])], (1, 4, 4, 3), w)
    for pad in ("SAME_UPPER", "SAME_LOWER"):
        yield form(f"conv_transpose_{pad}".lower(), 11, [n("ConvTranspose", ["image", "w"], strides=[2, 2], auto_pad=pad)], (1, 2, 3, 4), {"w": coarse((2, 1, 3, 3))})
    yield form("conv_transpose_output_shape", 11, [n("ConvTranspose", ["image", "w"], strides=[2, 2], output_shape=[7, 8])], (1, 2, 3, 4), {"w": coarse((2, 1, 4, 3))})
    for opset in (7, 9, 11, 13):
        gemm = {"w": coarse((60, 7)), "c": coarse(7)}
        yield form("gemm", opset, [n("Flatten", ["image"], "f"), n("Gemm", ["f", "w", "c"], alpha=0.5, beta=2.0)], x34, gemm)
        gemm = {"w": coarse((7, 60)), "c": coarse((1, 1))}
        yield form("gemm_transposed", opset, [n("Flatten", ["image"], "f", axis=4), n("Gemm", ["f", "w", "c"], transA=1, transB=1)], x34, gemm)
    yield form("gemm_no_offset", 13, [n("Flatten", ["image"], "f"), n("Gemm", ["f", "w"], transB=1)], x34, {"w": coarse((7, 60))})
    for axis in (0, 1, 2, 4):
        yield form(f"flatten_axis{axis}", 9, [n("Flatten", ["image"], axis=axis)], x34)
    yield form("flatten_negative", 13, [n("Flatten", ["image"], axis=-2)], x34)
    yield form("matmul_batched", 13, [n("MatMul", ["image", "w"])], x34, {"w": coarse((3, 5, 2))})
    yield form("matmul_vector", 13, [n("MatMul", ["image", "w"])], x34, {"w": coarse(5)})
    yield form("matmul_vector_left", 13, [n("MatMul", ["w", "image"])], x34, {"w": coarse(4)})
    yield form("matmul_self", 13, [n("Transpose", ["image"], "t", perm=[0, 1, 3, 2]), n("MatMul", ["image", "t"])], x34)
    # Neither ONNX Runtime nor the reference evaluator computes even sizes right.
    for size in (1, 3, 5):
        yield form(f"lrn_size{size}", 13, [n("LRN", ["image"], size=size, alpha=0.5, beta=0.6, bias=1.5)], (1, 5, 2, 3))
    yield form("prelu_channel", 9, [n("PRelu", ["image", "s"])], x34, {"s": F([0.1, 0.2, -0.5]).reshape(3, 1, 1)})
    yield form("reshape_zero", 13, [n("Reshape", ["image", "s"])], x34, {"s": I([0, -1, 0])})
    yield form("expand", 13, [n("ReduceMean", ["image"], "m", axes=[1]), n("Expand", ["m", "s"])], x34, {"s": I([2, 1, 3, 1, 1])})
    yield form("where_mask", 13, [n("Where", ["c", "image", "z"])], x34, {"c": np.array([True, False, True, True, False]), "z": F(-1)})
    yield form("gather_negative", 13, [n("Gather", ["image", "i"], axis=-1)], x34, {"i": I([[0, -1], [2, 2]])})
    yield form("gather_scalar", 13, [n("Gather", ["image", "i"], axis=1)], x34, {"i": I(2)})
    yield form("depth_to_space_crd", 11, [n("DepthToSpace", ["image"], blocksize=2, mode="CRD")], (1, 8, 2, 3))
    yield form("depth_to_space_dcr", 9, [n("DepthToSpace", ["image"], blocksize=2)], (1, 8, 2, 3))
    yield form("space_to_depth", 9, [n("SpaceToDepth", ["image"], blocksize=2)], (1, 2, 4, 6))
    for opset in (8, 13):
        yield form("mean_of_three", opset, [n("Mean", ["image", "a", "b"])], x34, {"a": coarse((3, 1, 1)), "b": coarse(5)})
        yield form("max_of_three", opset, [n("Max", ["image", "a", "b"])], x34, {"a": coarse((3, 1, 1)), "b": coarse(5)})
    yield form("pow_integer", 13, [n("Pow", ["image", "e"])], x34, {"e": I(2)})
    yield form("group_normalization", 18, [n("GroupNormalization", ["image", "s", "b"], num_groups=2)], (1, 4, 3, 2), {"s": coarse(2), "b": coarse(2)})
    yield form("group_normalization", 21, [n("GroupNormalization", ["image", "s", "b"], num_groups=2)], (1, 4, 3, 2), {"s": coarse(4), "b": coarse(4)})
    yield form("layer_normalization_broadcast", 17, [n("LayerNormalization", ["image", "s"], axis=2)], x34, {"s": coarse(5)})
    yield form("instance_normalization", 9, [n("InstanceNormalization", ["image", "s", "b"], epsilon=1e-2)], x34, {"s": coarse(3), "b": coarse(3)})
    yield form("swish_spelt_out", 13, [n("Sigmoid", ["image"], "g"), n("Mul", ["image", "g"])], x34)
    yield form("hard_swish_spelt_out", 13, [n("Add", ["image", "three"], "a"), n("Clip", ["a", "zero", "six"], "c"), n("Mul", ["image", "c"], "m"), n("Div", ["m", "six"])],
               x34, {"three": F(3), "zero": F(0), "six": F(6)})
    yield form("hard_swish_gate_first", 13, [n("HardSigmoid", ["image"], "g", alpha=1 / 6, beta=0.5), n("Mul", ["g", "image"])], x34)
    yield form("hard_sigmoid_spelt_out", 13, [n("Add", ["image", "three"], "a"), n("Clip", ["a", "zero", "six"], "c"), n("Mul", ["c", "sixth"])],
               x34, {"three": F(3), "zero": F(0), "six": F(6), "sixth": F(1 / 6)})
    root = {"r": F(2 ** 0.5), "i": F(0.5 ** 0.5), "one": F(1), "half": F(0.5)}
    yield form("gelu_half_last", 13, [n("Div", ["image", "r"], "d"), n("Erf", ["d"], "e"), n("Add", ["e", "one"], "g"), n("Mul", ["image", "g"], "m"), n("Mul", ["m", "half"])], x34, root)
    yield form("gelu_half_first", 13, [n("Mul", ["image", "i"], "d"), n("Erf", ["d"], "e"), n("Add", ["one", "e"], "g"), n("Mul", ["half", "image"], "m"), n("Mul", ["m", "g"])], x34, root)
    yield form("gelu_half_gate", 13, [n("Div", ["image", "r"], "d"), n("Erf", ["d"], "e"), n("Add", ["e", "one"], "g"), n("Mul", ["g", "half"], "m"), n("Mul", ["image", "m"])], x34, root)
    yield form("gelu", 13, [n("Gelu", ["image"], domain="com.microsoft")], x34, domain="com.microsoft")
    yield form("fast_gelu", 13, [n("FastGelu", ["image", "b"], domain="com.microsoft")], x34, {"b": coarse(5)}, domain="com.microsoft")
    yield form("quick_gelu", 13, [n("QuickGelu", ["image"], domain="com.microsoft")], x34, domain="com.microsoft")
    fused = {"w": coarse((3, 3, 1, 1)), "b": coarse(3)}
    yield form("fused_conv", 13, [n("FusedConv", ["image", "w", "b"], domain="com.microsoft", activation="LeakyRelu", activation_params=[0.25])], x34, fused, domain="com.microsoft")
    yield form("shape_arithmetic", 13, [
        n("Shape", ["image"], "s"), n("Gather", ["s", "one"], "c"), n("Mul", ["c", "two"], "c2"), n("Unsqueeze", ["c2", "zero_list"], "c2l"),
        n("Slice", ["s", "two_list", "three_list"], "h"), n("Concat", ["minus_one", "c2l", "h"], "t", axis=0), n("Concat", ["image", "image"], "i2", axis=1),
        n("Reshape", ["i2", "t"])], x34,
        {"one": I(1), "two": I(2), "zero_list": I([0]), "two_list": I([2]), "three_list": I([3]), "minus_one": I([-1])})
    yield form("pads_computed", 13, [
        n("ConstantOfShape", ["four"], "z", value=numpy_helper.from_array(I([0]))), n("Concat", ["p", "z"], "all", axis=0), n("Reshape", ["all", "pairs"], "m"),
        n("Slice", ["m", "start", "end", "axis", "step"], "r"), n("Transpose", ["r"], "t", perm=[1, 0]), n("Reshape", ["t", "minus_one"], "pads"), n("Cast", ["pads"], "c", to=TensorProto.INT64),
        n("Pad", ["image", "c"])], x34,
        {"four": I([4]), "p": I([1, 2, 0, 1]), "pairs": I([-1, 2]), "start": I([-1]), "end": I([-(1 << 40)]), "axis": I([0]), "step": I([-1]), "minus_one": I([-1])})
    for kind in (np.float16, np.float64):
        yield form(f"cast_weight_{np.dtype(kind).name}", 13, [n("Cast", ["w"], "f", to=TensorProto.FLOAT), n("Mul", ["image", "f"])], x34, {"w": coarse(5).astype(kind)})
    yield from forms_for_derivatives()


def forms_for_derivatives():
    """Ties, values read more than once, and both operands of an operator depending on the image."""
    x34 = (1, 3, 4, 5)
    ties = (1, 2, 7, 6)
    for name, window in (
        ("overlapping", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("asymmetric", {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [0, 2, 1, 0]}),
        ("ceil", {"kernel_shape": [3, 2], "strides": [3, 3], "ceil_mode": 1}),
        ("dilated", {"kernel_shape": [2, 2], "dilations": [2, 3]}),
    ):
        yield form(f"max_pool_ties_{name}", 12, [n("MaxPool", ["image"], **window)], ties, levels=1)
    yield form("average_pool_asymmetric", 11, [n("AveragePool", ["image"], kernel_shape=[3, 2], strides=[2, 1], pads=[0, 1, 2, 0])], ties)
    yield form("global_max_pool_ties", 13, [n("GlobalMaxPool", ["image"])], ties, levels=1)
    yield form("reduce_max_ties", 13, [n("ReduceMax", ["image"], axes=[1, 3], keepdims=0)], ties, levels=1)
    yield form("reduce_max_ties_first_axis", 13, [n("ReduceMax", ["image"], axes=[2])], ties, levels=1)
    yield form("relu_at_zero", 13, [n("Relu", ["image"])], x34, levels=2)
    yield form("clip_at_bounds", 13, [n("Clip", ["image", "lo", "hi"])], x34, {"lo": F(-1), "hi": F(1)}, levels=2)
    yield form("clip_at_zero_and_six", 13, [n("Clip", ["image", "lo", "hi"])], x34, {"lo": F(0), "hi": F(6)}, levels=8)
    gate = [n("GlobalAveragePool", ["image"], "m"), n("Conv", ["m", "w"], "c"), n("Sigmoid", ["c"], "g"), n("Mul", ["image", "g"])]
    yield form("gate_of_channels", 13, gate, x34, {"w": coarse((3, 3, 1, 1))})
    yield form("add_many_shapes", 13, [n("Add", ["image", "a"], "i"), n("Add", ["b", "i"], "j"), n("Add", ["j", "c"])],
               x34, {"a": coarse((3, 1, 5)), "b": coarse((2, 1, 3, 1, 1)), "c": coarse(1)})
    yield form("sub_from_constant", 13, [n("Sub", ["a", "image"])], x34, {"a": coarse((4, 1))})
    yield form("sub_broadcast_image", 13, [n("ReduceMean", ["image"], "m", axes=[2, 3]), n("Sub", ["m", "image"])], x34)
    yield form("mul_square", 13, [n("Mul", ["image", "image"])], x34)
    yield form("div_by_image", 13, [n("ReduceSum", ["image", "a"], "s"), n("Div", ["s", "image"])], x34, {"a": I([1])}, low=0.5)
    yield form("div_by_constant", 13, [n("Div", ["image", "a"])], x34, {"a": np.abs(coarse((3, 1, 1))) + F(0.5)})
    yield form("pow_fraction", 13, [n("Pow", ["image", "e"])], x34, {"e": F(0.75)}, low=0.5)
    yield form("pow_negative", 13, [n("Pow", ["image", "e"])], x34, {"e": F(-1.5)}, low=0.5)
    yield form("matmul_both", 13, [n("Transpose", ["image"], "t", perm=[0, 2, 3, 1]), n("Softmax", ["image"], "s", axis=3), n("MatMul", ["s", "t"])], (1, 3, 3, 3))
    yield form("matmul_broadcast_weight", 13, [n("MatMul", ["w", "image"])], (1, 3, 4, 5), {"w": coarse((2, 1, 6, 4))})
    yield form("matmul_channels_last", 13, [n("Transpose", ["image"], "t", perm=[0, 2, 3, 1]), n("MatMul", ["t", "w"], "p"), n("Add", ["p", "b"])],
               x34, {"w": coarse((3, 6)), "b": coarse(6)})
    yield form("concat_twice", 13, [n("Sigmoid", ["image"], "s"), n("Concat", ["image", "s", "image"], axis=1)], x34)
    yield form("gather_repeated", 13, [n("Gather", ["image", "i"], axis=2)], x34, {"i": I([1, 3, 1, 1])})
    yield form("slice_backwards", 13, [n("Slice", ["image", "s", "e", "a", "t"])], x34,
               {"s": I([-1, 5]), "e": I([-9, -6]), "a": I([1, 3]), "t": I([-2, -3])})
    yield form("layer_normalization_last", 17, [n("LayerNormalization", ["image", "s", "b"], axis=-1, epsilon=1e-3)], x34, {"s": coarse(5), "b": coarse(5)})
    yield form("layer_normalization_channels_last", 17, [
        n("Transpose", ["image"], "t", perm=[0, 2, 3, 1]), n("LayerNormalization", ["t", "s", "b"], "l"), n("Transpose", ["l"], perm=[0, 3, 1, 2])],
        x34, {"s": coarse(3), "b": coarse(3)})
    for axis in (1, 2):
        yield form(f"softmax_of_product_axis{axis}", 13, [n("Mul", ["image", "image"], "q"), n("Softmax", ["q"], axis=axis)], x34)
    yield form("lrn_twice", 13, [n("LRN", ["image"], "l", size=5, alpha=1.0, beta=0.75, bias=1.0), n("Add", ["l", "image"])], (1, 7, 2, 3))
    yield form("shuffled_channels", 13, [
        n("Reshape", ["image", "pairs"], "p"), n("Transpose", ["p"], "t", perm=[0, 2, 1, 3, 4]), n("Reshape", ["t", "back"], "r"),
        n("Split", ["r"], ["a", "b"], axis=1), n("Mul", ["a", "b"])], (1, 4, 3, 2), {"pairs": I([1, 2, 2, 3, 2]), "back": I([1, 4, 3, 2])})
    for stride in (1, 2, 3):
        yield form(f"conv_stride{stride}", 13, [n("Conv", ["image", "w", "b"], strides=[stride, stride], pads=[1, 1, 1, 1])],
                   (1, 3, 7, 8), {"w": coarse((4, 3, 3, 3)), "b": coarse(4)})
    yield form("conv_point", 13, [n("Conv", ["image", "w"])], (1, 5, 3, 4), {"w": coarse((6, 5, 1, 1))})
    yield form("conv_unread_border", 13, [n("Conv", ["image", "w"], strides=[3, 4])], (1, 2, 8, 8), {"w": coarse((3, 2, 2, 1))})
    yield form("conv_depthwise_dilated", 13, [n("Conv", ["image", "w"], group=3, dilations=[2, 2], pads=[2, 1, 1, 2])], (1, 3, 6, 7), {"w": coarse((3, 1, 3, 3))})


def main():
    index, models, inputs, expected = [], [], [], []
    totals = [0, 0, 0]
    seen = set()
    for name, source, model, image, result in [*node_tests(), *forms()]:
        assert name not in seen, name
        assert np.isfinite(result).all(), name
        seen.add(name)
        # The checker knows neither the other domain nor GroupNormalization's first form.
        if "microsoft" not in str(model.opset_import) and name != "group_normalization_opset18":
            onnx.checker.check_model(model)
        parts = [np.frombuffer(model.SerializeToString(), np.uint8), image.ravel(), result]
        spans = [[start, start + part.size] for start, part in zip(totals, parts)]
        totals = [end for _, end in spans]
        index.append({"name": name, "source": source, "model": spans[0], "input": spans[1],
                      "input_shape": list(image.shape), "expected": spans[2]})
        for parts_of_kind, part in zip((models, inputs, expected), parts):
            parts_of_kind.append(part)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(TARGET, index=np.frombuffer(json.dumps(index).encode(), np.uint8), models=np.concatenate(models),
                        inputs=np.concatenate(inputs), expected=np.concatenate(expected))
    print(f"{len(index)} cases, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
