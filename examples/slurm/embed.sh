#!/bin/bash
#SBATCH --job-name=matlake-embed
#SBATCH --array=0-7
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --requeue
#
# Embeds a lake as a job array. Each job takes the contents whose hash modulo the number of jobs is its number, and
# commits them by itself; what is embedded already is skipped. See README.md.
#
# MATLAKE_LAKE  the lake: a folder that all nodes share, or a bucket
# ENCODERS      encoders and layers, with commas between them
# DEVICE        cpu (default) or cuda; then submit with --gpus-per-task=1
# SHARDS        number of shards; by default the number of jobs in the array

set -euo pipefail

: "${MATLAKE_LAKE:?set MATLAKE_LAKE to the lake}"
: "${ENCODERS:?set ENCODERS to the encoders to embed with}"
export MATLAKE_LAKE

matlake embed \
    --encoder "$ENCODERS" \
    --shard "$SLURM_ARRAY_TASK_ID/${SHARDS:-$SLURM_ARRAY_TASK_COUNT}" \
    --workers "${SLURM_CPUS_PER_TASK:-1}" \
    --device "${DEVICE:-cpu}" || code=$?

# 3: done, but some materials cannot be embedded; the view failures has them. For Slurm that is success.
[ "${code:-0}" -eq 3 ] || exit "${code:-0}"
