"""Time, network and disk of a run on many machines, from figures measured on one.

    python tools/scale_model.py table
        prints the model for ImageNet and for 100 million images (docs/scale.md quotes it).
    python tools/scale_model.py check SUMMIT MODEL IMAGES
        measures one process on a small plan, predicts the same images as 1, 2 and 4 shards, does them one
        after the other on one thread, and prints both.
"""

import argparse
import dataclasses
import math
import pathlib
import subprocess
import tempfile
import time


@dataclasses.dataclass(frozen=True)
class Machine:
    """What was measured; docs/scale.md says where."""

    # Seconds of one thread for an image: decoding, GoogLeNet, its summaries and influence.
    image_seconds: float = 2 / 46.6
    # Threads a worker has.
    threads: int = 8
    # Seconds of one thread from the start of a process to its first image.
    start_seconds: float = 1.09
    # Mean size of an image of ImageNet's training set: 147,897,477,120 bytes of archives, 1,281,167 images.
    image_bytes: float = 115e3
    # Rows and bytes of a shard: a part that does not grow with its images (counts of one class), and one an image.
    shard_rows: float = 1.43e6
    shard_bytes: float = 2.16e6
    image_rows: float = 51
    image_table_bytes: float = 570
    # Rows a second that two threads merge, once through.
    merge_rows: float = 4.7e6
    # Shards merged at a time: more go through another round.
    fan_in: int = 64


@dataclasses.dataclass(frozen=True)
class Prediction:
    shards: int
    pass_seconds: float
    merge_seconds: float
    read_bytes: float
    shard_bytes: float


def predict(machine, images, shard_images, workers):
    """A run of so many images, on so many workers."""
    shards = math.ceil(images / shard_images)
    shard_seconds = machine.start_seconds + shard_images * machine.image_seconds / machine.threads
    rounds = max(1, math.ceil(math.log(shards, machine.fan_in)))
    rows = shards * machine.shard_rows * rounds + images * machine.image_rows
    return Prediction(
        shards=shards,
        pass_seconds=math.ceil(shards / workers) * shard_seconds,
        merge_seconds=rows / machine.merge_rows,
        read_bytes=images * machine.image_bytes,
        shard_bytes=shards * machine.shard_bytes + images * machine.image_table_bytes,
    )


def table():
    machine = Machine()
    print(f"workers of {machine.threads} threads; per-worker network while the pass lasts")
    for images, shard_images in [(1_281_167, 1280), (100_000_000, 25_600)]:
        one = predict(machine, images, shard_images, 1)
        print(
            f"\n{images:,} images in {one.shards:,} shards of {shard_images:,}: {one.read_bytes / 1e12:.2f} TB read, "
            f"{one.shard_bytes / 1e9:.1f} GB of shards, merged in {one.merge_seconds / 3600:.2f} h"
        )
        print(f"{'workers':>8} {'pass':>10} {'with merge':>11} {'each reads':>12} {'together':>10}")
        for workers in [1, 4, 16, 64, 256]:
            cost = predict(machine, images, shard_images, workers)
            rate = cost.read_bytes / cost.pass_seconds
            total = (cost.pass_seconds + cost.merge_seconds) / 3600
            print(
                f"{workers:8} {cost.pass_seconds / 3600:8.2f} h {total:9.2f} h "
                f"{rate / workers / 1e6:7.1f} MB/s {rate / 1e6:6.0f} MB/s"
            )


def check(summit, model, images):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        first = plan(summit, model, images, folder / "small", 64)
        shard(summit, folder / "small", 0)
        # One image, then 64: the difference is 63 images.
        plan(summit, model, images, folder / "one", 1)
        start = min(shard(summit, folder / "one", number) for number in range(3))
        many = min(shard(summit, folder / "small", number) for number in range(1, 4))
        image_seconds = (many - start) / 63
        machine = Machine(image_seconds=image_seconds, threads=1, start_seconds=start - image_seconds)
        print(f"{first} images; {machine.start_seconds:.2f} s a start, {1e3 * image_seconds:.1f} ms an image")
        for shards in [1, 2, 4]:
            size = math.ceil(first / shards)
            run = folder / f"run-{shards}"
            plan(summit, model, images, run, size)
            measured = [shard(summit, run, number) for number in range(shards)]
            predicted = predict(machine, first, size, 1).pass_seconds
            sizes = sum(path.stat().st_size for path in (run / "shards").rglob("*") if path.is_file())
            print(
                f"{shards} shards: predicted {predicted:.1f} s, measured {sum(measured):.1f} s, "
                f"ratio {sum(measured) / predicted:.2f}; {sizes / shards / 1e6:.2f} MB a shard"
            )


def plan(summit, model, images, out, size):
    command = [summit, "plan", "--model", model, "--images", images, "--out", out, "--shard-images", str(size)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(text.split()[0])


def shard(summit, plan, number):
    begun = time.monotonic()
    command = [summit, "shard", "--plan", plan, "--id", str(number), "--threads", "1"]
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("table")
    checking = commands.add_parser("check")
    for name in ["summit", "model", "images"]:
        checking.add_argument(name, type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.command == "table":
        table()
    else:
        check(arguments.summit.absolute(), arguments.model, arguments.images)


main()
