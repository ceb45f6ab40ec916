"""Writes crates/nn/tests/data/light/: nine real topologies and what ONNX Runtime computes for them.

The onnx package ships networks whose large weights are ConstantOfShape nodes. Here every constant
that an operator reads, those stored as numbers too, gets numbers from samples.uniform by its name and role, and so it does in
the test, which loads the unchanged topology; nothing but the topology and samples of the results
is stored.

Usage: python make_light_models.py   (see README.md for versions)
"""

import math
import pathlib
import shutil

import numpy as np
import onnx
from onnx import numpy_helper

import samples

SEED = 1
TARGET = pathlib.Path(__file__).resolve().parents[2] / "crates/nn/tests/data/light"
SOURCE = pathlib.Path(onnx.__file__).parent / "backend/test/data/light"


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


def main():
    TARGET.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for path in sorted(SOURCE.glob("light_*.onnx")):
        name = path.stem.removeprefix("light_")
        model = onnx.load(path)
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
                    made[value] = samples.uniform(SEED, value, shape, *limits(node, position, shape))
        image = [i for i in graph.input if i.name not in fixed]
        assert len(image) == 1, name
        shape = [d.dim_value for d in image[0].type.tensor_type.shape.dim]
        del graph.node[:]
        graph.node.extend(kept)
        others = [t for t in graph.initializer if t.name not in made]
        del graph.initializer[:]
        graph.initializer.extend(others)
        graph.initializer.extend(numpy_helper.from_array(x, value) for value, x in made.items())
        results = samples.record(model, {image[0].name: samples.uniform(SEED, "image", shape, -1.0, 1.0)})
        arrays.update({f"{name}.{key}": value for key, value in results.items()})
        shutil.copyfile(path, TARGET / f"{name}.onnx")
        print(f"{name}: {len(results['max_abs'])} tensors, largest values {results['max_abs'].min():.3g} to {results['max_abs'].max():.3g}, last {results['max_abs'][-1]:.3g}")
    np.savez_compressed(TARGET / "references.npz", **arrays)


if __name__ == "__main__":
    main()
