"""What the reference scripts share: a weight generator, and samples of every tensor of a network.

The generator is written out in crates/nn/tests/common/samples.rs too; both must stay equal to the
last bit.
"""

import json

import numpy as np
import onnx
import onnxruntime as ort

ort.set_default_logger_severity(3)
SAMPLES = 64
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def fnv1a(text):
    """64-bit FNV-1a hash of the UTF-8 bytes."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def uniform(seed, name, shape, low, high):
    """Numbers in [low, high): element i from the splitmix64 state (seed ^ hash(name)) + (i + 1) * golden."""
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.uint64(seed ^ fnv1a(name)) + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    fraction = (z >> np.uint64(40)).astype(np.float64) * 2.0**-24
    return (low + (high - low) * fraction).astype(np.float32).reshape(shape)


def pick(array, limit):
    """`limit` elements at equal distances, all of a shorter tensor."""
    flat = np.ravel(array)
    count = min(limit, flat.size)
    return flat[np.arange(count) * flat.size // count]


def sample(array):
    """SAMPLES elements, padded with 0."""
    picked = pick(array, SAMPLES)
    return np.pad(picked, (0, SAMPLES - picked.size)).astype(np.float32)


def record(model, image):
    """Names, samples and largest magnitudes of all tensors that ONNX Runtime computes."""
    names = [name for node in model.graph.node for name in node.output[:1] if name]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run(names, image)
    kept = [(name, x) for name, x in zip(names, values) if x.dtype == np.float32]
    return {
        "names": np.frombuffer(json.dumps([[name, list(x.shape)] for name, x in kept]).encode(), np.uint8),
        "samples": np.concatenate([sample(x) for _, x in kept]),
        "max_abs": np.array([np.abs(x).max() for _, x in kept], np.float32),
    }
