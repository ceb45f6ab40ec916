"""Writes crates/nn/tests/data/operator_gradients.npz: derivatives of the cases of operators.npz.

For a case with scores y [1, n] and the upstream gradient u = samples.uniform(1, name of the case,
[n], -1, 1) it holds the gradient of <u, y> by the image and by every operand among the
initialisers of floating point, computed by PyTorch's autograd in double precision. Left out are
cases that are refused or not differentiable: see `gradients`. The archive holds

    index      u8, JSON: list of {name, gradients: [[name of the value, start, end], ...]}
    gradients  f32, concatenated

Usage: python make_operator_gradients.py   (after make_operator_cases.py; see README.md)
"""

import collections
import json

import numpy as np
import onnx
import torch
from onnx import TensorProto

import make_operator_cases
import onnx_torch
import samples

SEED = 1
# The largest cases show nothing the small ones do not.
LARGEST = 1000
# The reader works the constants of these into others; only the image is left to differentiate by.
MERGED = ("group_normalization", "layer_normalization_broadcast", "spelt_out", "gelu_half")
TARGET = make_operator_cases.TARGET.with_name("operator_gradients.npz")


def cases():
    """Name, model, image and expected scores of every case."""
    archive = np.load(make_operator_cases.TARGET)
    models = archive["models"].tobytes()
    for entry in json.loads(archive["index"].tobytes()):
        model = onnx.ModelProto.FromString(models[slice(*entry["model"])])
        image = archive["inputs"][slice(*entry["input"])].reshape(entry["input_shape"])
        yield entry["name"], model, image, archive["expected"][slice(*entry["expected"])]


def gradients(name, model, image, expected):
    """Gradients by name; or why there are none."""
    values = onnx_torch.constants(model, torch.float64)
    values["image"] = torch.from_numpy(image).double()
    if sum(x.numel() for x in values.values() if x.is_floating_point()) > LARGEST:
        return "large"
    if any(t.data_type not in (TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL) for t in model.graph.initializer):
        return "other types of numbers"
    if any(node.output[0] == "nothing" for node in model.graph.node):
        return "does not depend on the image"
    is_merged = any(part in name for part in MERGED)
    variables = {key: x.requires_grad_() for key, x in values.items() if x.is_floating_point() and (key == "image" or not is_merged)}
    try:
        scores = onnx_torch.run(model, values)["scores"].flatten()
    except onnx_torch.Unsupported as reason:
        return f"unsupported: {reason}"
    except onnx_torch.Kink:
        return "at a kink"
    error = np.abs(scores.detach().numpy() - expected).max() / max(1.0, np.abs(expected).max())
    assert error < 3e-6, (name, error)
    if not scores.requires_grad:
        return "does not depend on the image"
    upstream = torch.from_numpy(samples.uniform(SEED, name, scores.shape, -1.0, 1.0)).double()
    found = torch.autograd.grad(scores @ upstream, list(variables.values()), allow_unused=True)
    found = {key: g.numpy() for key, g in zip(variables, found) if g is not None and g.numel() > 0}
    return found if all(np.isfinite(g).all() for g in found.values()) else "not finite"


def main():
    onnx_torch.check_conventions()
    index, parts, end, left_out = [], [], 0, collections.Counter()
    for name, model, image, expected in cases():
        found = gradients(name, model, image, expected)
        if isinstance(found, str):
            left_out[found] += 1
            continue
        spans = []
        for key, gradient in found.items():
            spans.append([key, end, end + gradient.size])
            end += gradient.size
            parts.append(gradient.ravel())
        index.append({"name": name, "gradients": spans})
    np.savez_compressed(TARGET, index=np.frombuffer(json.dumps(index).encode(), np.uint8), gradients=np.concatenate(parts).astype(np.float32))
    print(f"{len(index)} cases, {end} numbers, {TARGET.stat().st_size} bytes; left out: {dict(left_out)}")


if __name__ == "__main__":
    main()
