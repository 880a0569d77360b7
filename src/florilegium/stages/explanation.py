"""The frame of a stage that explains a trained classifier: its arguments, and the files of the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from florilegium.config.base import Name, Strict
from florilegium.core.outputs import RECEIPT
from florilegium.core.tables import read_table
from florilegium.data.pack import read_pixels
from florilegium.models.trained import Trained, load_trained
from florilegium.report.study import read
from florilegium.stages.arguments import add_device, leased_device
from florilegium.stages.stage import Receipt, stage, stage_parser


class PictureOrigin(Strict):
    """The part of a specification that pictures name: the preset, and whether the images are rendered."""

    preset: Name
    rendered: bool


S = TypeVar("S", bound=PictureOrigin)


@dataclass(frozen=True)
class Explained(Generic[S]):
    """A trained classifier, its predictions, and where its explanation is written."""

    spec: S
    receipt: Receipt
    out: Path
    run: str
    """`study/experiment/arm/seed`."""
    trained: Trained
    predictions: pd.DataFrame
    """Of the test images, all columns as text."""
    packed: Path
    device: torch.device

    def pixels(self, images: list[str]) -> dict[str, NDArray[np.uint8]]:
        """The packed pixels of test images."""
        return read_pixels(self.packed, images)


@contextmanager
def explanation(name: str, description: str | None, spec: type[S]) -> Iterator[Explained[S]]:
    """Parse the command line, lease the device and read the run; write the receipt after the body.

    Args:
        name: of the stage, and of its settings in the spec.
        description: the docstring of the stage's module.
    """
    parser = stage_parser(
        description,
        out="folder to write to",
        spec=f"{name}, preset, rendered",
        checkpoint="a run's checkpoint.safetensors, its receipt.json and predictions.csv beside it",
        pixels="packed images that it was tested on",
    )
    add_device(parser)
    arguments = parser.parse_args()
    parsed, checkpoint, pixels = read(spec, arguments.spec), arguments.checkpoint, arguments.pixels
    predictions = checkpoint.with_name("predictions.csv")
    inputs = [checkpoint, checkpoint.with_name(RECEIPT), predictions, pixels, pixels.with_suffix(".csv")]
    with (
        stage(name, arguments, inputs, path=arguments.out / RECEIPT) as receipt,
        leased_device(arguments, threads=1) as (device, _),
    ):
        receipt.spec = parsed.model_dump(mode="json")
        receipt.facts["device"] = device.type
        yield Explained(
            spec=parsed,
            receipt=receipt,
            out=arguments.out,
            run="/".join(checkpoint.parts[-5:-1]),
            trained=load_trained(checkpoint),
            predictions=read_table(predictions, {"probability": float}),
            packed=pixels,
            device=device,
        )
