"""Feature visualisation with PyTorch and torch-lucent, to compare `summit featvis` with.

The recipe is lucent's own: `param.image` (Fourier, decorrelated colours), Adam with step length 0.05,
the mean of a channel, and one of two ways to move the picture (TRANSFORMS):

* `lucent`: its standard transforms, resized to the side the picture has. They pad the picture by 12
  pixels before all else, so the network is shown it smaller, in a frame, and interpolated three times.
* `composed`: the project's. The same shifts, scales and turns as one map of the plane, sampled once, in
  a picture of the same side, grey around it. Everything else stays lucent's.
 The network is the
ONNX file's up to the layer, run by onnx_torch. One addition: where a channel is silent at all
positions its gradient passes the layer's own ReLU (as lucid's redirected ReLU does and as the project
does), else most channels would stay at 0 for good.

One thread, since the project renders one picture per thread. Per channel and seed: the channel's mean
and largest activation on the unmoved picture, and processor time, which does not depend on what else the
machine does. Prints one JSON object.

Usage: python render_lucent.py MODEL LAYER CHANNELS SEEDS STEPS SIDE RUN TRANSFORMS
       (channels and seeds separated by commas; RUN is a run folder, for the preprocessing)
"""

import json
import pathlib
import sys
import time

import numpy as np
import onnx
import torch
from lucent.optvis import objectives, param, render, transform

import onnx_torch


class Woken(torch.autograd.Function):
    """ReLU whose gradient passes where a whole channel is silent."""

    @staticmethod
    def forward(context, x):
        silent = (x <= 0).flatten(2).all(2)[..., None, None]
        context.save_for_backward((x > 0) | silent)
        return x.clamp(min=0)

    @staticmethod
    def backward(context, gradient):
        (open_,) = context.saved_tensors
        return gradient * open_


class Network(torch.nn.Module):
    """The ONNX graph up to `layer`, which is the output of the module `layer`."""

    def __init__(self, path, layer):
        super().__init__()
        model = onnx.load(path)
        producers = {name: node for node in model.graph.node for name in node.output}
        needed, open_ = set(), [layer]
        while open_:
            node = producers.get(open_.pop())
            if node is not None and id(node) not in needed:
                needed.add(id(node))
                open_.extend(node.input)
        nodes = [node for node in model.graph.node if id(node) in needed]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        last = [producers[layer], *(producers.get(name) for name in producers[layer].input)]
        self.woken = {node.output[0] for node in last if node is not None and node.op_type == "Relu"}
        self.model, self.name = model, layer
        self.weights = onnx_torch.constants(model, torch.float32)
        initialised = set(self.weights)
        self.input = next(v.name for v in model.graph.input if v.name not in initialised)
        self.layer = torch.nn.Identity()
        self.map = None
        self.relu = onnx_torch.OPERATORS["Relu"]

    def forward(self, image):
        def choose(node, values, opset):
            silent = node.op_type == "Relu" and node.output[0] in self.woken
            onnx_torch.OPERATORS["Relu"] = (lambda a, x: Woken.apply(x)) if silent else self.relu
            if node.op_type == "Reshape":
                self.free_extents(values, *node.input)

        values = onnx_torch.run(self.model, {**self.weights, self.input: image}, choose)
        return self.layer(values[self.name])

    def free_extents(self, values, data, shape):
        """A spelt-out LRN flattens maps to the file's extents and back; here to those of the picture."""
        x, wanted = values[data], values[shape].tolist()
        if len(wanted) == 4 and wanted[1] == 1:
            self.map, wanted = x.shape[-2:], [*wanted[:3], -1]
        elif len(wanted) == 4:
            wanted = [*wanted[:2], *self.map]
        values[shape] = torch.tensor(wanted)


def preprocessing(run):
    """A transform from 0..1 to the network's input."""
    setting = json.loads((pathlib.Path(run) / "manifest.json").read_text())["preprocessing"]
    scale = 255.0 if setting["range"] == "0-255" else 1.0
    mean = torch.tensor(setting["mean"])[None, :, None, None]
    std = torch.tensor(setting["std"])[None, :, None, None]
    order = [2, 1, 0] if setting["color"] == "bgr" else [0, 1, 2]
    return lambda image: (image[:, order] * scale - mean) / std


def composed(side):
    """Shift, scale, turn and shift in one bilinear sampling (crates/featvis, transform)."""
    shift = lambda pixels: -(-pixels * min(side, 128) // 128)

    def within(limit):
        return float(np.random.randint(-limit, limit + 1))

    def inner(image):
        before, after = [np.array([within(shift(pixels)), within(shift(pixels))]) for pixels in (4, 2)]
        scale = 1 + 0.02 * within(5)
        turn = 0.0 if np.random.rand() < 5 / 26 else np.radians(within(10))
        cos, sin = np.cos(turn) / scale, np.sin(turn) / scale
        matrix = np.array([[cos, -sin], [sin, cos]])
        centre = (side - 1) / 2
        # Rows and columns of each pixel about the centre, and where it comes from.
        target = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1) - centre
        source = (target + after) @ matrix.T + before
        grid = torch.tensor(source[..., ::-1] / centre, dtype=torch.float32)[None]
        return torch.nn.functional.grid_sample(image - 0.5, grid, align_corners=True) + 0.5

    return [inner]


def main(path, layer, channels, seeds, steps, side, run, transforms):
    torch.set_num_threads(1)
    network, prepare = Network(path, layer).eval(), preprocessing(run)
    steps, side = int(steps), int(side)
    # Resized before it is normalised, else the border of a turned picture would not be black.
    resize = torch.nn.Upsample(size=side, mode="bilinear", align_corners=True)
    moves = {"lucent": [*transform.standard_transforms, resize], "composed": composed(side)}[transforms]
    results = []
    for channel in map(int, channels.split(",")):
        for seed in map(int, seeds.split(",")):
            torch.manual_seed(seed)
            np.random.seed(seed)
            start = time.process_time()
            (image,) = render.render_vis(
                network,
                objectives.channel("layer", channel),
                lambda: param.image(side),
                transforms=[*moves, prepare],
                thresholds=(steps,),
                preprocess=False,
                progress=False,
                show_image=False,
                fixed_image_size=side,
            )
            seconds = time.process_time() - start
            with torch.no_grad():
                answer = network(prepare(torch.from_numpy(image).permute(0, 3, 1, 2)))[0, channel]
            results.append(
                {
                    "channel": channel,
                    "seed": seed,
                    "objective": answer.mean().item(),
                    "activation": answer.max().item(),
                    "cpu_ms_per_step": 1000 * seconds / steps,
                }
            )
    mean = {key: float(np.mean([r[key] for r in results])) for key in ("objective", "activation", "cpu_ms_per_step")}
    print(json.dumps({"torch": torch.__version__, "layer": layer, "transforms": transforms, "steps": steps, "side": side, "mean": mean, "all": results}))


if __name__ == "__main__":
    main(*sys.argv[1:])
