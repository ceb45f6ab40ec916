"""Tries the recipes where there is no scheduler: the Slurm script's tasks one after the other, against one process;
the Kubernetes job against the API's schema (PyPI `kubernetes-validate`).

Usage: check.py SUMMIT FIXTURE, where FIXTURE is the example that makes a small network and images.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).parent


def main():
    job = yaml.safe_load((HERE / "kubernetes.yaml").read_text())
    version = kubernetes_validate.validate(job, "1.31", strict=True)
    print(f"kubernetes.yaml: valid for Kubernetes {version}")
    summit, fixture = map(pathlib.Path, map(os.path.abspath, sys.argv[1:3]))
    with tempfile.TemporaryDirectory() as folder:
        slurm(summit, fixture, pathlib.Path(folder))


def slurm(summit, fixture, folder):
    def step(*command, **more):
        return subprocess.run(command, check=True, capture_output=True, text=True, **more)

    step(fixture, folder / "made")
    settings = ["--model", folder / "made/net.onnx", "--images", folder / "made/images"]
    step(summit, "run", *settings, "--out", folder / "alone", "--no-check")
    step(summit, "plan", *settings, "--out", folder / "run", "--shard-images", "16")
    path = f"{summit.parent}:{os.environ['PATH']}"
    for task in range(3):
        variables = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "3", "PATH": path}
        step("bash", HERE / "slurm.sh", folder / "run", env=os.environ | variables)
    step(summit, "merge", folder / "run")
    manifests = [(folder / run / "manifest.json").read_bytes() for run in ("alone", "run")]
    # It holds the hash of every table.
    assert manifests[0] == manifests[1]
    print("slurm.sh: 3 tasks, the same bytes as one process")


if __name__ == "__main__":
    main()
