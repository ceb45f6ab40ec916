#!/bin/bash
# The shards of a plan as a Slurm array, in a folder that all nodes see:
#
#   summit plan --model net.onnx --images /data/train --out /shared/run
#   job=$(sbatch --parsable --array=0-63 slurm.sh /shared/run)
#   sbatch --dependency=afterok:$job --wrap "summit merge /shared/run"
#
# Each of the array's tasks does every so-manyth shard, so the array may have fewer tasks than the plan shards. A
# task that is requeued, or an array that is submitted again, passes over what is done.
#SBATCH --job-name=summit
#SBATCH --cpus-per-task=8
#SBATCH --mem=4G
#SBATCH --requeue
set -euo pipefail
plan=$1
shards=$(sed -n 's/.*"shards": \([0-9]*\).*/\1/p' "$plan/plan.json")
for ((shard = SLURM_ARRAY_TASK_ID; shard < shards; shard += SLURM_ARRAY_TASK_COUNT)); do
  summit shard --plan "$plan" --id "$shard" --threads "${SLURM_CPUS_PER_TASK:-1}"
done
