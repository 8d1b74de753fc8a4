"""Draws N photo-like JPEGs of 612x459 pixels, about 38 KB each: OUTDIR N."""

import os
import sys

import cv2
import numpy as np

WIDTH, HEIGHT = 612, 459
OCTAVES = [(3, 140), (9, 70), (27, 40), (81, 26), (190, 16)]


def noise(random, cells):
    lattice = random.random((cells * HEIGHT // WIDTH + 2, cells + 2), dtype=np.float32) - 0.5
    return cv2.resize(lattice, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def picture(seed):
    random = np.random.default_rng(seed)
    light = sum(gain * noise(random, cells) for cells, gain in OCTAVES)
    tints = [60 * noise(random, 5) for _ in range(3)]
    return np.clip(128 + np.stack([light + tint for tint in tints], axis=2), 0, 255).astype(np.uint8)


def main():
    folder, count = sys.argv[1], int(sys.argv[2])
    os.makedirs(folder, exist_ok=True)
    total = 0
    for seed in range(count):
        path = f"{folder}/{seed}.jpg"
        if not os.path.exists(path):
            cv2.imwrite(path, picture(seed), [cv2.IMWRITE_JPEG_QUALITY, 85])
        total += os.path.getsize(path)
    print(f"{count} pictures of {WIDTH}x{HEIGHT}, {total / count / 1000:.1f} KB each", file=sys.stderr)


main()
