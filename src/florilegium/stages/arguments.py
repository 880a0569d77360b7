"""Arguments that several stages share, and what they stand for: a device, images, a job, a trained network."""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from florilegium.config.base import Name, Strict, parse
from florilegium.config.data import DataUse, Model
from florilegium.config.recipes import Recipe
from florilegium.config.training_recipe import TrainingRecipe
from florilegium.data.load import Splits, load_splits
from florilegium.stages.stage import stage_parser
from florilegium.training import parallel
from florilegium.training.machine import configure, device_name, leased, pick_device, pick_precision
from florilegium.training.run import Job

# --- a device


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))


@contextmanager
def leased_device(arguments: argparse.Namespace, threads: int) -> Iterator[tuple[torch.device, tuple[str, ...]]]:
    """Hold the device of `--device` while the body runs, configured; yields it and the names of leased GPUs."""
    with leased(arguments.device, 1) as gpus:  # before pick_device, which asks CUDA
        device = pick_device(arguments.device)
        configure(device, threads)
        yield device, gpus


# --- images of an experiment


def add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pixels", type=Path, help="packed images, pixels<size>.npy")
    parser.add_argument("--images", type=Path, help="table of images, classes and splits")
    add_dropped(parser)
    parser.add_argument("--pairs", type=Path, help="doubles inside the data set, for data.holdout")


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


# --- a job: seeds of an experiment's arm


def job_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser for stages that work seed by seed on the network of an arm."""
    parser = stage_parser(
        description, out="folder of the arm", spec="JSON with data, model, recipe and perhaps processes"
    )
    parser.add_argument("--seeds", required=True, type=int, nargs="+")
    parser.add_argument("--init", help="first weights; {seed} stands for the run's seed")
    add_device(parser)
    return parser


def training_parser(description: str | None) -> argparse.ArgumentParser:
    """`job_parser` for a stage that trains."""
    parser = job_parser(description)
    parser.add_argument("--state", required=True, type=Path, help="folder for resumable state")
    parser.add_argument("--tensorboard", type=Path, help="folder for event files")
    parser.add_argument(
        "--fastest-kernels", action="store_true", help="on a GPU: do not ask for kernels that repeat their bits"
    )
    return parser


def run_training(
    train: Callable[[Job[Any, Any], argparse.Namespace], None],
    arguments: argparse.Namespace,
    data: type[Strict],
    recipe: type[TrainingRecipe],
    inputs: Iterable[Path],
    **templates: str | None,
) -> None:
    """Call `train` in as many processes as the spec names, on devices that are leased for them.

    Args:
        train: does all seeds of a job, in a process that is configured.
        arguments: those of `training_parser`, and the stage's own.
        data, recipe: the types of these parts of the spec.
        inputs: files that all seeds read.
        templates: `features`, `generated` and `finder` of `Job`.
    """
    spec = json.loads(arguments.spec)
    processes = spec.get("processes", 1)
    with leased(arguments.device, processes) as gpus:  # before pick_device, which asks CUDA
        job = Job(
            spec=spec,
            data=parse(data, spec["data"], "--spec data"),
            model=parse(Model, spec["model"], "--spec model"),
            recipe=parse(recipe, spec["recipe"], "--spec recipe"),
            code=arguments.code,
            inputs=tuple(inputs),
            init=arguments.init,
            out=arguments.out,
            state=arguments.state,
            tensorboard=arguments.tensorboard,
            device=pick_device(arguments.device),
            deterministic=not arguments.fastest_kernels,
            gpus=gpus,
            **templates,
        )
        parallel.run(processes, job.device, _train_configured, train, job, arguments)


def _train_configured(
    train: Callable[[Job[Any, Any], argparse.Namespace], None], job: Job[Any, Any], arguments: argparse.Namespace
) -> None:
    configure(job.device, job.recipe.threads, deterministic=job.deterministic)
    train(job, arguments)


@contextmanager
def untrained_job(arguments: argparse.Namespace) -> Iterator[tuple[Job[DataUse, Recipe], Splits]]:
    """Job and images of a stage that uses a classifier before its training, on a leased device.

    The job's recipe names the precision that the device decides; it has no epochs of its own.

    Args:
        arguments: those of `job_parser` and `add_images`.
    """
    spec = json.loads(arguments.spec)
    recipe = parse(Recipe, {**spec["recipe"], "epochs": 1}, "--spec recipe")
    with leased_device(arguments, recipe.threads) as (device, gpus):
        precision = pick_precision(recipe.precision, device)
        job = Job(
            spec=spec,
            data=parse(DataUse, spec["data"], "--spec data"),
            model=parse(Model, spec["model"], "--spec model"),
            recipe=recipe.model_copy(update={"precision": precision}),
            code=arguments.code,
            inputs=image_files(arguments),
            init=arguments.init,
            out=arguments.out,
            state=arguments.out,
            tensorboard=None,
            device=device,
            gpus=gpus,
        )
        yield job, splits_of(arguments, job.data)


def seed_facts(job: Job[DataUse, Recipe], seed: int) -> dict[str, Any]:
    """The facts of a receipt of one seed of an `untrained_job`."""
    return {"seed": seed, "device": device_name(job.device), "gpus": list(job.gpus), "precision": job.recipe.precision}


# --- a trained classifier, to be explained


class PictureOrigin(Strict):
    """The part of a specification that pictures name: the preset, and whether the images are rendered."""

    preset: Name
    rendered: bool


def explanation_parser(description: str | None, subject: str) -> argparse.ArgumentParser:
    """A parser for a stage whose spec holds the settings of `subject`."""
    parser = stage_parser(
        description, out="folder to write to", spec=f'JSON: {{"{subject}": ..., "preset": ..., "rendered": ...}}'
    )
    parser.add_argument(
        "--checkpoint",
        required=True,
        type=Path,
        help="a run's checkpoint.safetensors, its receipt.json and predictions.csv beside it",
    )
    parser.add_argument("--pixels", required=True, type=Path, help="packed images that it was tested on")
    add_device(parser)
    return parser


def run_of(checkpoint: Path) -> str:
    """`study/experiment/arm/seed`, from the place of a run's checkpoint."""
    return "/".join(checkpoint.parts[-5:-1])


def explanation_files(arguments: argparse.Namespace) -> list[Path]:
    """Every file that such a stage reads."""
    beside = [arguments.checkpoint.with_name(name) for name in ("receipt.json", "predictions.csv")]
    return [arguments.checkpoint, *beside, arguments.pixels, arguments.pixels.with_suffix(".csv")]
