"""Makes tests/golden/hf_clip/: a tiny Hugging Face CLIPModel of random weights with what it computes.

Run by hand where the golden is to change: python tests/golden/hf_clip.py
Made with torch 2.11.0 and transformers 5.23.0; needs safetensors too.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel

FOLDER = Path(__file__).parent / "hf_clip"
VOCABULARY = 96
END = VOCABULARY - 1

# Every size differs from every other, and heads are not 64 wide, so that none stands in for another.
CONFIG = CLIPConfig(
    text_config=dict(
        vocab_size=VOCABULARY, hidden_size=24, intermediate_size=96, num_hidden_layers=3,
        num_attention_heads=3, max_position_embeddings=11, projection_dim=20,
        bos_token_id=END - 1, eos_token_id=END, pad_token_id=0,
    ),
    vision_config=dict(
        hidden_size=32, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        image_size=24, patch_size=8, projection_dim=20,
    ),
    projection_dim=20,
)

# No 0 before the end: Hugging Face attends to it, MagicLens does not. The mask hides the padding.
TEXTS = [
    [END - 1, END],
    [END - 1, 5, 9, 17, 3, END],
    [END - 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, END],
    [END - 1, 44, END, 7, 7, END],
]


def main():
    torch.manual_seed(20240402)
    model = CLIPModel(CONFIG).eval()
    with torch.no_grad():
        # Far from the usual start, so that a swapped bias, gain or scale shows.
        for name, weight in model.named_parameters():
            spread = 0.3 if weight.dim() < 2 else weight.shape[-1] ** -0.5
            offset = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            weight.copy_(torch.randn_like(weight) * spread + offset)
        pixels = torch.randn(3, 3, 24, 24)
        width = max(map(len, TEXTS))
        ids = torch.tensor([text + [0] * (width - len(text)) for text in TEXTS])
        seen = (ids > 0).long()
        vision = model.vision_model(pixel_values=pixels).pooler_output
        text = model.text_model(input_ids=ids, attention_mask=seen).pooler_output
        features = {
            "pixels": pixels,
            "ids": ids.float(),
            "image_features": model.visual_projection(vision),
            "text_features": model.text_projection(text),
        }
    model.save_pretrained(FOLDER)
    (FOLDER / "generation_config.json").unlink(missing_ok=True)
    save_file({name: value.contiguous() for name, value in features.items()}, FOLDER / "features.safetensors")


if __name__ == "__main__":
    main()
