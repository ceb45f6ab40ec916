"""Writes crates/nn/tests/data/light/: nine real topologies and what ONNX Runtime computes for them.

The onnx package ships networks without weights; light.fill gives them some. Nothing but the
unchanged topology and samples of the results is stored.

Usage: python make_light_models.py   (see README.md for versions)
"""

import pathlib
import shutil

import numpy as np
import onnx

import light
import samples

SEED = 1
TARGET = pathlib.Path(__file__).resolve().parents[2] / "crates/nn/tests/data/light"
SOURCE = pathlib.Path(onnx.__file__).parent / "backend/test/data/light"


def main():
    TARGET.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for path in sorted(SOURCE.glob("light_*.onnx")):
        name = path.stem.removeprefix("light_")
        model = onnx.load(path)
        graph = model.graph
        stored = {t.name for t in graph.initializer}
        light.fill(model, SEED)
        image = [i for i in graph.input if i.name not in stored]
        assert len(image) == 1, name
        shape = [d.dim_value for d in image[0].type.tensor_type.shape.dim]
        results = samples.record(model, {image[0].name: samples.uniform(SEED, "image", shape, -1.0, 1.0)})
        arrays.update({f"{name}.{key}": value for key, value in results.items()})
        shutil.copyfile(path, TARGET / f"{name}.onnx")
        print(f"{name}: {len(results['max_abs'])} tensors, largest values {results['max_abs'].min():.3g} to {results['max_abs'].max():.3g}, last {results['max_abs'][-1]:.3g}")
    np.savez_compressed(TARGET / "references.npz", **arrays)


if __name__ == "__main__":
    main()
