"""Arguments of the stages that read an experiment's images: packed pixels, splits, and what was dropped."""

import argparse
from pathlib import Path

from florilegium.core.spec import DataUse
from florilegium.data.load import Splits, load_splits


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pixels", type=Path, help="packed images, pixels<size>.npy")
    parser.add_argument("--images", type=Path, help="table of images, classes and splits")
    parser.add_argument(
        "--dropped", type=Path, nargs="+", default=[], help="tables of images not to train on"
    )
    parser.add_argument("--pairs", type=Path, help="doubles inside the data set, for data.holdout")


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
