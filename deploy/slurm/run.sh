#!/usr/bin/env bash
# One run on a Slurm cluster: run.sh OUT CONFIG SEEDS, stages in arrays that begin one after the other.
# OUT is a folder that all nodes see, or s3:// or gs://. Started again it goes on where it stopped.
set -euo pipefail

export OUT=${1:?usage: run.sh OUT CONFIG SEEDS} CONFIG=${2:?} SEEDS=${3:?}
here=$(dirname "$0")
slices=${SLICES:-16} cpus=${CPUS:-2} memory=${MEMORY:-4G} large=${LARGE_MEMORY:-32G}
# Nodes whose executors work on the global plans of group and export: 0 leaves them to one process.
executors=${EXECUTORS:-0}
after=()

stage() {
    local stages=$1 slices=$2 memory=$3 job
    job=$(STAGES=$stages sbatch --parsable --export=ALL "${after[@]}" --array="0-$((slices - 1))" \
        --cpus-per-task="$cpus" --mem="$memory" "$here/stage.sbatch")
    echo "$stages: job $job"
    after=(--dependency="afterok:$job")
}

# One process makes what is made of all pages and images at once, on a node that is large enough.
global() {
    [ "$executors" -gt 0 ] || { stage "$1" 1 "$large"; return; }
    local job
    job=$(STAGES=$1 sbatch --parsable --export=ALL "${after[@]}" --nodes="$executors" \
        --mem="$large" "$here/global.sbatch")
    echo "$1: job $job"
    after=(--dependency="afterok:$job")
}

stage collect "$slices" "$memory"
stage fetch "$slices" "$memory"
global group
stage describe..instruct "$slices" "$memory"
global export
