"""`summit-ray run`: see the package."""

import argparse
import sys

import ray

from . import ShardFailed, run


def main():
    parser = argparse.ArgumentParser(prog="summit-ray", description="Runs Summit's pass over a data set on a Ray cluster.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "run",
        help="plan, shards as tasks, merge; the same command continues a run that was interrupted",
        description="All other arguments are those of `summit plan`: --model, --images, ...",
    )
    command.add_argument("--out", required=True, help="the run: a folder all nodes see, or a bucket (s3://...)")
    command.add_argument("--merge-out", help="where the tables go if --out is a bucket")
    command.add_argument("--address", help="of the cluster; `auto` for the one this machine is part of [default: a new one here]")
    command.add_argument("--summit", default="summit", help="the program, as every node finds it")
    command.add_argument("--num-cpus", type=float, default=1, help="processors a shard takes [default: 1]")
    command.add_argument("--num-gpus", type=float, default=0, help="graphics cards a shard takes [default: 0]")
    command.add_argument("--retries", type=int, default=5, help="further attempts at a shard [default: 5]")
    known, plan_args = parser.parse_known_args()
    ray.init(address=known.address, log_to_driver=False)
    try:
        summary = run(
            plan_args,
            known.out,
            merge_out=known.merge_out,
            summit=known.summit,
            num_cpus=known.num_cpus,
            num_gpus=known.num_gpus,
            retries=known.retries,
        )
    except (ShardFailed, ray.exceptions.RayError) as error:
        cause = getattr(error, "cause", None) or error
        print(f"summit-ray: error: {cause}", file=sys.stderr)
        return 2
    print(f"{summary.shards} shards, {summary.done_before} of them before, in {summary.seconds:.1f} s: {summary.run}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
