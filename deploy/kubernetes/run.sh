#!/usr/bin/env bash
# One run on a cluster, stage by stage: run.sh s3://bucket/run. Started again it goes on where it stopped.
# docs/scale.md explains each step.
set -euo pipefail

out=${1:?usage: run.sh s3://bucket/run}
here=$(dirname "$0")
export OUT=$out
export IMAGE=${IMAGE:-magiclens:latest} SEEDS=${SEEDS:-/config/seeds.txt}
export SLICES=${SLICES:-16} CPU=${CPU:-2} MEMORY=${MEMORY:-4Gi} SCRATCH=${SCRATCH:-20Gi}
# What group and export hold of all pages at once decides over their node: docs/mining.md has the figures.
LARGE_MEMORY=${LARGE_MEMORY:-32Gi}

# Executors that the global plans are worked on by, each with the memory of a slice: 0 leaves them to one node.
export EXECUTORS=${EXECUTORS:-0} ENGINE=local

executors() {
    [ "$EXECUTORS" -gt 0 ] || return 0
    case $1 in
        start)
            envsubst < "$here/executors.yaml" | kubectl apply --filename -
            kubectl rollout status --timeout=10m statefulset/mine-executor
            ENGINE=
            for ((i = 0; i < EXECUTORS; i++)); do
                ENGINE+=${ENGINE:+,}http://mine-executor-$i.mine-executor:7001
            done ;;
        stop) kubectl scale --replicas=0 statefulset/mine-executor; ENGINE=local ;;
    esac
}

stage() {
    export NAME=$1 STAGES=$2
    export PARALLELISM=${PARALLEL:-$SLICES}
    # What a finished Job of this name did is in the run directory.
    kubectl delete job "mine-$NAME" --ignore-not-found --wait
    envsubst < "$here/stage.yaml" | kubectl apply --filename -
    while :; do
        # Either way it has ended.
        kubectl wait --for=condition=complete --timeout=30s "job/mine-$NAME" 2>/dev/null && break
        if kubectl wait --for=condition=failed --timeout=1s "job/mine-$NAME" 2>/dev/null; then
            kubectl get pods --selector "job-name=mine-$NAME" >&2
            exit 1
        fi
    done
}

stage collect collect
executors start
stage fetch fetch
# One process makes what is made of all pages and images at once, on a node that is large enough.
SLICES=1 MEMORY=$LARGE_MEMORY stage group group
executors stop
stage ask describe..instruct
executors start
SLICES=1 MEMORY=$LARGE_MEMORY stage export export
executors stop
