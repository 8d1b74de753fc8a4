#!/usr/bin/env python3
"""Writes clip_preprocess.json: what Pillow makes of a drawn picture in CLIP's preprocessing.

python3 tests/golden/clip_preprocess.py   (needs numpy and pillow; made with pillow 12.0.0)

Shorter side to `size` by the 8-bit bicubic filter, centre cut out; or a region, squashed.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

CASES = [
    (61, 40, 16, None),
    (40, 61, 16, None),
    (35, 33, 16, None),
    (16, 16, 16, None),
    (11, 7, 16, None),
    (200, 3, 8, None),
    (90, 70, 16, (13, 9, 50, 31)),
    (30, 40, 24, (2, 1, 9, 38)),
]


def picture(width, height):
    y, x, channel = np.mgrid[0:height, 0:width, 0:3].astype(np.uint64)
    noise = (x * 7919 + y * 104729 + channel * 1299709) * 2654435761 % (1 << 32) >> 24
    ramp = (x * 5 + y * 3 + channel * 60) % 256
    return Image.fromarray(np.where(x // 8 % 2 == 0, ramp, noise).astype(np.uint8))


def prepared(width, height, size, region):
    image = picture(width, height)
    if region:
        left, top, wide, high = region
        return image.crop((left, top, left + wide, top + high)).resize((size, size), Image.BICUBIC)
    short = min(width, height)
    image = image.resize((size * width // short, size * height // short), Image.BICUBIC)
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))


cases = []
for width, height, size, region in CASES:
    rgb = prepared(width, height, size, region).tobytes().hex()
    cases.append({"width": width, "height": height, "size": size, "region": region, "rgb": rgb})
Path(__file__).with_suffix(".json").write_text(json.dumps(cases, indent=1) + "\n")
