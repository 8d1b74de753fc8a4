#!/usr/bin/env python3
"""The training step of examples/train_step.rs in PyTorch, with the same tricks; prints the same line.

    train_step --model tiny --save DIR
    python3 benches/peers/train_torch.py DIR --batch 128 --chunk 128 --held 1 [--compile]

Same weights (DIR), batch (libtorch's generator, seed 1), loss, chunks (GradCache), optimizer. Each
query image is encoded once for both its roles, both image towers' work is one call, "" is encoded
once a chunk, and the towers' last blocks compute the one row that is used. Needs torch 2.11 (its generator draws the batch) and safetensors.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

LOG2_E = 1.4426950408889634


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, causal):
        rows, tokens, width = x.shape
        heads = self.qkv(self.norm1(x)).view(rows, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(*heads, is_causal=causal)
        x = x + self.out(seen.transpose(1, 2).reshape(rows, tokens, width))
        return self.mlp(x)

    def mlp(self, x):
        y = self.fc1(self.norm2(x))
        return x + self.fc2(y * torch.sigmoid(1.702 * y))

    def row(self, x, place, seen):
        """The same of one row of each sequence: [B, width]. `seen` are the keys that it may see, or None."""
        rows, tokens, width = x.shape
        normed, at = self.norm1(x), torch.arange(rows, device=x.device)
        weight, bias = self.qkv.weight, self.qkv.bias
        asking = normed[:, 0] if isinstance(place, int) else normed[at, place]
        q = F.linear(asking, weight[:width], bias[:width]).view(rows, 1, self.heads, -1).transpose(1, 2)
        kv = F.linear(normed, weight[width:], bias[width:])
        k, v = kv.view(rows, tokens, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        own = x[:, 0] if isinstance(place, int) else x[at, place]
        return self.mlp(own + self.out(mixed.transpose(1, 2).reshape(rows, width)))


class Vision(nn.Module):
    def __init__(self, config):
        super().__init__()
        clip, width = config["clip"], config["clip"]["vision_features"]
        patch = clip["vision_patch_size"]
        tokens = (config["image_size"] // patch) ** 2 + 1
        self.patches = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_token = nn.Parameter(torch.empty(width))
        self.positions = nn.Parameter(torch.empty(tokens, width))
        self.pre, self.post = nn.LayerNorm(width), nn.LayerNorm(width)
        blocks = range(clip["vision_num_layers"])
        self.blocks = nn.ModuleList(Block(width, clip["vision_num_heads"]) for _ in blocks)
        self.projection = nn.Linear(width, clip["embed_dim"], bias=False)

    def forward(self, pixels):
        x = self.patches(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), 1, -1).to(x.dtype), x], 1)
        x = self.pre(x + self.positions)
        for block in self.blocks[:-1]:
            x = block(x, False)
        return self.projection(self.post(self.blocks[-1].row(x, 0, None)))


class Text(nn.Module):
    def __init__(self, config):
        super().__init__()
        clip, width = config["clip"], config["clip"]["text_features"]
        self.tokens = nn.Embedding(clip["vocab_size"], width)
        self.positions = nn.Parameter(torch.empty(config["context_length"], width))
        blocks = range(clip["text_num_layers"])
        self.blocks = nn.ModuleList(Block(width, clip["text_num_heads"]) for _ in blocks)
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, clip["embed_dim"], bias=False)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions[: ids.shape[1]]
        for block in self.blocks[:-1]:
            x = block(x, True)
        end = ids.argmax(-1)
        seen = torch.arange(ids.shape[1], device=ids.device) <= end[:, None]
        return self.projection(self.norm(self.blocks[-1].row(x, end, seen[:, None, None])))


class Norm(nn.Module):
    """Multiplies by 1 + scale, as the original's layers do."""

    def __init__(self, width):
        super().__init__()
        self.scale, self.bias = nn.Parameter(torch.empty(width)), nn.Parameter(torch.empty(width))

    def forward(self, x):
        return F.layer_norm(x, self.scale.shape, 1 + self.scale, self.bias, 1e-6)


class Capped(nn.Module):
    """Attention whose logits stay within 50."""

    def __init__(self, width, inner, heads, scaled):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, inner) for _ in range(3))
        self.out = nn.Linear(inner, width)
        self.per_dim_scale = nn.Parameter(torch.empty(inner // heads)) if scaled else None

    def split(self, x):
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, asking, x):
        q, k, v = self.split(self.q(asking)), self.split(self.k(x)), self.split(self.v(x))
        factor = q.shape[-1] ** -0.5
        if self.per_dim_scale is not None:
            factor = LOG2_E * factor * F.softplus(self.per_dim_scale)
        logits = (q * factor) @ k.transpose(-2, -1)
        seen = (50 * torch.tanh(logits.float() / 50)).softmax(-1).to(v.dtype) @ v
        return self.out(seen.transpose(1, 2).flatten(2))


class Fusion(nn.Module):
    def __init__(self, width, inner, heads):
        super().__init__()
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.attention = Capped(width, width, heads, False)
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.attention(y, y)
        return x + self.fc2(F.relu(self.fc1(self.norm2(x))))


class Head(nn.Module):
    def __init__(self, config):
        super().__init__()
        head, width = config["magiclens"], config["magiclens"]["embed_dim"]
        inner, heads = head["ff_hidden_size"], head["num_heads"]
        self.layers = nn.ModuleList(Fusion(width, inner, heads) for _ in range(head["num_layers"]))
        self.query = nn.Parameter(torch.empty(1, width))
        self.pool, self.norm = Capped(width, 4 * width, heads, True), Norm(width)

    def forward(self, image, text):
        x = torch.stack([image, text], 1)
        for layer in self.layers:
            x = layer(x)
        pooled = self.pool(self.query[None].expand(len(x), -1, -1).to(x.dtype), x)
        pooled = self.norm(pooled)[:, 0].float()
        return pooled / (pooled.square().sum(-1, keepdim=True) + 1e-12).sqrt()


class MagicLens(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.vision, self.text, self.head = Vision(config), Text(config), Head(config)
        self.logit_scale = nn.Parameter(torch.empty(()))

    def forward(self, pixels, ids, empty):
        """Images of queries, then of targets; gives [3c, E]: queries, targets, bare queries."""
        images, text = self.vision(pixels), self.text(ids)
        query, target = images.chunk(2)
        empty = self.text(empty).expand(len(images), -1)
        images, text = torch.cat([query, target, query]), torch.cat([text, empty])
        return self.head(images, text)


def ours_to_peer(ours):
    """The names of our checkpoints, as pairs (name here, names there that are stacked to it)."""
    pairs = {}

    def add(here, there, parts=("weight", "bias")):
        for part in parts:
            pairs[f"{here}.{part}"] = [f"{there}.{part}"]

    def block(here, there):
        for part in ("weight", "bias"):
            stacked = [f"{there}.self_attn.{one}_proj.{part}" for one in "qkv"]
            pairs[f"{here}.qkv.{part}"] = stacked
        for mine, theirs in [("out", "self_attn.out_proj"), ("norm1", "layer_norm1"),
                             ("norm2", "layer_norm2"), ("fc1", "mlp.fc1"), ("fc2", "mlp.fc2")]:
            add(f"{here}.{mine}", f"{there}.{theirs}")

    def capped(here, there):
        for mine, theirs in [("q", "q_proj"), ("k", "k_proj"), ("v", "v_proj"), ("out", "out_proj")]:
            add(f"{here}.{mine}", f"{there}.{theirs}")

    def count(prefix):
        return len({name.split(".")[prefix.count(".")] for name in ours if name.startswith(prefix)})

    for tower in ("vision", "text"):
        layers = f"{tower}_model.encoder.layers."
        for layer in range(count(layers)):
            block(f"{tower}.blocks.{layer}", f"{layers}{layer}")
        positions = f"{tower}_model.embeddings.position_embedding.weight"
        pairs[f"{tower}.positions"] = [positions]
    pairs["vision.class_token"] = ["vision_model.embeddings.class_embedding"]
    add("vision.patches", "vision_model.embeddings.patch_embedding", ["weight"])
    add("vision.pre", "vision_model.pre_layrnorm")
    add("vision.post", "vision_model.post_layernorm")
    add("vision.projection", "visual_projection", ["weight"])
    add("text.tokens", "text_model.embeddings.token_embedding", ["weight"])
    add("text.norm", "text_model.final_layer_norm")
    add("text.projection", "text_projection", ["weight"])
    for layer in range(count("fusion.layers.")):
        here, there = f"head.layers.{layer}", f"fusion.layers.{layer}"
        capped(f"{here}.attention", f"{there}.attention")
        add(f"{here}.norm1", f"{there}.attention_norm", ["scale", "bias"])
        add(f"{here}.norm2", f"{there}.mlp_norm", ["scale", "bias"])
        add(f"{here}.fc1", f"{there}.mlp.fc1")
        add(f"{here}.fc2", f"{there}.mlp.fc2")
    pairs["head.query"] = ["pooler.query"]
    capped("head.pool", "pooler.attention")
    pairs["head.pool.per_dim_scale"] = ["pooler.attention.per_dim_scale"]
    add("head.norm", "pooler.norm", ["scale", "bias"])
    pairs["logit_scale"] = ["logit_scale"]
    return pairs


def load(folder, device):
    config = json.loads((folder / "config.json").read_text())
    training = json.loads((folder / "training.json").read_text())
    ours = load_file(folder / "model.safetensors")
    model, pairs = MagicLens(config), ours_to_peer(ours)
    state = {here: torch.cat([ours[name] for name in there]) if len(there) > 1 else ours[there[0]]
             for here, there in pairs.items()}
    model.load_state_dict(state)
    used = {name for there in pairs.values() for name in there}
    assert used == set(ours), set(ours) - used
    model = model.to(device)
    decay = [one for name, one in model.named_parameters() if pairs[name][0] in training["decay"]]
    kept = {id(one) for one in decay}
    plain = [one for one in model.parameters() if id(one) not in kept]
    how = training["optimizer"]
    groups = [{"params": decay, "weight_decay": how["weight_decay"]},
              {"params": plain, "weight_decay": 0.0}]
    return config, model, groups, how


def draw(config, batch, tokens, device):
    """As `batch` of examples/train_step.rs."""
    torch.manual_seed(1)
    size = config["image_size"]
    pixels = torch.randn([2 * batch, 3, size, size], device=device)
    ids = torch.randint(1, 49000, [batch, tokens], device=device)
    ids[:, 0], ids[:, -1] = 49406, 49407
    return pixels, ids


class Stepper:
    def __init__(self, model, encode, groups, how, args, device):
        self.model, self.encode, self.args, self.how = model, encode, args, how
        self.parameters = list(model.parameters())
        self.optimizer = torch.optim.AdamW(
            groups, lr=args.rate, betas=tuple(how["betas"]), eps=how["eps"], fused=True)
        self.amp = torch.autocast(device.type, torch.bfloat16, args.precision == "bf16")
        self.empty = torch.tensor([[49406, 49407]], device=device)

    def chunk(self, pixels, ids, start):
        rows = len(ids)
        stop = min(start + self.args.chunk, rows)
        both = torch.cat([pixels[start:stop], pixels[rows + start : rows + stop]])
        with self.amp:
            return self.encode(both, ids[start:stop], self.empty)

    def loss(self, parts):
        roles = zip(*(part.chunk(3) for part in parts))
        query, target, bare = (torch.cat(role) for role in roles)
        logits = self.model.logit_scale.exp() * query @ torch.cat([target, bare]).T
        return F.cross_entropy(logits, torch.arange(len(query), device=query.device))

    def step(self, pixels, ids):
        starts = list(range(0, len(ids), self.args.chunk))
        held = set(starts[max(len(starts) - self.args.held, 0):])
        graphs = {}
        for start in starts:
            if start in held:
                graphs[start] = self.chunk(pixels, ids, start)
            else:
                with torch.no_grad():
                    graphs[start] = self.chunk(pixels, ids, start)
        leaves = [graphs[start].detach().requires_grad_() for start in starts]
        loss = self.loss(leaves)
        loss.backward()
        for start, leaf in reversed(list(zip(starts, leaves))):
            output = graphs.pop(start)
            if start not in held:
                output = self.chunk(pixels, ids, start)
            output.backward(leaf.grad)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.how["clip_norm"], foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=4.605170185988092)
        return loss.item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    for name, kind, value in [("batch", int, 128), ("chunk", int, 128), ("held", int, 1),
                              ("tokens", int, 16), ("steps", int, 20), ("warmup", int, 3),
                              ("rate", float, 1e-4), ("precision", str, "f32")]:
        parser.add_argument(f"--{name}", type=kind, default=value)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config, model, groups, how = load(args.folder, device)
    encode = torch.compile(model) if args.compile else model
    stepper = Stepper(model, encode, groups, how, args, device)
    pixels, ids = draw(config, args.batch, args.tokens, device)
    losses, seconds, cpu = [], [], 0.0
    for step in range(args.warmup + args.steps):
        if step == args.warmup:
            cpu = sum(os.times()[:2])
        began = time.perf_counter()
        losses.append(stepper.step(pixels, ids))
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    cpu = (sum(os.times()[:2]) - cpu) / args.steps
    middle = sorted(seconds[args.warmup:])[args.steps // 2]
    memory = None
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info()
        memory = total - free
    print(json.dumps({
        "who": "torch.compile" if args.compile else "eager", "device": str(device),
        "seconds": middle, "cpu_seconds": cpu, "triplets_per_second": args.batch / middle,
        "memory_bytes": memory, "losses": losses}))


if __name__ == "__main__":
    main()
