"""Our detector in training, as a benchmark measures it: whole, or without one of the parts that make it fast."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from florilegium.config.data import DetectionData, Model
from florilegium.config.recipes import DetectionRecipe
from florilegium.data import boxed
from florilegium.data.boxed import BoxedBatch, BoxedImages, pack_boxed
from florilegium.models import registry
from florilegium.models.retinanet import Matched, anchors_of, match
from florilegium.training.detection import Detection, batches_of, normalisers
from florilegium.training.learner import Learner

OTHER_MEMORY, ONE_BY_ONE = "in the other memory format", "targets image by image"


@dataclass(frozen=True)
class Photographs:
    """The same images for both sides: ours packed, the published code's as files in its own layout."""

    scenes: BoxedImages
    packed: Path  # folder of scenes.npy and annotations.json
    truth: dict[str, Any]  # COCO, of these images
    root: Path  # <root>/train.json and <root>/images/train/<file_name>
    seconds_packing: float


def photographs(folder: Path, count: int, short_side: int, work: Path) -> Photographs:
    """The first images of FOLDER's train.json that show something, by name, packed into the folder `work`."""
    content = json.loads((folder / "train.json").read_text(encoding="utf-8"))
    shown = {found["image_id"] for found in content["annotations"]}
    images = sorted((i for i in content["images"] if i["id"] in shown), key=lambda image: str(image["file_name"]))[
        :count
    ]
    ids = {image["id"] for image in images}
    objects = [
        {"iscrowd": 0, **found, "id": number}
        for number, found in enumerate((o for o in content["annotations"] if o["image_id"] in ids), start=1)
    ]
    truth = {"images": images, "annotations": objects, "categories": content["categories"]}
    within = folder if (folder / images[0]["file_name"]).is_file() else folder / "images"
    (work / "images").mkdir()
    (work / "images" / "train").symlink_to(within.resolve(), target_is_directory=True)
    (work / "train.json").write_text(json.dumps(truth), encoding="utf-8")
    packed = work / "packed"
    packed.mkdir()
    data = DetectionData(dataset="photographs", short_side=short_side, long_side=longest(short_side))
    started = time.perf_counter()
    scenes, _, _ = pack_boxed(within, truth, data, packed)
    return Photographs(scenes, packed, truth, work, time.perf_counter() - started)


def longest(short_side: int) -> int:
    """The longest side as the study has it: 1,024 for 608."""
    return short_side * 1024 // 608


class ImageByImage(Detection):
    """Targets without batching: anchors made anew in every step, and each image matched by itself."""

    def match(self, batch: BoxedBatch, anchors: Tensor) -> tuple[Matched, Tensor]:
        found = []
        for boxes, labels in zip(batch.boxes, batch.labels, strict=True):
            anchors = anchors_of.__wrapped__(self.anchors, *batch.pixels.shape[1:3], anchors.device)
            there = (boxes[:, 2] > boxes[:, 0]).nonzero().flatten()  # the host waits here for the device
            own = (boxes[there][None], labels[there][None])
            found.append(match(*own, anchors, low_quality=self.recipe.low_quality_matches))
        matched = Matched(torch.cat([m.labels for m in found]), torch.cat([m.deltas for m in found]))
        return matched, 1 / normalisers(matched, self.recipe.normaliser)


@dataclass
class Ours:
    """A network of ours and the photographs that it learns from; made when it is first asked."""

    depth: int
    recipe: DetectionRecipe
    change: str
    photos: Photographs
    device: torch.device

    @cached_property
    def scenes(self) -> BoxedImages:
        return boxed.place(self.photos.scenes, self.device)

    @property
    def model(self) -> Model:
        return Model(name=f"retinanet_resnet{self.depth}")

    @cached_property
    def learner(self) -> Learner:
        torch.manual_seed(0)
        network = registry.build(self.model, len(self.photos.truth["categories"]))
        kind = ImageByImage if self.change == ONE_BY_ONE else Detection
        objective = kind(self.recipe, registry.own_input(self.model), network.arguments.anchors)
        return Learner(network, self.recipe, objective, self.device, self.memory_format)

    @cached_property
    def memory_format(self) -> torch.memory_format:
        own = boxed.memory_format(self.device)
        if self.change != OTHER_MEMORY:
            return own
        return torch.contiguous_format if own == torch.channels_last else torch.channels_last

    @cached_property
    def batches(self) -> Iterator[Tensor]:
        of = batches_of(self.photos.scenes, self.recipe, 0)
        return (index for epoch in itertools.count() for index in of(epoch))

    def learn(self, images: int) -> None:
        """Train on so many images."""
        learner, memory = self.learner, self.memory_format
        with patch.object(boxed, "memory_format", lambda _: memory):
            learner.network.train()
            for _ in range(images // self.recipe.batch_size):
                index = next(self.batches)
                batch = boxed.gather(self.scenes, index, self.device)
                learner.step(batch, len(index), self.recipe.base_lr)


def ours(depth: int, batch: int, precision: str, change: str, photos: Photographs, device: torch.device) -> Ours:
    values = {"optimizer": "adam", "lr": 1e-4, "clip_norm": 0.1, "drop_last": True}
    recipe = DetectionRecipe(epochs=1, batch_size=batch, precision=precision, **values)
    return Ours(depth, recipe, change, photos, device)


def rate(
    run: Callable[[], object], images: int, device: torch.device, before: Callable[[], object] = lambda: None
) -> Callable[[], float]:
    """Images per second of a block that handles `images`, after what is done `before` it, untimed."""

    def block() -> float:
        before()
        return images / seconds(run, device)

    return block


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Seconds that `run` takes; on a GPU between two events, from an idle device until it is idle again."""
    if device.type != "cuda":
        started = time.perf_counter()
        run()
        return time.perf_counter() - started
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    begin.record()
    run()
    end.record()
    torch.cuda.synchronize(device)
    return begin.elapsed_time(end) / 1000
