"""Writes crates/nn/tests/data/gradients/: networks, and derivatives of a class score in them.

The networks are topologies of torchvision, exported with every operator on its own
(BatchNormalization is not folded) and stored without weights (light.py), and those of
`../shared/models`, which stay where they are. Weights of products get bounds that make the outputs
of order 1 on one image, layer after layer, so that neither activations nor gradients vanish or
explode; the bounds are stored, the numbers generated.

Images at whose kinks rounding decides are passed over: no derivative is right there, and which one
single precision takes is chance (`has_kinks`).

For each image z = logit[CLASS] - max of the other logits is differentiated by autograd through
onnx_torch in double precision. Recorded arrays are the gradient of z by the image and by three
weights, and the node scores R_i = <dz/da_i, a_i> of three cuts (docs/method.md). The archive holds
for each network

    index                u8, JSON (one for all): list of {name, file or null, seed, class, shape,
                         range, images, bounds, arrays}; image i is samples.uniform(images[i],
                         "image", shape, -range, range), bounds are names of weights, arrays are
                         {name, kind: "gradient" | "scores", shape}
    <name>.bounds        f32 [weights], in the order of the index
    <name>.logits        f64 [images, classes]
    <name>.samples       f32, of every image and array the elements samples.pick(array, SAMPLES)
    <name>.whole         f64 [images, arrays, 1 + DOTS], L2 norm of the whole array and its products
                         with `direction` 0..DOTS
    <name>.float32       f64 [images, arrays, runs, 3], what PyTorch in single precision is off:
                         relative L2 error of the samples, 1 - their cosine, relative L2 error of
                         the whole; runs differ in the order of sums (`single_precision`)

Usage: python make_gradient_references.py <path of ../shared>   (see README.md for versions)
"""

import io
import itertools
import json
import pathlib
import sys
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torchvision

import light
import onnx_torch
import samples

SEED = 1
CLASS = 7
SAMPLES = 4096
DOTS = 4
IMAGES = 2
# How many times the smallest error of an array the largest is: by rounding at most 30 were seen,
# with an element on the other side of a kink 150 and more.
SPREAD = 100
TARGET = pathlib.Path(__file__).resolve().parents[2] / "crates/nn/tests/data/gradients"
EXTENT = 64
TOPOLOGIES = [
    "resnet18",
    "resnet50",
    "densenet121",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "convnext_tiny",
    "vgg16",
    "shufflenet_v2_x1_0",
]
PRODUCTS = ("Conv", "Gemm", "MatMul")
BLOCK_ENDS = ("Relu", "Clip", "HardSwish", "Mul", "Add", "Concat")


def export(name):
    """A topology of torchvision as ONNX, without weights."""
    network = getattr(torchvision.models, name)(weights=None).eval()
    if name == "vgg16":
        # The published head reads 7 x 7 positions; of this image 2 x 2 are left.
        network.avgpool = torch.nn.Identity()
        network.classifier[0] = torch.nn.Linear(512 * 2 * 2, 4096)
    # The exporter would share equal weights.
    with torch.no_grad():
        for weight in [*network.parameters(), *network.buffers()]:
            if weight.is_floating_point():
                weight.uniform_(0.5, 1.5)
    file = io.BytesIO()
    torch.onnx.export(
        network,
        torch.zeros(1, 3, EXTENT, EXTENT),
        file,
        dynamo=False,
        opset_version=17,
        # Evaluation mode would fold BatchNormalization into convolutions.
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=True,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}},
    )
    model = onnx.load_from_string(file.getvalue())
    light.empty(model)
    for node in model.graph.node:
        node.ClearField("name")
        node.ClearField("doc_string")
    onnx.checker.check_model(model)
    return model


def products(model):
    """Nodes that multiply by an initialiser, in order."""
    weights = {t.name for t in model.graph.initializer}
    return [node for node in model.graph.node if node.op_type in PRODUCTS and node.input[1] in weights]


def calibrate(model, image):
    """Bounds of the weights of products (f32, by name) that make their outputs of order 1."""
    bounds, weights = {}, {node.input[1] for node in products(model)}

    def measure(node, values, opset):
        if node.op_type not in PRODUCTS or node.input[1] not in weights - bounds.keys():
            return
        name = node.input[1]
        unit = torch.from_numpy(samples.uniform(SEED, name, values[name].shape, -1.0, 1.0)).double()
        values[name] = unit
        output = onnx_torch.evaluate(node, values, opset, torch.float64)[0]
        bounds[name] = 1.0 / output.square().mean().sqrt().float().item()
        values[name] = unit * bounds[name]

    onnx_torch.run(model, {**onnx_torch.constants(model, torch.float64), "input": image}, measure)
    return {name: np.float32(bound) for name, bound in bounds.items()}


def cuts(model):
    """Three block ends that every path crosses, at a quarter, the half and three quarters of them."""
    last_reader = {}
    for position, node in enumerate(model.graph.node):
        last_reader.update((name, position) for name in node.input)
    depends, found = {"input"}, []
    for position, node in enumerate(model.graph.node):
        if depends.isdisjoint(node.input) or node.op_type == "Shape":
            continue
        depends.update(node.output)
        alive = [name for name in depends if last_reader.get(name, 0) > position]
        if alive == [node.output[0]] and node.op_type in BLOCK_ENDS:
            found.append(node.output[0])
    return [found[len(found) * quarter // 4] for quarter in (1, 2, 3)]


def differentiate(model, constants, image, gradients, places):
    """Logits, and in double precision the derivatives by `gradients` and the scores at `places`."""
    values = {name: x.detach() for name, x in {**constants, "input": image}.items()}
    for name in gradients:
        values[name].requires_grad_()
    values = onnx_torch.run(model, values)
    logits = values[model.graph.output[0].name][0]
    others = torch.cat([logits[:CLASS], logits[CLASS + 1 :]])
    margin = logits[CLASS] - others.max(0).values
    wanted = [*gradients, *places]
    arrays = dict(zip(wanted, torch.autograd.grad(margin, [values[name] for name in wanted])))
    for name in places:
        arrays[name] = (arrays[name] * values[name]).sum((2, 3))[0]
    return logits.detach(), {name: x.detach().double().numpy() for name, x in arrays.items()}


def single_precision(model, image, gradients, places):
    """PyTorch's arrays in single precision: as it comes, without oneDNN, with channels last."""
    constants, image = onnx_torch.constants(model, torch.float32), image.float()
    yield differentiate(model, constants, image, gradients, places)[1]
    with torch.backends.mkldnn.flags(enabled=False):
        yield differentiate(model, constants, image, gradients, places)[1]
    last = {name: x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x for name, x in constants.items()}
    yield differentiate(model, last, image.contiguous(memory_format=torch.channels_last), gradients, places)[1]


def compare(found, expected):
    """Relative L2 error of the samples, 1 - their cosine, relative L2 error of the whole."""
    norm, (a, b) = np.linalg.norm, (samples.pick(x, SAMPLES) for x in (found, expected))
    # Half the squared distance of the unit vectors: exact where the cosine is close to 1.
    angle = norm(a / norm(a) - b / norm(b)) ** 2 / 2
    return norm(a - b) / norm(b), angle, norm(found - expected) / norm(expected)


def deviations(found, expected):
    """`compare` for every array."""
    return [compare(found[key], x) for key, x in expected.items()]


def has_kinks(runs):
    """Some array is much further off than another: not rounding, but another derivative."""
    errors = np.array(runs)[..., 2]
    return errors.max() > SPREAD * errors.min()


def rounded(constants):
    """Weights moved as by rounding, but further than by that of single precision."""
    generator = torch.Generator().manual_seed(0)

    def move(x):
        return x * (1.0 + 2.0**-22 * (2.0 * torch.rand(x.shape, generator=generator, dtype=x.dtype) - 1.0))

    return {key: move(x) if x.is_floating_point() else x for key, x in constants.items()}


def direction(name, shape, number):
    """A generated vector; by another name than the weights, which gradients know."""
    return samples.uniform(number, f"direction of {name}", shape, -1.0, 1.0).astype(np.float64)


def summary(array, name):
    """Norm and products with generated vectors."""
    return [np.linalg.norm(array), *(np.vdot(direction(name, array.shape, k), array) for k in range(DOTS))]


def check_forward(model, image, logits):
    """The interpreter computes what ONNX Runtime computes."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    error = np.abs(session.run(None, {"input": image.float().numpy()})[0][0] - logits).max() / np.abs(logits).max()
    assert error < 1e-5, error
    return error


def reference(name, file, model, shape, limit, bounds):
    """Entry of the index and arrays of one network with weights."""
    weights = [node.input[1] for node in products(model)]
    gradients = ["input", weights[0], weights[len(weights) // 2], weights[-1]]
    places = cuts(model)
    constants = onnx_torch.constants(model, torch.float64)
    images, logits, picked, whole, float32 = [], [], [], [], []
    for seed in itertools.count(1):
        if len(images) == IMAGES:
            break
        image = torch.from_numpy(samples.uniform(seed, "image", shape, -limit, limit)).double()
        scores, exact = differentiate(model, constants, image, gradients, places)
        moved = differentiate(model, rounded(constants), image, gradients, places)[1]
        if has_kinks([deviations(moved, exact)]):
            continue
        runs = [deviations(run, exact) for run in single_precision(model, image, gradients, places)]
        if has_kinks(runs):
            continue
        images.append(seed)
        forward = check_forward(model, image, scores.numpy())
        logits.append(scores.numpy())
        picked.extend(samples.pick(x, SAMPLES) for x in exact.values())
        whole.append([summary(x, key) for key, x in exact.items()])
        float32.append(np.swapaxes(runs, 0, 1))
    worst = ", ".join(f"{key} {error:.1e}" for key, error in zip(exact, np.max(float32, axis=(0, 2))[:, 2]))
    print(f"{name}: images {images}; ONNX Runtime's logits {forward:.1e}; single precision: {worst}", flush=True)
    entry = {
        "name": name, "file": file, "seed": SEED, "class": CLASS, "shape": shape, "range": limit,
        "images": images, "bounds": list(bounds),
        "arrays": [{"name": key, "kind": "scores" if key in places else "gradient", "shape": x.shape} for key, x in exact.items()],
    }  # fmt: skip
    return entry, {
        f"{name}.bounds": np.array(list(bounds.values()), np.float32),
        f"{name}.logits": np.array(logits),
        f"{name}.samples": np.concatenate(picked).astype(np.float32),
        f"{name}.whole": np.array(whole),
        f"{name}.float32": np.array(float32),
    }


def networks(shared):
    """Arguments of `reference` for every network; writes those that are stored."""
    for name in TOPOLOGIES:
        shape = (1, 3, EXTENT, EXTENT)
        path = TARGET / f"{name}.onnx"
        onnx.save(export(name), path)
        model = onnx.load(path)
        light.fill(model, SEED)
        bounds = calibrate(model, torch.from_numpy(samples.uniform(0, "image", shape, -1.0, 1.0)).double())
        model = onnx.load(path)
        light.fill(model, SEED, bounds)
        yield name, path.name, model, shape, 1.0, bounds
    for path in sorted((shared / "models").glob("*.onnx")):
        model = onnx.load(path)
        std = next(entry.value for entry in model.metadata_props if entry.key == "std")
        # The range of a preprocessed photograph: about 128 grey levels on both sides of the mean.
        yield path.stem, None, model, (1, 3, 224, 224), 128.0 / float(std.split(",")[0]), {}


def main():
    warnings.filterwarnings("ignore")
    onnx_torch.check_conventions()
    TARGET.mkdir(parents=True, exist_ok=True)
    index, arrays = [], {}
    for network in networks(pathlib.Path(sys.argv[1])):
        entry, more = reference(*network)
        index.append(entry)
        arrays.update(more)
    arrays["index"] = np.frombuffer(json.dumps(index).encode(), np.uint8)
    np.savez_compressed(TARGET / "references.npz", **arrays)
    print(f"{sum(path.stat().st_size for path in TARGET.iterdir())} bytes")


if __name__ == "__main__":
    main()
