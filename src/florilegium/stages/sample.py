"""Sample images from a trained generator.

Reads:  the checkpoint and the receipt of a generator's run.
Writes: the images with their classes, a grid by class, their noise, the way between, and costs.
Why:    the images are looked at, judged, and learned from by classifiers.
"""

from pathlib import Path

from florilegium.config.base import parse
from florilegium.config.data import Model, Sampling
from florilegium.config.recipes import GenerationRecipe
from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.core.receipts import read_receipt
from florilegium.generation.sampling import sample, save_samples, steps_of
from florilegium.models import registry
from florilegium.models.generators import own_input
from florilegium.models.weights import load_into
from florilegium.stages.arguments import add_device, leased_device
from florilegium.stages.stage import stage, stage_parser
from florilegium.training.machine import device_name


def main() -> None:
    parser = stage_parser(__doc__, out="folder of the set of images", spec="JSON with sampling and shown")
    parser.add_argument("--checkpoint", required=True, type=Path, help="of a generator, its receipt beside it")
    add_device(parser)
    arguments = parser.parse_args()
    checkpoint, out = arguments.checkpoint, arguments.out
    run = read_receipt(checkpoint.with_name("receipt.json"))
    model = parse(Model, run["model"], "receipt.json: model")
    recipe = parse(GenerationRecipe, run["spec"]["recipe"], "receipt.json: recipe")
    inputs = [checkpoint, checkpoint.with_name("receipt.json")]
    with (
        stage("sample", arguments, inputs, path=out / "receipt.json") as receipt,
        leased_device(arguments, recipe.threads) as (device, gpus),
    ):
        classes, shown = run["classes"], receipt.spec["shown"]
        sampling = parse(Sampling, receipt.spec["sampling"], "--spec sampling")
        network = registry.build(model, len(classes), dropout=recipe.dropout)
        load_into(network, checkpoint)
        samples = sample(
            network,
            recipe,
            sampling,
            n_classes=len(classes),
            size=own_input(model)[0].size,
            shown=shown,
            seed=run["seed"],
            device=device,
        )
        cost = {
            "device": device_name(device),
            "seconds_total": samples.seconds,
            "images_per_second": len(samples.pixels) / samples.seconds,
            "steps": steps_of(recipe, sampling) if sampling.sampler != "direct" else 1,
        }
        receipt.outputs += [*save_samples(samples, classes, shown, out), out / "cost.json"]
        write_json(out / "cost.json", cost)
        receipt.facts |= {"seed": run["seed"], "device": device_name(device), "gpus": list(gpus), "classes": classes}


if __name__ == "__main__":
    run_main(main)
