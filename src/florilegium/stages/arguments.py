"""Arguments that stages on a device share, and the objects made from them: the device, images, a job."""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from florilegium.config.base import Strict, parse
from florilegium.config.data import DataUse, Model
from florilegium.config.recipes import Recipe, TrainingRecipe
from florilegium.core.outputs import RECEIPT
from florilegium.data.load import Splits, load_splits
from florilegium.stages.stage import stage, stage_parser
from florilegium.training import parallel
from florilegium.training.machine import configure, device_name, leased, pick_device, pick_precision
from florilegium.training.run import Job

# The device


def add_device(parser: argparse.ArgumentParser) -> None:
    help_text = "auto takes a GPU when there is one (%(default)s)"
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help=help_text)


@contextmanager
def leased_device(arguments: argparse.Namespace, threads: int) -> Iterator[tuple[torch.device, tuple[str, ...]]]:
    """Hold the device of `--device` while the body runs, configured; yields it and the names of leased GPUs."""
    with leased(arguments.device, 1) as gpus:  # before pick_device, which asks CUDA
        device = pick_device(arguments.device)
        configure(device, threads)
        yield device, gpus


# Images of an experiment


def add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pixels", type=Path, help="packed images, pixels<size>.npy")
    parser.add_argument("--images", type=Path, help="table of images, classes and splits")
    add_dropped(parser)
    parser.add_argument("--pairs", type=Path, help="duplicates inside the data set, for data.holdout")


def add_dropped(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dropped", type=Path, nargs="+", default=[], help="tables of images not to train on")


def image_files(arguments: argparse.Namespace) -> tuple[Path, ...]:
    """Every file that `splits_of` reads."""
    tables = [arguments.pixels.with_suffix(".csv"), arguments.images, arguments.images.with_suffix(".json")]
    pairs = [arguments.pairs] if arguments.pairs else []
    return (arguments.pixels, *tables, *arguments.dropped, *pairs)


def splits_of(arguments: argparse.Namespace, use: DataUse) -> Splits:
    """The images that `use` names; see `load_splits`."""
    return load_splits(
        use, pixels=arguments.pixels, images=arguments.images, dropped=arguments.dropped, pairs=arguments.pairs
    )


# A job: the seeds of an experiment's arm


def job_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser for stages that work seed by seed on the network of an arm."""
    parser = stage_parser(description, out="folder of the arm", spec="data, model, recipe, perhaps processes")
    parser.add_argument("--seeds", required=True, type=int, nargs="+", help="seeds of the runs, one run each")
    parser.add_argument("--init", help="first weights; {seed} stands for the run's seed")
    add_device(parser)
    return parser


def training_parser(description: str | None) -> argparse.ArgumentParser:
    """`job_parser` for a stage that trains."""
    parser = job_parser(description)
    parser.add_argument("--state", required=True, type=Path, help="folder for resumable state")
    parser.add_argument("--tensorboard", type=Path, help="folder for event files")
    parser.add_argument(
        "--fastest-kernels", action="store_true", help="on a GPU: also use kernels that do not repeat their bits"
    )
    return parser


def _job(
    arguments: argparse.Namespace,
    data: type[Strict],
    recipe: TrainingRecipe,
    inputs: Iterable[Path],
    gpus: tuple[str, ...],
) -> Job[Any, Any]:
    """The job of `job_parser` and of whatever else a stage's parser has for it."""
    options, spec = vars(arguments), json.loads(arguments.spec)
    return Job(
        spec=spec,
        data=parse(data, spec["data"], "--spec data"),
        model=parse(Model, spec["model"], "--spec model"),
        recipe=recipe,
        code=arguments.code,
        inputs=tuple(inputs),
        init=arguments.init,
        out=arguments.out,
        state=options.get("state", arguments.out),
        tensorboard=options.get("tensorboard"),
        device=pick_device(arguments.device),
        deterministic=not options.get("fastest_kernels"),
        gpus=gpus,
        features=options.get("features"),
        generated=options.get("generated"),
        finder=options.get("finder"),
    )


def run_training(
    train: Callable[[Job[Any, Any], argparse.Namespace], None],
    arguments: argparse.Namespace,
    data: type[Strict],
    recipe: type[TrainingRecipe],
    inputs: Iterable[Path],
) -> None:
    """Call `train` in as many processes as the spec names, on devices that are leased for them.

    Args:
        train: does all seeds of a job, in a process that is configured.
        arguments: those of `training_parser`, and the stage's own.
        data, recipe: the types of these parts of the spec.
        inputs: files that all seeds read.
    """
    spec = json.loads(arguments.spec)
    processes = spec.get("processes", 1)
    with leased(arguments.device, processes) as gpus:  # before pick_device, which asks CUDA
        job = _job(arguments, data, parse(recipe, spec["recipe"], "--spec recipe"), inputs, gpus)
        parallel.run(processes, job.device, _train_configured, train, job, arguments)


def _train_configured(
    train: Callable[[Job[Any, Any], argparse.Namespace], None], job: Job[Any, Any], arguments: argparse.Namespace
) -> None:
    configure(job.device, job.recipe.threads, deterministic=job.deterministic)
    train(job, arguments)


def run_before_training(
    name: str,
    description: str | None,
    folder: str,
    files: Iterable[str],
    make: Callable[[Job[DataUse, Recipe], Splits, int, Path], None],
) -> None:
    """A stage that computes, for each seed, what a training of that classifier may read.

    The job's recipe names the precision that the device decides; it has no epochs of its own.

    Args:
        name, description: of the stage.
        folder: where `make` writes `files`, below the folder of the seed's run.
        make: takes job, images, seed and folder.
    """
    parser = job_parser(description)
    add_images(parser)
    arguments = parser.parse_args()
    recipe = parse(Recipe, {**json.loads(arguments.spec)["recipe"], "epochs": 1}, "--spec recipe")
    with leased_device(arguments, recipe.threads) as (device, gpus):
        precision = pick_precision(recipe.precision, device)
        recipe = recipe.model_copy(update={"precision": precision})
        job = _job(arguments, DataUse, recipe, image_files(arguments), gpus)
        splits = splits_of(arguments, job.data)
        facts = {"device": device_name(device), "gpus": list(gpus), "precision": precision}
        for seed in arguments.seeds:
            paths = job.at(seed)
            out = paths.out / folder
            with stage(name, arguments, paths.inputs, path=out / RECEIPT) as receipt:
                make(job, splits, seed, out)
                receipt.outputs += [out / file for file in files]
                receipt.facts |= {"seed": seed, **facts}
