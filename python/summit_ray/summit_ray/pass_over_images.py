"""Plan, shards as tasks, merge."""

import ctypes
import dataclasses
import pathlib
import re
import signal
import subprocess
import sys
import time

import ray

# Tasks handed to the scheduler at a time: enough for any cluster, without a hundred thousand handles.
IN_FLIGHT = 4096
# Seconds between lines of progress where there is no terminal.
LINE_SECONDS = 30
PR_SET_PDEATHSIG = 1


class ShardFailed(RuntimeError):
    """A step of the run failed; the message is the program's own."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a run did."""

    run: str
    """Where the tables are."""
    shards: int
    """Shards of the plan; 0 where the run was complete before."""
    done_before: int
    """Of those, the ones that were done when this call began."""
    seconds: float
    """Wall time."""


def run(
    plan_args,
    out,
    *,
    merge_out=None,
    summit="summit",
    num_cpus=1,
    num_gpus=0,
    retries=5,
    progress=True,
):
    """Does a run on the Ray cluster this process is connected to (`ray.init`), or on one of its own.

    plan_args: arguments of `summit plan` but `--out`: the network, the images, the settings.
    out: the run: a folder all nodes see, or a bucket.
    merge_out: where the tables go if `out` is a bucket.
    summit: the program, as every node finds it.
    num_cpus, num_gpus: what a task takes; a shard uses as many threads as it has processors.
    retries: how often a shard is tried again after its worker or node died, or it failed.

    Raises ShardFailed with the words of the step that failed.
    """
    begun = time.monotonic()
    if "://" in str(out) and merge_out is None:
        raise ValueError("merge_out is needed: tables are made in a folder")
    words = _call([summit, "plan", *map(str, plan_args), "--out", str(out)])
    found = re.search(r"(\d+) images in (\d+) shards", words)
    if found is None:
        return Summary(str(out), 0, 0, time.monotonic() - begun)
    shards = int(found[2])
    done = _done(out)
    waiting = [shard for shard in range(shards) if shard not in done]
    if not ray.is_initialized():
        ray.init()
    task = ray.remote(num_cpus=num_cpus, num_gpus=num_gpus, max_retries=retries, retry_exceptions=[ShardFailed])(_shard)
    _do(task, [summit, str(out), max(1, int(num_cpus))], waiting, shards, progress)
    merge = [summit, "merge", str(out)] + (["--out", str(merge_out)] if merge_out else [])
    _call(merge)
    return Summary(str(merge_out or out), shards, len(done), time.monotonic() - begun)


def _done(out):
    """Numbers of the shards that are done, as far as they can be seen without asking for each."""
    folder = pathlib.Path(out) / "shards"
    starts = sorted(int(note.parent.name.split("-")[0]) for note in folder.glob("[0-9]*-[0-9]*/done.json"))
    sizes = re.search(r'"shard_images": (\d+)', (folder.parent / "plan.json").read_text()) if starts else None
    # `summit run` may have cut it otherwise; those that are not whole are done again by `summit shard`.
    return {start // int(sizes[1]) for start in starts if start % int(sizes[1]) == 0} if sizes else set()


def _do(task, arguments, waiting, shards, progress):
    """Hands out the shards and waits for all."""
    # The last first off the end.
    waiting = waiting[::-1]
    running = set()
    show = _Progress(shards, progress)
    while waiting or running:
        while waiting and len(running) < IN_FLIGHT:
            running.add(task.remote(*arguments, waiting.pop()))
        ready, _ = ray.wait(list(running), timeout=1)
        for reference in ready:
            running.remove(reference)
            # Raises what the task raised, once its retries are used up.
            ray.get(reference)
        show.left(len(running) + len(waiting))
    show.end()


def _shard(summit, plan, threads, shard):
    """One task."""
    _call([summit, "shard", "--plan", plan, "--id", str(shard), "--threads", str(threads)])
    return shard


def _call(command):
    """Runs a step and returns what it printed; it does not outlive this process."""
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=_die_with_parent)
    if outcome.returncode != 0:
        raise ShardFailed(f"{' '.join(command[:2])}: {outcome.stderr.strip() or f'it ended with {outcome.returncode}'}")
    return outcome.stdout


def _die_with_parent():
    """On Linux: a worker that is killed takes its program along, so that a retry is not a second one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class _Progress:
    """A line on standard error: rewritten on a terminal, now and then elsewhere."""

    def __init__(self, shards, wanted):
        self.shards, self.wanted = shards, wanted
        self.begun = self.shown = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def left(self, count):
        now = time.monotonic()
        if not self.wanted or (not self.terminal and now - self.shown < LINE_SECONDS):
            return
        self.shown = now
        text = f"{self.shards - count} of {self.shards} shards, {now - self.begun:.0f} s"
        print(f"\r{text} " if self.terminal else text, end="" if self.terminal else "\n", file=sys.stderr, flush=True)

    def end(self):
        self.shown = 0
        self.left(0)
        if self.wanted and self.terminal:
            print(file=sys.stderr)
