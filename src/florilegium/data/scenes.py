"""Packed pictures with their boxes, read as the tensors that a detection experiment uses."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from florilegium.core.detection import DetectionData


@dataclass(frozen=True)
class Scenes:
    """N pictures with the boxes in them.

    Pixels lie in buckets, one a padded shape, that the splits of a data set share: the picture n is
    `pixels[bucket[n]][row[n]]`, its content in the upper left corner and zeros beside it. Boxes are
    x1, y1, x2, y2 in pixels of the packed picture, in the order of the annotations; crowds and ignored
    objects are not among them. An image may have none.
    """

    pixels: tuple[Tensor, ...]  # uint8 (n_b, H_b, W_b, 3) a bucket, mapped from the file
    bucket: Tensor  # int64 (N,), place in `pixels`
    row: Tensor  # int64 (N,), place in its bucket
    boxes: tuple[Tensor, ...]  # float32 (n_i, 4) an image
    labels: tuple[Tensor, ...]  # int64 (n_i,) an image, place in `SceneSplits.classes`
    ids: tuple[int, ...]  # COCO image ids
    names: tuple[str, ...]  # paths inside the data set
    scale: Tensor  # float64 (N,), packed pixels an original pixel, of both axes
    sizes: Tensor  # int64 (N, 2), height and width of the original
    content: Tensor  # int64 (N, 2), height and width of the picture inside its padding

    def __len__(self) -> int:
        return len(self.ids)

    def padded(self) -> Tensor:
        """Height and width of each picture's bucket, int64 (N, 2)."""
        shapes = torch.tensor([tuple(part.shape[1:3]) for part in self.pixels])
        return shapes.reshape(-1, 2)[self.bucket]


@dataclass(frozen=True)
class SceneSplits:
    """What an experiment trains, validates and tests on; a label is a place in `classes`."""

    train: Scenes
    val: Scenes | None
    test: Scenes
    classes: tuple[str, ...]  # in the order of their ids
    category_ids: tuple[int, ...]  # COCO category id of each class


def load_scenes(
    use: DetectionData, *, pixels: Path, annotations: Path, dropped: Sequence[Path] = ()
) -> SceneSplits:
    """Read the splits that `use` names.

    Args:
        pixels: `scenes<packing>.npy`, with its table in the `.csv` beside it. Images that were skipped
            as corrupt have no pixels and are left out.
        annotations: `annotations.json` of the data set.
        dropped: tables of images that training and validation must not see.

    Raises:
        UserError: a split is empty or was published without annotations, two of its images share an
            id, or no box is left to train on.
    """
    raise NotImplementedError


def coco_ground_truth(scenes: Scenes, annotations: Path) -> dict[str, Any]:
    """What `scenes` show, in COCO form and original pixels, crowds and ignored objects included.

    Every object is as annotated, whatever `DetectionData.boxes` makes of the training boxes.
    Annotations are numbered from 1: pycocotools takes the id 0 for no match.

    Args:
        annotations: `annotations.json` of the data set.
    """
    raise NotImplementedError
