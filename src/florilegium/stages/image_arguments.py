"""Arguments of the stages that read an experiment's images: packed pixels, splits, and what was dropped."""

import argparse
from pathlib import Path
from typing import Any

from florilegium.core.spec import DataUse
from florilegium.data.load import Splits, load_splits
from florilegium.training.job import Job
from florilegium.training.machine import pick_device


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pixels", type=Path, help="packed images, pixels<size>.npy")
    parser.add_argument("--images", type=Path, help="table of images, classes and splits")
    parser.add_argument(
        "--dropped", type=Path, nargs="+", default=[], help="tables of images not to train on"
    )
    parser.add_argument("--pairs", type=Path, help="doubles inside the data set, for data.holdout")


def add_to_early_stage(parser: argparse.ArgumentParser) -> None:
    """What a stage is given that makes something of a network before its training, beside a spec."""
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--seeds", required=True, type=int, nargs="+")
    add_to(parser)
    parser.add_argument("--init", help="first weights; {seed} stands for the run's seed")
    parser.add_argument("--out", required=True, type=Path, help="folder of the arm")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))


def job_of(arguments: argparse.Namespace, spec: dict[str, Any], gpus: tuple[str, ...]) -> Job:
    """What such a stage was asked for."""
    return Job(
        spec=spec,
        code=arguments.code,
        inputs=files_of(arguments),
        init=arguments.init,
        out=arguments.out,
        state=arguments.out,
        tensorboard=None,
        device=pick_device(arguments.device),
        gpus=gpus,
    )


def files_of(arguments: argparse.Namespace) -> tuple[Path, ...]:
    """Everything that `splits_of` reads."""
    tables = [arguments.pixels.with_suffix(".csv"), arguments.images, arguments.images.with_suffix(".json")]
    pairs = [arguments.pairs] if arguments.pairs else []
    return (arguments.pixels, *tables, *arguments.dropped, *pairs)


def splits_of(arguments: argparse.Namespace, use: DataUse) -> Splits:
    """The images that `use` names; see `load_splits`."""
    return load_splits(
        use,
        pixels=arguments.pixels,
        images=arguments.images,
        dropped=arguments.dropped,
        pairs=arguments.pairs,
    )
