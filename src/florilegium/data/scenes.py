"""Packed pictures with their boxes, read as the tensors that a detection experiment uses."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from florilegium.core.detection import DetectionData
from florilegium.core.errors import UserError
from florilegium.core.files import read_json
from florilegium.data.buckets import open_buckets


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
    store = SceneStore(pixels, annotations)
    unseen = {name for path in dropped for name in pd.read_csv(path, dtype=str)["image"]}
    for key in ("train", "val", "test"):
        for split in set(getattr(use, key)) & set(store.unannotated):
            raise UserError(
                f"{annotations}: the split {split} was published without boxes, so data.{key} cannot name it; "
                "predictions for it can be made, but not counted"
            )
    train = store.take(use.train, without=unseen, bug=use.boxes == "last_corner")
    val = store.take(use.val, without=unseen)
    test = store.take(use.test)
    for key, part in (("train", train), ("test", test)):
        if not len(part):
            wanted = ", ".join(getattr(use, key)) or "none"
            raise UserError(
                f"{annotations}: no image is left to {key} on; data.{key} names the splits: {wanted}"
            )
    if not any(len(boxes) for boxes in train.boxes):
        raise UserError(f"{annotations}: no box is left to train on; add some to the training images")
    return SceneSplits(train, val if len(val) else None, test, store.classes, store.category_ids)


class SceneStore:
    """The packed pictures and annotations of a data set, of which any splits can be taken."""

    def __init__(self, pixels: Path, annotations: Path) -> None:
        """Open what `load_scenes` describes; pixels are mapped, not read."""
        content = read_json(annotations)
        self.annotations = annotations
        self.splits: dict[str, dict[str, Any]] = content["splits"]
        self.unannotated: list[str] = content["unannotated"]
        self.category_ids = tuple(category["id"] for category in content["categories"])
        self.classes = tuple(category["name"] for category in content["categories"])
        table = pd.read_csv(pixels.with_suffix(".csv"), dtype={"image": str}, keep_default_na=False)
        self.table = table.set_index("image")
        self.pixels = tuple(map(torch.from_numpy, open_buckets(pixels, table)))

    def take(
        self, splits: Sequence[str], *, without: AbstractSet[str] = frozenset(), bug: bool = False
    ) -> Scenes:
        """The images of `splits` that have pixels, by name.

        Args:
            without: names of images to leave out.
            bug: move the lower right corner of all boxes of an image to that of its last one.

        Raises:
            UserError: two of the images share an id, since their results could not be told apart.
        """
        images: dict[str, dict[str, Any]] = {}
        objects: dict[str, list[dict[str, Any]]] = {}
        for split in splits:
            names = {image["id"]: image["file_name"] for image in self.splits[split]["images"]}
            objects |= {name: [] for name in names.values()}
            images |= {image["file_name"]: image for image in self.splits[split]["images"]}
            for annotation in self.splits[split]["annotations"]:
                objects[names[annotation["image_id"]]].append(annotation)
        names = sorted(name for name in images if name in self.table.index and name not in without)
        ids = tuple(images[name]["id"] for name in names)
        if len(set(ids)) < len(ids):
            raise UserError(
                f"{self.annotations}: images of the splits {' and '.join(splits)} share ids; number them "
                "differently to use these splits together"
            )
        rows = self.table.loc[names]
        targets = [
            self._targets(objects[name], scale, bug) for name, scale in zip(names, rows["scale"], strict=True)
        ]
        return Scenes(
            pixels=self.pixels,
            bucket=_integers(rows["bucket"]),
            row=_integers(rows["row"]),
            boxes=tuple(boxes for boxes, _ in targets),
            labels=tuple(labels for _, labels in targets),
            ids=ids,
            names=tuple(names),
            scale=torch.from_numpy(rows["scale"].to_numpy(np.float64, copy=True)),
            sizes=_integers(rows[["original_height", "original_width"]]),
            content=_integers(rows[["height", "width"]]),
        )

    def _targets(self, objects: list[dict[str, Any]], scale: float, bug: bool) -> tuple[Tensor, Tensor]:
        """Boxes (n, 4) in packed pixels and labels (n,) of one image, without what is ignored."""
        counted = [found for found in objects if not found["iscrowd"]]
        boxes = np.array([found["bbox"] for found in counted], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        if bug and len(boxes):
            boxes[:, 2:] = boxes[-1, 2:]
        labels = [self.category_ids.index(found["category_id"]) for found in counted]
        return torch.from_numpy((boxes * scale).astype(np.float32)), torch.tensor(labels, dtype=torch.int64)


def coco_ground_truth(scenes: Scenes, annotations: Path) -> dict[str, Any]:
    """What `scenes` show, in COCO form and original pixels, crowds and ignored objects included.

    Every object is as annotated, whatever `DetectionData.boxes` makes of the training boxes.
    Annotations are numbered from 1: pycocotools takes the id 0 for no match.

    Args:
        annotations: `annotations.json` of the data set.
    """
    content = read_json(annotations)
    wanted = set(scenes.names)
    images: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    for split in content["splits"].values():
        chosen = [image for image in split["images"] if image["file_name"] in wanted]
        ids = {image["id"] for image in chosen}
        images += chosen
        objects += [found for found in split["annotations"] if found["image_id"] in ids]
    numbered = [found | {"id": number} for number, found in enumerate(objects, start=1)]
    return {"images": images, "annotations": numbered, "categories": content["categories"]}


def _integers(columns: pd.Series | pd.DataFrame) -> Tensor:
    return torch.from_numpy(columns.to_numpy(np.int64, copy=True))
