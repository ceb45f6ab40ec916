"""Runs Summit's pass over a data set on a Ray cluster.

`summit plan` cuts the images into shards, each shard is a Ray task that runs `summit shard`, `summit merge`
makes the tables. All three are idempotent, and a shard that is done stays done: a task that dies with its
worker is tried again, and a driver that dies is started again with the same arguments and goes on. The
result is the same bytes as that of `summit run`.

    import summit_ray
    summit_ray.run(["--model", "net.onnx", "--images", "s3://bucket/train/"], out="/shared/run", num_cpus=2)

Every node needs the `summit` program, the network's file and the images where the plan says they are, and
`out`: a folder all nodes see, or a bucket (`s3://...`, with credentials in every node's environment).
"""

from .pass_over_images import ShardFailed, Summary, run

__all__ = ["ShardFailed", "Summary", "run"]
