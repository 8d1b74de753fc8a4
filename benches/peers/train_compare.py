#!/usr/bin/env python3
"""Training steps side by side: examples/train_step.rs, PyTorch eager, torch.compile.

    python3 benches/peers/train_compare.py TRAIN_STEP --model tiny --batch 128 --chunks 128:1

--chunks lists CHUNK:HELD to try; each side is compared at its own best. The rounds of all sides
alternate, and the middle round counts. Ratios are of CPU seconds on a CPU (OMP_NUM_THREADS=1 is set) and
of wall time on a GPU. The losses of all steps are compared at the same chunks: 1 is the exit code where they
are more than 1 % apart, or nothing could be compared.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PEER = Path(__file__).with_name("train_torch.py")

# How far losses may be apart, relative to ours.
AGREE = 0.01


def commands(args, folder, chunk, held):
    """One command a side."""
    common = ["--batch", args.batch, "--chunk", chunk, "--held", held, "--precision",
              args.precision, "--steps", args.steps, "--warmup", args.warmup, "--tokens", args.tokens,
              "--rate", args.rate]
    peer = [sys.executable, PEER, folder, *common]
    sides = {"magiclens": [args.train_step, "--model", args.model, *common], "eager": peer}
    if not args.no_compile:
        sides["torch.compile"] = [*peer, "--compile"]
    return {name: [str(part) for part in command] for name, command in sides.items()}


def run(command, echo):
    if echo:
        print("$ " + " ".join(command), file=sys.stderr)
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        problem = (done.stderr or done.stdout).strip().splitlines()
        print(f"failed: {problem[-1] if problem else done.returncode}", file=sys.stderr)
        return None
    result = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"{result['seconds']:.4f} s a step, {result['triplets_per_second']:.1f} triplets/s", file=sys.stderr)
    return result


def cost(result):
    """What counts: CPU seconds of a step on a CPU, where others compute too; else its wall time."""
    return result["cpu_seconds" if result["device"].lower() == "cpu" else "seconds"]


def measure(args, folder):
    """The results of each side and setting: all rounds, cheapest first."""
    results, losses = {}, {}
    for turn in range(args.rounds):
        for setting in args.chunks:
            for name, command in commands(args, folder, *setting.split(":")).items():
                result = run(command, turn == 0)
                if result is not None:
                    results.setdefault(name, {}).setdefault(setting, []).append(result)
                    losses.setdefault(setting, {})[name] = result["losses"]
    for settings in results.values():
        for rounds in settings.values():
            rounds.sort(key=cost)
    return results, losses


def apart(losses):
    """The largest relative difference of any step's loss from ours, over all settings."""
    pairs = [(ours, other) for sides in losses.values() if "magiclens" in sides
             for name in sides if name != "magiclens"
             for ours, other in zip(sides["magiclens"], sides[name])]
    return max((abs(ours - other) / abs(ours) for ours, other in pairs), default=float("nan"))


def table(results):
    middle = lambda rounds: rounds[len(rounds) // 2]
    best = {name: min(settings.items(), key=lambda item: cost(middle(item[1])))
            for name, settings in results.items()}
    ours = best.get("magiclens")
    peak = middle(ours[1]) if ours else {}
    print(f"{'':15}{'chunk:held':>11}{'s a step':>10}{'CPU s':>8}{'triplets/s':>12}"
          f"{'MFU':>7}{'memory':>9}{'ours is':>9}")
    for name, (setting, rounds) in best.items():
        one = middle(rounds)
        rate = one["triplets_per_second"]
        mfu = rate * peak["gflop_a_triplet"] / 1e3 / peak["peak_tflops"] if peak else 0
        memory = one.get("memory_bytes")
        ratio = f"{cost(one) / cost(peak):.2f} x" if peak else ""
        print(f"{name:15}{setting:>11}{one['seconds']:>10.4f}{one['cpu_seconds']:>8.3f}{rate:>12.1f}"
              f"{100 * mfu:>6.1f}%{f'{memory / 1e9:.1f} GB' if memory else '-':>9}{ratio:>9}")
    if peak:
        print(f"\n{peak['gflop_a_triplet']:.2f} GFLOP a triplet, forward and backward (MFU); with "
              f"recomputation {100 * peak['utilisation']:.1f} % of {peak['peak_tflops']:.2f} TFLOP/s, "
              f"the fastest matrix product measured in the same process; on {peak['device']}")


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description=__doc__)
    parser.add_argument("train_step")
    for name, kind, value in [("model", str, "tiny"), ("precision", str, "f32"),
                              ("batch", int, 128), ("tokens", int, 16), ("steps", int, 20),
                              ("warmup", int, 3), ("rounds", int, 3), ("rate", float, 1e-4)]:
        parser.add_argument(f"--{name}", type=kind, default=value)
    parser.add_argument("--chunks", nargs="+", default=["128:1"])
    parser.add_argument("--no-compile", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([args.train_step, "--model", args.model, "--save", folder], check=True)
        results, losses = measure(args, folder)
    table(results)
    far = apart(losses)
    print(f"largest difference of a loss, of {args.warmup + args.steps} steps: {100 * far:.4f} %")
    # Also where nothing could be compared, which is not a number.
    if not far <= AGREE:
        sys.exit(f"the losses are not within {100 * AGREE:.0f} % of each other")


if __name__ == "__main__":
    main()
