"""Samples per second of each sampler of study 4's generators: 500 steps of DDPM, 50 of DDIM, one pass of an ACGAN.

The generators and the ways to sample are those of `workflow/studies/generation.yaml`; the networks have random
weights, which takes as long. A block is one call of what the stage `sample` calls, noise and
the way to uint8 pixels on the host included.

    python benchmarks/samplers.py --out samplers.json
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from machine import machine
from measure import interleave, summarise

from florilegium.config.data import Model, Sampling
from florilegium.config.recipes import GenerationRecipe
from florilegium.core.files import write_json
from florilegium.generation.sampling import sample, steps_of
from florilegium.models import registry
from florilegium.models.generators import own_input
from florilegium.plan.project import load_plan
from florilegium.training.machine import configure, pick_device

PROJECT = Path(__file__).parents[1]
CLASSES = 10
MORE = 20  # times as many images of a sampler that needs no steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--per-class", type=int, default=6, help="images of a block, of each of 10 classes")
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--channels", type=int, nargs="+", help="of the U-Net, to try the benchmark out")
    parser.add_argument("--timesteps", type=int, help="of the diffusion, likewise")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    device = pick_device(a.device)
    configure(device, a.threads)
    plan = load_plan(PROJECT, {"preset": "paper"})
    sides: dict[str, Callable[[], float]] = {}
    for name in ("diffusion", "acgan"):
        e = plan.find("generation", name, "corrected")
        assert isinstance(e.recipe, GenerationRecipe) and e.samples
        recipe, model = e.recipe, e.model
        if a.timesteps:
            recipe = recipe.model_copy(update={"timesteps": a.timesteps})
        if a.channels and name == "diffusion":
            model = Model(name=model.name, arguments={"channels": tuple(a.channels), "groups": 8})
        network = registry.build(model, CLASSES)
        for sampling in e.samples.sets.values():
            count = a.per_class * (MORE if sampling.sampler == "direct" else 1)
            asked = sampling.model_copy(update={"per_class": count})
            sides.setdefault(called(asked, recipe), sampler(network, recipe, asked, model, device))
    rates = interleave(sides, a.blocks)
    summary = summarise(rates)
    title = f"samples of 32 pixels, {CLASSES * a.per_class} at a time, fp32, {device}, {a.threads} thread(s)"
    write_json(a.out, {"title": title, "summary": summary, "blocks": rates, "machine": machine()})
    print(f"{title} ({a.blocks} blocks, images per second)")
    for name, row in summary.items():
        print(f"  {name:36} {row['median']:10.2f}   [{row['low']:.2f}, {row['high']:.2f}]")


def called(sampling: Sampling, recipe: GenerationRecipe) -> str:
    if sampling.sampler == "direct":
        return "ACGAN, direct"
    steps = f"{sampling.sampler.upper()}, {steps_of(recipe, sampling)} steps"
    return f"{steps}, guidance {sampling.guidance:g}" if sampling.guidance else f"{steps}, no guidance"


def sampler(
    network: torch.nn.Module, recipe: GenerationRecipe, sampling: Sampling, model: Model, device: torch.device
) -> Callable[[], float]:
    """A function that draws a block of images and returns how many a second; the last copy to the host
    waits for the device."""

    def block() -> float:
        made = sample(
            network, recipe, sampling, n_classes=CLASSES, size=own_input(model)[0].size, shown=0, seed=0,
            device=device,
        )  # fmt: skip
        return len(made.pixels) / made.seconds

    return block


if __name__ == "__main__":
    main()
