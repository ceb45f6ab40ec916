"""How well umap-learn keeps the neighbourhoods of the matrix that the embedding is tested on.

    cargo test -p summit-explain --test umap_reference -- --ignored write_matrix --nocapture > matrix.csv
    python tools/reference/embedding.py matrix.csv > crates/explain/tests/data/umap-learn.json

Needs umap-learn and scikit-learn; nothing in the tests does.
"""

import json
import sys

import numpy
import sklearn
import sklearn.manifold
import umap


def main() -> None:
    lines = open(sys.argv[1]).read().splitlines()
    rows = [line.split(",") for line in lines if line and line[0].isdigit()]
    matrix = numpy.array(rows, dtype=numpy.float64)
    values = []
    for seed in range(3):
        mapped = umap.UMAP(
            n_neighbors=15, min_dist=0.1, metric="cosine", init="spectral", random_state=seed
        ).fit_transform(matrix)
        value = sklearn.manifold.trustworthiness(matrix, mapped, n_neighbors=15, metric="cosine")
        values.append(round(float(value), 6))
    json.dump(
        {
            "umap_learn": umap.__version__,
            "scikit_learn": sklearn.__version__,
            "shape": list(matrix.shape),
            "seeds": [0, 1, 2],
            "trustworthiness": values,
        },
        sys.stdout,
        indent=2,
    )
    print()


if __name__ == "__main__":
    main()
