"""Networks stored without weights: large constants are ConstantOfShape nodes.

Every constant that an operator reads gets numbers from samples.uniform by its name and role. So it
does in the test (crates/nn/tests/common/samples.rs), which reads the same file; nothing but the
topology is stored.
"""

import math

import numpy as np
import onnx
from onnx import helper, numpy_helper

import samples


def limits(node, position, shape):
    """[low, high) of a constant by the operator that reads it; activations stay of order 1."""
    kind = node.op_type
    if kind == "Conv" and position == 1:
        bound = math.sqrt(6.0 / np.prod(shape[1:]))
        return -bound, bound
    if kind == "Gemm" and position == 1:
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        bound = math.sqrt(3.0 / shape[1 if transposed else 0])
        return -bound, bound
    if kind == "BatchNormalization":
        return [(0.4, 0.6), (-0.2, 0.2), (-0.2, 0.2), (0.8, 1.2)][position - 1]
    if kind == "Mul":
        return 0.8, 1.2
    return -0.1, 0.1


def empty(model):
    """Replaces every initialiser of floating point by a ConstantOfShape node."""
    graph = model.graph
    weights = [t for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
    others = [t for t in graph.initializer if t.data_type != onnx.TensorProto.FLOAT]
    shapes = {"x".join(map(str, ["shape", *t.dims])): list(t.dims) for t in weights}
    others.extend(numpy_helper.from_array(np.array(dims, np.int64), name) for name, dims in shapes.items())
    nodes = [helper.make_node("ConstantOfShape", ["x".join(map(str, ["shape", *t.dims]))], [t.name]) for t in weights]
    nodes.extend(graph.node)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(others)


def fill(model, seed, bounds=None):
    """Gives the constants that operators read their numbers, as initialisers.

    Those named in `bounds` lie in [-bound, bound) instead of within their `limits`.
    """
    bounds = bounds or {}
    graph = model.graph
    fixed = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    constants = {value: x.shape for value, x in fixed.items() if x.dtype == np.float32}
    kept = []
    for node in graph.node:
        if node.op_type == "ConstantOfShape":
            constants[node.output[0]] = tuple(fixed[node.input[0]])
        elif node.op_type == "Unsqueeze" and node.input[0] in constants:
            shape = list(constants[node.input[0]])
            for axis in sorted(node.attribute[0].ints):
                shape.insert(axis, 1)
            constants[node.output[0]] = tuple(shape)
        elif node.op_type == "Reshape" and node.input[0] in constants:
            empty = np.empty(constants[node.input[0]], np.uint8)
            constants[node.output[0]] = empty.reshape(fixed[node.input[1]]).shape
        else:
            kept.append(node)
    made = {}
    for node in kept:
        for position, value in enumerate(node.input):
            if value in constants and value not in made:
                shape = [int(extent) for extent in constants[value]]
                low, high = limits(node, position, shape)
                if value in bounds:
                    low, high = -float(bounds[value]), float(bounds[value])
                made[value] = samples.uniform(seed, value, shape, low, high)
    del graph.node[:]
    graph.node.extend(kept)
    others = [t for t in graph.initializer if t.name not in made]
    del graph.initializer[:]
    graph.initializer.extend(others)
    graph.initializer.extend(numpy_helper.from_array(x, value) for value, x in made.items())
