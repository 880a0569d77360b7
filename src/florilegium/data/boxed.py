"""Images with boxes in memory: the splits of an experiment, files of one's own, and batches on the device."""

import warnings
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from florilegium.config.data import DetectionData
from florilegium.config.pictures import DEFAULT, Pictures
from florilegium.core.errors import UserError
from florilegium.core.files import read_json, write_json
from florilegium.data.augment import InputConfig, scale_and_shift
from florilegium.data.decode import fit, measured, what_it_is
from florilegium.data.load import PARTS, check_not_empty, fits, unseen
from florilegium.data.pack import open_packed, pack_buckets

SPLIT = "test"  # the one split of images that `pack_boxed` packs


@dataclass(frozen=True)
class BoxedImages:
    """N images with their boxes.

    Pixels lie in buckets, one a padded shape, that the splits of a data set share: image n is
    `pixels[bucket[n]][row[n]]`, its content in the upper left corner and zeros beside it. Boxes are
    x1, y1, x2, y2 in pixels of the packed image, in the order of the annotations, without crowds and
    ignored objects. An image may have none.
    """

    pixels: tuple[Tensor, ...]  # uint8 (n_b, H_b, W_b, 3) a bucket, mapped from the file
    bucket: Tensor  # int64 (N,), place in `pixels`
    row: Tensor  # int64 (N,), place in its bucket
    boxes: tuple[Tensor, ...]  # float32 (n_i, 4) an image
    labels: tuple[Tensor, ...]  # int64 (n_i,) an image, place in `BoxedSplits.classes`
    ids: tuple[int, ...]  # COCO image ids
    names: tuple[str, ...]  # paths inside the data set
    scale: Tensor  # float64 (N,), packed pixels an original pixel, of both axes
    sizes: Tensor  # int64 (N, 2), height and width of the original
    content: Tensor  # int64 (N, 2), height and width of the image inside its padding

    def __len__(self) -> int:
        return len(self.ids)

    def padded(self) -> Tensor:
        """Height and width of each image's bucket, int64 (N, 2)."""
        shapes = torch.tensor([tuple(part.shape[1:3]) for part in self.pixels])
        return shapes.reshape(-1, 2)[self.bucket]


@dataclass(frozen=True)
class BoxedSplits:
    """The images that an experiment trains, validates and tests on; a label is an index into `classes`."""

    train: BoxedImages
    val: BoxedImages | None
    test: BoxedImages
    classes: tuple[str, ...]  # in the order of their ids
    category_ids: tuple[int, ...]  # COCO category id of each class


def load_boxed(use: DetectionData, *, pixels: Path, annotations: Path, dropped: Sequence[Path] = ()) -> BoxedSplits:
    """Read the splits that `use` names, of images that have pixels.

    Args:
        pixels: `scenes<packing>.npy`, with its table in the `.csv` beside it.
        annotations: `annotations.json` of the data set.
        dropped: tables of images that training and validation must not see.

    Raises:
        UserError: a split is empty or was published without annotations, two of its images share an
            id, or no box is left to train on.
    """
    store = BoxedStore(pixels, annotations)
    left_out = unseen(use, dropped)
    for key in PARTS:
        for split in set(getattr(use, key)) & set(store.unannotated):
            why = f"the split {split} was published without boxes, so data.{key} cannot name it"
            raise UserError(f"{annotations}: {why}; predictions for it can be made, but not counted")
    train = store.take(use.train, without=left_out, bug=use.boxes == "last_corner")
    val = store.take(use.val, without=left_out)
    test = store.take(use.test)
    check_not_empty(use, annotations, train=train, test=test)
    if not any(len(boxes) for boxes in train.boxes):
        raise UserError(f"{annotations}: no box is left to train on; add some to the training images")
    return BoxedSplits(train, val if len(val) else None, test, store.classes, store.category_ids)


class BoxedStore:
    """The packed images and annotations of a data set, of which any splits can be taken."""

    def __init__(self, pixels: Path, annotations: Path) -> None:
        """Open the files that `load_boxed` describes; pixels are mapped, not read."""
        content = read_json(annotations)
        self.annotations = annotations
        self.splits: dict[str, dict[str, Any]] = content["splits"]
        self.unannotated: list[str] = content["unannotated"]
        self.category_ids = tuple(category["id"] for category in content["categories"])
        self._label = {number: label for label, number in enumerate(self.category_ids)}
        self.classes = tuple(category["name"] for category in content["categories"])
        buckets, self.table = open_packed(pixels)
        self.pixels = tuple(map(read_only, buckets))

    def take(self, splits: Sequence[str], *, without: AbstractSet[str] = frozenset(), bug: bool = False) -> BoxedImages:
        """The images of `splits` that have pixels, by name, but for those of the names `without`.

        `bug` moves the lower right corner of all boxes of an image to that of its last one. Raises UserError if two
        images share an id, since their results could not be distinguished.
        """
        images: dict[str, dict[str, Any]] = {}
        objects: dict[str, list[dict[str, Any]]] = {}
        for split in splits:
            name_of = {image["id"]: image["file_name"] for image in self.splits[split]["images"]}
            images |= {image["file_name"]: image for image in self.splits[split]["images"]}
            objects |= {name: [] for name in name_of.values()}
            for annotation in self.splits[split]["annotations"]:
                objects[name_of[annotation["image_id"]]].append(annotation)
        names = sorted(name for name in images if name in self.table.index and name not in without)
        ids = tuple(images[name]["id"] for name in names)
        if len(set(ids)) < len(ids):
            shared = f"images of the splits {' and '.join(splits)} share ids"
            raise UserError(f"{self.annotations}: {shared}; number them differently to use these splits together")
        rows = self.table.loc[names]
        targets = [self._targets(objects[name], scale, bug) for name, scale in zip(names, rows["scale"], strict=True)]
        return BoxedImages(
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
        """Boxes (n, 4) in packed pixels and labels (n,) of one image, without crowds and ignored objects."""
        counted = [annotation for annotation in objects if not annotation["iscrowd"]]
        boxes = np.array([annotation["bbox"] for annotation in counted], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        if bug and len(boxes):
            boxes[:, 2:] = boxes[-1, 2:]
        labels = [self._label[annotation["category_id"]] for annotation in counted]
        return torch.from_numpy((boxes * scale).astype(np.float32)), torch.tensor(labels, dtype=torch.int64)


def read_only(array: NDArray[np.uint8]) -> Tensor:
    """A mapped array as a tensor, which nobody may write to: that would end the process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


def _integers(columns: pd.Series | pd.DataFrame) -> Tensor:
    return torch.from_numpy(columns.to_numpy(np.int64, copy=True))


def coco_ground_truth(boxed: BoxedImages, annotations: Path) -> dict[str, Any]:
    """The objects of `boxed` in COCO form and original pixels, from the data set's `annotations.json`.

    Every object is as annotated, crowds and ignored ones included, whatever `DetectionData.boxes` makes of the
    training boxes. Annotations are numbered from 1: pycocotools takes the id 0 for no match.
    """
    content = read_json(annotations)
    names = set(boxed.names)
    images, objects = [], []
    for split in content["splits"].values():
        chosen = [image for image in split["images"] if image["file_name"] in names]
        ids = {image["id"] for image in chosen}
        images += chosen
        objects += [annotation for annotation in split["annotations"] if annotation["image_id"] in ids]
    numbered = [annotation | {"id": number} for number, annotation in enumerate(objects, start=1)]
    return {"images": images, "annotations": numbered, "categories": content["categories"]}


def pack_boxed(
    root: Path, content: Mapping[str, Any], data: DetectionData, folder: Path, pictures: Pictures = DEFAULT
) -> tuple[BoxedImages, Path, list[str]]:
    """Pack the image files below `root` that `content`, in COCO form, lists, into the empty `folder`; sizes are those
    of the upright pictures.

    Returns the images by name, the file of their annotations for `coco_ground_truth`, and a sentence for each image
    that cannot be read. Raises UserError if none can be read, or if two share an id.
    """
    sides = (data.short_side, data.long_side)
    fits = {image["file_name"]: fit(image["height"], image["width"], *sides) for image in content["images"]}
    pixels, annotations = folder / "scenes.npy", folder / "annotations.json"
    packed = pack_buckets(root, fits, data.padding, pixels, corrupt="skip", pictures=pictures)
    splits = {SPLIT: {key: content[key] for key in ("images", "annotations")}}
    write_json(annotations, {"categories": content["categories"], "splits": splits, "unannotated": []})
    faults = [f"{root / name}: {reason}" for name, reason in packed.skipped.items()]
    return BoxedStore(pixels, annotations).take([SPLIT]), annotations, faults


def content_of(root: Path, paths: Sequence[Path]) -> tuple[dict[str, Any], list[str]]:
    """Image files below `root`, seen upright, in COCO form without annotations, numbered from 1 in their order; and a
    sentence for each file whose size cannot be read."""
    images, faults = [], []
    for number, path in enumerate(paths, start=1):
        if size := measured(path, upright=True):
            name = path.relative_to(root).as_posix()
            images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        else:
            faults.append(f"{path}: {what_it_is(path)}")
    return {"images": images, "annotations": [], "categories": []}, faults


# Batches


@dataclass(frozen=True)
class BoxedBatch:
    """B images on the host or the device, with their boxes and labels."""

    pixels: Tensor  # uint8 (B, H, W, 3), a copy of its own
    boxes: Tensor  # float32 (B, G, 4); rows of zeros fill up images of fewer objects
    labels: Tensor  # int64 (B, G)
    content: Tensor  # int64 (B, 2) on the host: height and width of each image inside its padding


def place(images: BoxedImages, device: torch.device) -> BoxedImages:
    """`images` with their pixels on the device if they fit there, else as they are."""
    if not fits(images.pixels, device):
        return images
    return replace(images, pixels=tuple(part.to(device) for part in images.pixels))


def gather(images: BoxedImages, index: Tensor) -> BoxedBatch:
    """The images at `index`, int64 (B,) on the host, all padded to the largest of them, where their pixels lie."""
    numbers: list[int] = index.tolist()
    boxes, labels = ([part[n] for n in numbers] for part in (images.boxes, images.labels))
    empty = torch.zeros(0, dtype=torch.int64)
    return BoxedBatch(
        _pixels(images, index), _stacked(boxes, torch.zeros(0, 4)), _stacked(labels, empty), images.content[index]
    )


def send(batch: BoxedBatch, device: torch.device) -> BoxedBatch:
    """The batch on the device."""
    pixels, boxes, labels = (part.to(device, non_blocking=True) for part in (batch.pixels, batch.boxes, batch.labels))
    return replace(batch, pixels=pixels, boxes=boxes, labels=labels)


def flip(batch: BoxedBatch, chosen: Tensor) -> BoxedBatch:
    """Mirror the images where `chosen`, bool (B,) on the host, in place; the padding stays at the right, and the rows
    of zeros among the boxes without area."""
    for number in chosen.nonzero().flatten().tolist():
        width = int(batch.content[number, 1])
        picture = batch.pixels[number, :, :width]
        picture.copy_(picture.flip(1))
    device = batch.boxes.device
    widths = batch.content[:, 1].float().to(device)[:, None]  # (B, 1)
    mirrored = chosen.to(device)[:, None, None]
    return replace(batch, boxes=torch.where(mirrored, flipped(batch.boxes, widths), batch.boxes))


def memory_format(device: torch.device) -> torch.memory_format:
    """The memory format in which a detector is fastest: on CPUs, gradients of wide convolutions over large
    maps take 1.6 times as long in channels-last memory."""
    return torch.contiguous_format if device.type == "cpu" else torch.channels_last


def normalise(batch: BoxedBatch, config: InputConfig) -> Tensor:
    """float32 (B, 3, H, W) in `memory_format`, (value / 255 - mean) / std, and zeros in the padding."""
    count, height, width, _ = batch.pixels.shape
    scale, shift = scale_and_shift(config, width, batch.pixels.device)
    content = batch.content.to(batch.pixels.device)
    rows = torch.arange(height, device=content.device) < content[:, :1]  # (B, H)
    columns = (torch.arange(3 * width, device=content.device) // 3) < content[:, 1:]  # (B, 3 W)
    images = batch.pixels.reshape(count, height, 3 * width).float().mul_(scale).add_(shift)
    images.mul_(rows[:, :, None]).mul_(columns[:, None])
    images = images.view(count, height, width, 3).permute(0, 3, 1, 2)
    return images.contiguous(memory_format=memory_format(images.device))


def flipped(boxes: Tensor, width: Tensor | float) -> Tensor:
    """Boxes (..., 4) in images of `width` pixels that are mirrored left to right."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=-1)


def _pixels(images: BoxedImages, index: Tensor) -> Tensor:
    """The pixels at `index`, uint8 (B, H, W, 3), where they lie: on the host, or on the device that `place` chose."""
    buckets, rows = images.bucket[index], images.row[index]
    used: list[int] = buckets.unique().tolist()
    if len(used) == 1:
        source = images.pixels[used[0]]
        return source[rows.to(source.device)]
    shapes = [images.pixels[bucket].shape[1:3] for bucket in used]
    height, width = (max(sides) for sides in zip(*shapes, strict=True))
    pixels = images.pixels[used[0]].new_zeros(len(index), height, width, 3)
    for number, (bucket, row) in enumerate(zip(buckets.tolist(), rows.tolist(), strict=True)):
        picture = images.pixels[bucket][row]
        pixels[number, : picture.shape[0], : picture.shape[1]] = picture
    return pixels


def _stacked(parts: Sequence[Tensor], empty: Tensor) -> Tensor:
    """(B, most, ...) from B tensors of different lengths, filled up with zeros."""
    return torch.nn.utils.rnn.pad_sequence([*parts, empty], batch_first=True)[:-1]
