"""Writes a network of crates/nn/tests/data/light/ with seeded weights in it, for benchmarks.

Usage: python fill_light.py resnet50 resnet50.onnx   (see README.md for versions)
"""

import pathlib
import sys

import onnx

import light

SEED = 1
SOURCE = pathlib.Path(__file__).resolve().parents[2] / "crates/nn/tests/data/light"


def main():
    name, target = sys.argv[1:]
    model = onnx.load(SOURCE / f"{name}.onnx")
    light.fill(model, SEED)
    onnx.save(model, target)


if __name__ == "__main__":
    main()
