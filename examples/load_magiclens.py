"""Loads weights that `train` wrote and embeds an image with a text, in numpy alone.

    python examples/load_magiclens.py MODEL_FOLDER --image photo.jpg --ids 49406 3365 49407

Needs numpy, safetensors and, for --image, Pillow. Ids are CLIP's (transformers' CLIPTokenizer gives
them); without --ids the text is empty, as it is for targets. The embedding goes to standard output.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


class MagicLens:
    def __init__(self, folder):
        self.config = json.loads((Path(folder) / "config.json").read_text())
        self.weights = load_file(Path(folder) / "model.safetensors")

    def linear(self, name, x):
        return x @ self.weights[name + ".weight"].T + self.weights.get(name + ".bias", 0)

    def norm(self, name, x):
        """CLIP's form has a weight; that of the added layers multiplies by 1 + scale."""
        offset = name + ".scale" in self.weights
        gain = 1 + self.weights[name + ".scale"] if offset else self.weights[name + ".weight"]
        x = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((x * x).mean(-1, keepdims=True) + (1e-6 if offset else 1e-5))
        return x / deviation * gain + self.weights[name + ".bias"]

    def heads(self, name, x, heads):
        """[B, T, D] to [B, heads, T, d]."""
        x = self.linear(name, x)
        return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)

    def join(self, name, probabilities, values):
        x = (probabilities @ values).swapaxes(1, 2)
        return self.linear(name + ".out_proj", x.reshape(*x.shape[:2], -1))

    def tower(self, name, x, heads, layers, mask):
        for layer in (f"{name}.encoder.layers.{index}" for index in range(layers)):
            y = self.norm(layer + ".layer_norm1", x)
            q, k, v = (self.heads(f"{layer}.self_attn.{p}_proj", y, heads) for p in "qkv")
            logits = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
            x = x + self.join(layer + ".self_attn", softmax(np.where(mask, logits, -1e30)), v)
            y = self.linear(layer + ".mlp.fc1", self.norm(layer + ".layer_norm2", x))
            x = x + self.linear(layer + ".mlp.fc2", y / (1 + np.exp(-1.702 * y)))
        return x

    def image_features(self, pixels):
        """[B, 3, S, S], less mean over deviation, to [B, E]."""
        clip, weights = self.config["clip"], self.weights
        kernel = weights["vision_model.embeddings.patch_embedding.weight"]
        (batch, channels, size, _), patch = pixels.shape, kernel.shape[-1]
        side = size // patch
        x = pixels.reshape(batch, channels, side, patch, side, patch).transpose(0, 2, 4, 1, 3, 5)
        x = x.reshape(batch, side * side, -1) @ kernel.reshape(len(kernel), -1).T
        first = np.broadcast_to(weights["vision_model.embeddings.class_embedding"], (batch, 1, len(kernel)))
        x = np.concatenate([first, x], 1) + weights["vision_model.embeddings.position_embedding.weight"]
        x = self.norm("vision_model.pre_layrnorm", x)
        x = self.tower("vision_model", x, clip["vision_num_heads"], clip["vision_num_layers"], True)
        return self.linear("visual_projection", self.norm("vision_model.post_layernorm", x[:, 0]))

    def text_features(self, ids):
        """[B, L] ids, padded with 0, to [B, E]."""
        clip, weights = self.config["clip"], self.weights
        length = ids.shape[1]
        x = weights["text_model.embeddings.token_embedding.weight"][ids]
        x = x + weights["text_model.embeddings.position_embedding.weight"][:length]
        real = ids > 0
        mask = np.tril(np.ones((length, length), bool)) & real[:, None, None, :] & real[:, None, :, None]
        x = self.tower("text_model", x, clip["text_num_heads"], clip["text_num_layers"], mask)
        x = self.norm("text_model.final_layer_norm", x[np.arange(len(ids)), ids.argmax(1)])
        return self.linear("text_projection", x)

    def capped(self, name, q, x):
        heads = self.config["magiclens"]["num_heads"]
        k, v = (self.heads(f"{name}.{p}_proj", x, heads) for p in "kv")
        return self.join(name, softmax(50 * np.tanh(q @ k.swapaxes(-1, -2) / 50)), v)

    def fuse(self, image, text):
        """Two times [B, E] to [B, E] of length 1."""
        head, x = self.config["magiclens"], np.stack([image, text], 1)
        for layer in (f"fusion.layers.{index}" for index in range(head["num_layers"])):
            y = self.norm(layer + ".attention_norm", x)
            q = self.heads(layer + ".attention.q_proj", y, head["num_heads"])
            x = x + self.capped(layer + ".attention", q / q.shape[-1] ** 0.5, y)
            y = self.linear(layer + ".mlp.fc1", self.norm(layer + ".mlp_norm", x))
            x = x + self.linear(layer + ".mlp.fc2", np.maximum(y, 0))
        q = self.heads("pooler.attention.q_proj", self.weights["pooler.query"][None], head["num_heads"])
        scale = np.logaddexp(0, self.weights["pooler.attention.per_dim_scale"])
        q = q * (1.442695041 / q.shape[-1] ** 0.5 * scale)
        x = self.norm("pooler.norm", self.capped("pooler.attention", q, x)[:, 0])
        return x / np.sqrt((x * x).sum(-1, keepdims=True) + 1e-12)

    def embed(self, pixels, ids):
        return self.fuse(self.image_features(pixels), self.text_features(ids))

    def pixels(self, path):
        """Prepares an image as the model was trained with: `preprocess` of config.json."""
        from PIL import Image

        image, side = Image.open(path).convert("RGB"), self.config["image_size"]
        way = self.clip if self.config.get("preprocess") == "clip" else self.released
        mean, std = (np.array(self.config[key], np.float32) for key in ("image_mean", "image_std"))
        return ((way(image, side) - mean) / std).transpose(2, 0, 1)[None]

    @staticmethod
    def released(image, side):
        """The original's way: by the image's own maximum, squashed, resized as floats."""
        from PIL import Image

        image = np.asarray(image, np.float32)
        image = image / (image.max() + 1e-12)
        resized = (Image.fromarray(image[..., c]).resize((side, side), Image.Resampling.BILINEAR) for c in range(3))
        return np.stack(list(resized), -1)

    @staticmethod
    def clip(image, side):
        """CLIP's way: the shorter side scaled, the centre cut out."""
        from PIL import Image

        short = min(image.size)
        width, height = (side * length // short for length in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = round((width - side) / 2), round((height - side) / 2)
        return np.asarray(image.crop((left, top, left + side, top + side)), np.float32) / 255


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--image", required=True)
    parser.add_argument("--ids", type=int, nargs="+", default=[49406, 49407])
    arguments = parser.parse_args()
    model = MagicLens(arguments.model)
    embedding = model.embed(model.pixels(arguments.image), np.array([arguments.ids]))[0]
    print(json.dumps([round(float(value), 7) for value in embedding]))


if __name__ == "__main__":
    main()
