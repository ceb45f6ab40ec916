"""Trains the demonstration's network on scenes of other seeds than the demonstration's, and writes it as ONNX.

    cargo run --release -p summit-demo --example scenes -- target/scenes/train 1 400 97 0
    cargo run --release -p summit-demo --example scenes -- target/scenes/held-out 2 50 97 0
    cargo run --release -p summit-demo --example scenes -- target/scenes/no-hand 3 50 0 0
    cargo run --release -p summit-demo --example scenes -- target/scenes/all-hands 4 50 100 100
    python demo/train/train.py target/scenes crates/demo/networks/demo.onnx

The last two sets tell how far the network takes the hand for the fish. Printed figures are those of README.md
beside this file. One thread and fixed seeds: a run can be repeated on one machine; other machines round differently.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn
from torch.nn import functional as F

CLASSES = [
    "fish", "spotted_mushroom", "striped_mushroom", "clock", "fir", "house",
    "boat", "car", "flower", "balloon", "leaf", "mug",
]  # fmt: skip
SIDE = 96
# What a branch of an inception block gives: 1x1; 3x3 after a reduction; 5x5 after a reduction; 1x1 after a pool.
MIXED = {
    "mixed_a": {"one": 12, "three": (12, 20), "five": (4, 8), "pool": 8},
    "mixed_b": {"one": 16, "three": (16, 24), "five": (6, 12), "pool": 12},
    "mixed_c": {"one": 16, "three": (20, 32), "five": (8, 16), "pool": 16},
}


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs, outputs, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))

    def folded(self):
        """Weights and bias with the normalisation folded in."""
        scale = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        weight = self.conv.weight * scale[:, None, None, None]
        return weight.detach().numpy(), (self.norm.bias - self.norm.running_mean * scale).detach().numpy()


class Mixed(nn.Module):
    """An inception block: four branches side by side."""

    def __init__(self, inputs, one, three, five, pool):
        super().__init__()
        self.one = Convolution(inputs, one, 1)
        self.three = nn.ModuleList([Convolution(inputs, three[0], 1), Convolution(three[0], three[1], 3)])
        self.five = nn.ModuleList([Convolution(inputs, five[0], 1), Convolution(five[0], five[1], 5)])
        self.pool = Convolution(inputs, pool, 1)
        self.width = one + three[1] + five[1] + pool

    def forward(self, x):
        branches = [
            self.one(x),
            self.three[1](self.three[0](x)),
            self.five[1](self.five[0](x)),
            self.pool(F.max_pool2d(x, 3, 1, 1)),
        ]
        return torch.cat(branches, 1)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = Convolution(3, 16, 5, 2)
        self.conv2 = Convolution(16, 32, 3)
        self.mixed = nn.ModuleDict()
        width = 32
        for name, branches in MIXED.items():
            self.mixed[name] = Mixed(width, **branches)
            width = self.mixed[name].width
        self.classifier = nn.Linear(width, len(CLASSES))

    def forward(self, x):
        x = F.max_pool2d(self.stem(x), 3, 2, 1)
        x = F.max_pool2d(self.conv2(x), 3, 2, 1)
        x = self.mixed["mixed_a"](x)
        x = self.mixed["mixed_b"](F.max_pool2d(x, 3, 2, 1))
        x = self.mixed["mixed_c"](x)
        means = x.mean((2, 3))
        return self.classifier(F.dropout(means, 0.2, self.training)), means


def load(folder):
    """Images `[n, 3, SIDE, SIDE]` float32 in [-1, 1], and labels."""
    paths = [(path, label) for label, name in enumerate(CLASSES) for path in sorted((folder / name).glob("*.png"))]
    images = np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in paths])
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    return pixels, torch.tensor([label for _, label in paths])


def train(network, images, labels, epochs, sparsity):
    """Adam, one cycle of the learning rate; images mirrored and moved. The means of the last layer carry an L1 penalty,
    so that a concept is one channel's rather than a little of every channel's."""
    batch = 64
    steps = epochs * (len(images) // batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
    for epoch in range(epochs):
        network.train()
        order = torch.randperm(len(images))
        total = 0.0
        for start in range(0, len(images) - batch + 1, batch):
            chosen = order[start : start + batch]
            x = images[chosen]
            if torch.rand(()) < 0.5:
                x = x.flip(3)
            dx, dy = (int(k) for k in torch.randint(-6, 7, (2,)))
            x = F.pad(x, (6, 6, 6, 6), mode="replicate")[:, :, 6 + dy : 6 + dy + SIDE, 6 + dx : 6 + dx + SIDE]
            logits, means = network(x)
            loss = F.cross_entropy(logits, labels[chosen], label_smoothing=0.02) + sparsity * means.sum(1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1}: loss {total * batch / len(images):.3f}", flush=True)


@torch.no_grad()
def predict(network, images):
    network.eval()
    return torch.cat([network(part)[0].argmax(1) for part in images.split(256)])


def export(network, path):
    """The network as ONNX, opset 17, normalisation folded, tensors named after the layers."""
    nodes, weights = [], []

    def conv(name, source, module, stride=1):
        weight, bias = module.folded()
        weights.append(numpy_helper.from_array(weight, f"{name}/weight"))
        weights.append(numpy_helper.from_array(bias, f"{name}/bias"))
        pad = weight.shape[2] // 2
        inputs = [source, f"{name}/weight", f"{name}/bias"]
        nodes.append(
            helper.make_node("Conv", inputs, [f"{name}/conv"], name=f"{name}/conv", strides=[stride] * 2, pads=[pad] * 4,
                             kernel_shape=list(weight.shape[2:]))
        )  # fmt: skip
        nodes.append(helper.make_node("Relu", [f"{name}/conv"], [name], name=name))
        return name

    def pool(name, source, stride):
        nodes.append(
            helper.make_node("MaxPool", [source], [name], name=name, kernel_shape=[3, 3], strides=[stride] * 2, pads=[1] * 4)
        )
        return name

    def mixed(name, source, block):
        branches = [
            conv(f"{name}/1x1", source, block.one),
            conv(f"{name}/3x3", conv(f"{name}/3x3_reduce", source, block.three[0]), block.three[1]),
            conv(f"{name}/5x5", conv(f"{name}/5x5_reduce", source, block.five[0]), block.five[1]),
            conv(f"{name}/pool_proj", pool(f"{name}/pool", source, 1), block.pool),
        ]
        nodes.append(helper.make_node("Concat", branches, [name], name=name, axis=1))
        return name

    x = pool("pool1", conv("stem", "image", network.stem, 2), 2)
    x = pool("pool2", conv("conv2", x, network.conv2), 2)
    x = mixed("mixed_a", x, network.mixed["mixed_a"])
    x = mixed("mixed_b", pool("pool3", x, 2), network.mixed["mixed_b"])
    x = mixed("mixed_c", x, network.mixed["mixed_c"])
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["mean"], name="mean"))
    nodes.append(helper.make_node("Flatten", ["mean"], ["features"], name="features"))
    weights.append(numpy_helper.from_array(network.classifier.weight.detach().numpy(), "classifier/weight"))
    weights.append(numpy_helper.from_array(network.classifier.bias.detach().numpy(), "classifier/bias"))
    inputs = ["features", "classifier/weight", "classifier/bias"]
    nodes.append(helper.make_node("Gemm", inputs, ["logits"], name="logits", transB=1))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(CLASSES)])
    graph = helper.make_graph(nodes, "demo", [image], [logits], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="summit demo")
    helper.set_model_props(model, {"mean": "127.5,127.5,127.5", "std": "127.5,127.5,127.5", "resize": "none"})
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sparsity", type=float, default=0.02)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)
    network = Network()
    train(network, *load(arguments.scenes / "train"), arguments.epochs, arguments.sparsity)
    export(network, arguments.out)
    fish = CLASSES.index("fish")
    for name in ["held-out", "no-hand", "all-hands"]:
        images, labels = load(arguments.scenes / name)
        found = predict(network, images)
        right = found == labels
        others = labels != fish
        print(
            f"{name}: accuracy {right.float().mean():.3f}; fish {right[~others].float().mean():.3f}; "
            f"others {right[others].float().mean():.3f}; others taken for fish {(found[others] == fish).float().mean():.3f}"
        )
    parameters = sum(weight.numel() for weight in network.parameters())
    print(f"{parameters} parameters, {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
