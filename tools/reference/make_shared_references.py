"""Writes crates/nn/tests/data/shared_models.npz: samples of every tensor of the evaluation networks.

The networks stay where they are; the inputs are synthetic (samples.uniform), so that nothing of
the evaluation data is copied.

Usage: python make_shared_references.py <path of ../shared>   (see README.md for versions)
"""

import pathlib
import sys

import numpy as np
import onnx

import samples

TARGET = pathlib.Path(__file__).resolve().parents[2] / "crates/nn/tests/data/shared_models.npz"
INPUTS = 3


def main():
    arrays = {}
    for path in sorted((pathlib.Path(sys.argv[1]) / "models").glob("*.onnx")):
        model = onnx.load(path)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        std = float(metadata["std"].split(",")[0])
        # The range of a preprocessed photograph: about 128 grey levels on both sides of the mean.
        bound = 128.0 / std
        for number in range(INPUTS):
            image = samples.uniform(number, "image", (1, 3, 224, 224), -bound, bound)
            fresh = onnx.ModelProto.FromString(model.SerializeToString())
            results = samples.record(fresh, {"input": image})
            arrays.update({f"{path.stem}.{number}.{key}": value for key, value in results.items()})
        arrays[f"{path.stem}.bound"] = np.array([bound], np.float32)
        print(f"{path.stem}: {len(results['max_abs'])} tensors, largest value {results['max_abs'].max():.3g}")
    np.savez_compressed(TARGET, **arrays)


if __name__ == "__main__":
    main()
