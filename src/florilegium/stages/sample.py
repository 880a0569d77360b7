"""Sample images from a trained generator.

Reads:  the checkpoint and the receipt of a generator's run.
Writes: the images with their classes, a grid by class, their noise, an animation of the sampling, and costs.
Why:    people look at the images, a classifier judges them, and others learn from them.
"""

from florilegium.config.base import parse
from florilegium.config.data import Model, Sampling
from florilegium.config.recipes import GenerationRecipe
from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.core.outputs import RECEIPT
from florilegium.core.receipts import read_receipt
from florilegium.generation.sampling import sample, save_samples, steps_of
from florilegium.models import registry
from florilegium.models.generators import own_input
from florilegium.models.weights import load_into
from florilegium.stages.arguments import add_device, leased_device
from florilegium.stages.stage import stage, stage_parser
from florilegium.training.machine import device_name


def main() -> None:
    checkpoint = "of a generator, its receipt beside it"
    parser = stage_parser(__doc__, out="folder of the set of images", spec="sampling, shown", checkpoint=checkpoint)
    add_device(parser)
    arguments = parser.parse_args()
    checkpoint, out = arguments.checkpoint, arguments.out
    inputs = [checkpoint, checkpoint.with_name(RECEIPT)]
    run = read_receipt(inputs[1])
    seed, classes = run["seed"], run["classes"]
    model = parse(Model, run["model"], "receipt.json: model")
    recipe = parse(GenerationRecipe, run["spec"]["recipe"], "receipt.json: recipe")
    with (
        stage("sample", arguments, inputs, path=out / RECEIPT) as receipt,
        leased_device(arguments, recipe.threads) as (device, gpus),
    ):
        n, size, shown = len(classes), own_input(model)[0].size, receipt.spec["shown"]
        sampling = parse(Sampling, receipt.spec["sampling"], "--spec sampling")
        network = registry.build(model, n, dropout=recipe.dropout)
        load_into(network, checkpoint)
        samples = sample(network, recipe, sampling, n_classes=n, size=size, shown=shown, seed=seed, device=device)
        cost = {
            "device": device_name(device),
            "seconds_total": samples.seconds,
            "images_per_second": len(samples.pixels) / samples.seconds,
            "steps": steps_of(recipe, sampling) if sampling.sampler != "direct" else 1,
        }
        receipt.outputs += [*save_samples(samples, classes, shown, out), out / "cost.json"]
        write_json(out / "cost.json", cost)
        receipt.facts |= {"seed": seed, "device": device_name(device), "gpus": list(gpus), "classes": classes}


if __name__ == "__main__":
    run_main(main)
