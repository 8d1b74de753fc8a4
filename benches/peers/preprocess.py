#!/usr/bin/env python3
"""The released preprocessing by Pillow and numpy, by CPU time: the peer of benches/preprocess.rs.

    DUMP=/tmp/jpegs cargo bench --bench preprocess
    python3 benches/peers/preprocess.py /tmp/jpegs     (needs numpy and pillow)

Decodes, divides by the maximum, resizes each channel in floats (mode F, bilinear), normalises. In
turn with the parts alone, and with CLIP's 8-bit bicubic way.
"""

import io
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 224
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def decode(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def released(image):
    pixels = np.asarray(image, np.float32)
    pixels = pixels / (pixels.max() + 1e-12)
    out = np.empty((3, SIZE, SIZE), np.float32)
    for channel in range(3):
        plane = Image.fromarray(pixels[:, :, channel])
        plane = np.asarray(plane.resize((SIZE, SIZE), Image.BILINEAR))
        out[channel] = (plane - MEAN[channel]) / STD[channel]
    return out


def clip(image):
    short = min(image.size)
    image = image.resize((SIZE * image.width // short, SIZE * image.height // short), Image.BICUBIC)
    left, top = round((image.width - SIZE) / 2), round((image.height - SIZE) / 2)
    image = image.crop((left, top, left + SIZE, top + SIZE))
    pixels = (np.asarray(image, np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def rate(work, items, seconds=3.0):
    for item in items:
        work(item)
    done, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        for item in items:
            work(item)
        done += len(items)
    return done / (time.process_time() - start)


def main(folder):
    for shape in ("512x384", "512x512"):
        files = [path.read_bytes() for path in sorted(Path(folder).glob(f"{shape}-*.jpg"))]
        images = [decode(data) for data in files]
        figures = {
            "decode": rate(decode, files),
            "resize, released": rate(released, images),
            "all, released": rate(lambda data: released(decode(data)), files),
            "resize, clip": rate(clip, images),
            "all, clip": rate(lambda data: clip(decode(data)), files),
        }
        for name, figure in figures.items():
            print(f"{shape} {name:18} {figure:8.0f} images/s")


main(sys.argv[1])
