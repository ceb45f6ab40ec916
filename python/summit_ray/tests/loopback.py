"""A Ray cluster on this machine that loses a worker, gains a node and loses its driver, against one process.

Usage: loopback.py SUMMIT FIXTURE, where SUMMIT is the program and FIXTURE the example that makes a small
network and images. Prints figures and ends with 1 where a byte differs or a shard was done twice.
"""

import collections
import hashlib
import os
import pathlib
import signal
import stat
import subprocess
import sys
import tempfile
import time

from ray.cluster_utils import Cluster

SHARD_IMAGES = 4
PATIENCE_SECONDS = 170


def main():
    summit, fixture = map(os.path.abspath, sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        return check(summit, fixture, pathlib.Path(folder))


def check(summit, fixture, folder):
    subprocess.run([fixture, folder / "made"], check=True)
    settings = ["--model", folder / "made/net.onnx", "--images", folder / "made/images"]
    alone, out, log = folder / "alone", folder / "run", folder / "log"
    subprocess.run([summit, "run", *settings, "--out", alone, "--no-check"], check=True, capture_output=True)
    slow = slow_program(folder, summit, log)
    log.touch()

    begun = time.monotonic()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    command = [sys.executable, "-m", "summit_ray.command", "run", "--address", cluster.address, "--out", out]
    command += ["--summit", slow, *settings, "--shard-images", str(SHARD_IMAGES)]
    lost = set()
    try:
        driver = subprocess.Popen(command)
        wait(lambda: len(done(out)) >= 3, driver)
        lost |= kill_worker(slow)
        print(f"a worker was killed with {len(done(out))} shards done")
        cluster.add_node(num_cpus=1)
        wait(lambda: len(done(out)) >= 9, driver)
        driver.kill()
        driver.wait()
        # Tasks end with their driver; a commit under way is let through.
        time.sleep(3)
        before = done(out)
        lost |= started(log) - before
        print(f"the driver was killed with {len(before)} shards done")
        again = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        print(again.stdout.strip(), again.stderr.strip()[-500:])
        assert again.returncode == 0
        assert f"{len(before)} of them before" in again.stdout, again.stdout
    finally:
        cluster.shutdown()
    starts = collections.Counter(int(line.split()[0]) for line in log.read_text().splitlines())
    doubled = {shard for shard, count in starts.items() if count > 1}
    different = differences(alone, out)
    print(
        f"{len(starts)} shards, {sum(starts.values())} attempts; more than one at {sorted(doubled)}, "
        f"under way at a kill were {sorted(lost)}; files that differ: {different}; {time.monotonic() - begun:.0f} s"
    )
    return 0 if not different and doubled <= lost else 1


def slow_program(folder, summit, log):
    """The program, with every shard written down and a second longer."""
    path = folder / "slow-summit"
    path.write_text(
        f'#!/bin/sh\nif [ "$1" = shard ]; then echo "$5 $$" >> "{log}"; sleep 1; fi\nexec "{summit}" "$@"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def done(out):
    return {int(note.parent.name.split("-")[0]) // SHARD_IMAGES for note in out.glob("shards/[0-9]*/done.json")}


def started(log):
    return {int(line.split()[0]) for line in log.read_text().splitlines()}


def wait(condition, driver):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert driver.poll() is None, "the driver ended"
        assert time.monotonic() < end, "no progress"
        time.sleep(0.05)


def kill_worker(slow):
    """Kills the worker of one shard that has just begun, and says which."""
    while True:
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            # Still the script, not yet the program it becomes.
            if b"shard" in words and str(slow).encode() in words:
                os.kill(parent, signal.SIGKILL)
                return {int(words[words.index(b"--id") + 1])}


def differences(first, second):
    """Files of two runs that differ, but for where they were made."""

    def hashes(run):
        files = {path for path in run.rglob("*") if path.is_file() and path.name not in ("source.json", "lock")}
        return {path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    first, second = hashes(first), hashes(second)
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


if __name__ == "__main__":
    sys.exit(main())
