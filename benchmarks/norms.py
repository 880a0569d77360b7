"""Training images per second of a ViT with each norm, and the share of the bare model step that the loop reaches.

All norms and both loops take turns, so that whatever else the machine does falls on all alike.

    python benchmarks/norms.py --out norms.json                     a small ViT at 32 pixels
    python benchmarks/norms.py --model norm_vit_b32 --size 224 --batch 16 --steps 1 --blocks 6 --out norms-b32.json
    python benchmarks/norms.py --model norm_vit_b32 --size 224 --batch 128 --precision bf16 --out norms-gpu.json
"""

import argparse
from pathlib import Path

from loop import sides
from machine import machine
from measure import interleave, summarise

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.files import write_json
from florilegium.training.machine import configure, pick_device

NORMS = ("ln", "bn", "gn", "rescale", "rescale_full")
SMALL = {"patch_size": 8, "embed_dim": 64, "depth": 4, "num_heads": 4}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="norm_vit", help="norm_vit is a small one; or norm_vit_b32 ...")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10, help="steps of a block")
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    device = pick_device(a.device)
    configure(device, a.threads)
    recipe = Recipe(
        epochs=1,
        batch_size=a.batch,
        image_size=a.size,
        threads=a.threads,
        precision=a.precision,
        crop_scale=(0.05, 1.0),
        flip=0.0,
    )
    both = {}
    for norm in NORMS:
        sizes = SMALL if a.model == "norm_vit" else {}
        model = Model(name=a.model, arguments={"norm": norm, "img_size": a.size, **sizes})
        found = sides(model, recipe, storage=32, steps=a.steps, device=device)
        both |= {f"{norm} {name}": side for name, side in found.items()}
    rates = interleave(both, a.blocks)
    summary = {}
    for norm in NORMS:
        loop, bare, plain = rates[f"{norm} loop"], rates[f"{norm} bare"], rates["ln loop"]
        rows = {
            "images_per_second": loop,
            "share_of_bare_step": [x / y for x, y in zip(loop, bare, strict=True)],
            "times_layer_norm": [x / y for x, y in zip(loop, plain, strict=True)],
        }
        summary[norm] = summarise(rows)
        shown = "  ".join(
            f"{name} {row['median']:.3g} [{row['low']:.3g}, {row['high']:.3g}]" for name, row in summary[norm].items()
        )
        print(f"{norm:14}{shown}")
    title = (
        f"{a.model} at {a.size} pixels from 32 stored, batch {a.batch}, {a.precision}, {device}, {a.threads} thread(s)"
    )
    write_json(a.out, {"title": title, "summary": summary, "blocks": rates, "machine": machine()})


if __name__ == "__main__":
    main()
