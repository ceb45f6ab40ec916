"""Times PyTorch on the processor as the project is timed: one image per core, one thread each.

As many processes as there are cores run one network at the same time, each on an image of its own.
In a round each does REPEATS images after a common start; the slowest process's median over ROUNDS
rounds counts, in the faster of PyTorch's two memory layouts. `backward` is forward and the gradient of a class score by the image: weights are
frozen, only the image asks for a gradient. Networks of `../shared/models` run through onnx_torch,
whose own share is about 1 % (0.7 ms for GoogLeNet); its spelt-out LRN is faster than PyTorch's
local_response_norm. Prints one JSON object:

    {"torch": version, "cores": n,
     <network>: {"forward" or "backward": {"images_per_second": of all cores, "ms": per image,
                                           "layout", "peak_mib": of a process until then}}}

Usage: python time_torch.py <path of ../shared>   (see README.md for versions)
"""

import collections
import json
import multiprocessing
import os
import pathlib
import resource
import statistics
import sys
import time

import onnx
import torch
import torchvision
from torch.fx.experimental.optimization import fuse

import onnx_torch

ROUNDS = 7
REPEATS = 4
EXTENT = 224
CLASS = 7


def network(name, shared, layout):
    """A function from an image to class scores; its weights are frozen."""
    if name == "resnet50":
        # As runtimes do, with normalisation folded into the convolutions before it.
        return fuse(torchvision.models.resnet50(weights=None).eval().requires_grad_(False)).to(memory_format=layout)
    model = onnx.load(shared / "models" / f"{name}.onnx")
    weights = onnx_torch.constants(model, torch.float32)
    weights = {key: x.contiguous(memory_format=layout) if x.dim() == 4 else x for key, x in weights.items()}
    output = model.graph.output[0].name
    return lambda image: onnx_torch.run(model, {**weights, "input": image})[output]


def forward(function, image):
    with torch.inference_mode():
        function(image)


def backward(function, image):
    image = image.detach().requires_grad_()
    torch.autograd.grad(function(image)[0, CLASS], image)


def median_ms(task, function, image, barrier):
    """Time of one image in the middle round; every round begins at the same time in all processes."""
    rounds = []
    for _ in range(1 + ROUNDS):
        barrier.wait()
        start = time.perf_counter()
        for _ in range(REPEATS):
            task(function, image)
        rounds.append((time.perf_counter() - start) * 1000.0 / REPEATS)
    # The first round warms up.
    return statistics.median(rounds[1:])


def worker(number, shared, barrier, results):
    torch.set_num_threads(1)
    torch.manual_seed(number)
    image = torch.randn(1, 3, EXTENT, EXTENT)
    for name, tasks in TASKS.items():
        for layout in LAYOUTS:
            function = network(name, shared, layout)
            for task in tasks:
                ms = median_ms(task, function, image.contiguous(memory_format=layout), barrier)
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
                results.put((name, task.__name__, layout, ms, peak))


LAYOUTS = [torch.contiguous_format, torch.channels_last]
TASKS = {
    "bvlc-googlenet": [backward, forward],
    "efficientnet-lite0": [forward],
    "resnet50": [forward],
}


def main():
    cores = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(cores), context.SimpleQueue()
    arguments = (pathlib.Path(sys.argv[1]), barrier, results)
    processes = [context.Process(target=worker, args=(number, *arguments), daemon=True) for number in range(cores)]
    for process in processes:
        process.start()
    slowest, peaks = collections.defaultdict(float), collections.defaultdict(int)
    for _ in range(cores * len(LAYOUTS) * sum(map(len, TASKS.values()))):
        *key, ms, peak = results.get()
        slowest[*key] = max(slowest[*key], ms)
        peaks[*key] = max(peaks[*key], peak)
    report = {"torch": torch.__version__, "cores": cores}
    for name, tasks in TASKS.items():
        report[name] = {}
        for task in tasks:
            ms, layout = min((slowest[name, task.__name__, layout], str(layout)) for layout in LAYOUTS)
            rate = round(cores * 1000.0 / ms, 2)
            peak = max(peaks[name, task.__name__, layout] for layout in LAYOUTS)
            report[name][task.__name__] = {"images_per_second": rate, "ms": round(ms, 2), "layout": layout, "peak_mib": peak}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
