"""A rendered set of pictures with boxes, in COCO form, whose training pictures show some test pictures.

It stands in for the detection data. Some test and validation pictures are in the training split again,
encoded, exposed or mirrored differently, with their boxes, as happens where a set is gathered twice. What is
planted is known by construction, so that an audit can be held against it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florilegium.core.errors import UserError
from florilegium.core.files import write_json
from florilegium.core.progress import bar
from florilegium.core.sources import Rendering
from florilegium.data.copies import ORIGINAL, TAKEN
from florilegium.data.scene import SUPERSAMPLING
from florilegium.rendering import png
from florilegium.rendering.objects import NAMES, Drawn, draw

SIZES = range(64, 513)
SPLIT_PARTS = {"train": 4, "val": 1, "test": 1}
AGAIN = {"val": 9, "test": 4}  # every so many pictures of a split is in train again
COPIES = ("mirrored", "encoded", "brighter")  # those that keep the size of a picture
BEGINNING = {"train": 1, "val": 100_001, "test": 200_001}  # first image id


@dataclass(frozen=True)
class Shot:
    """One file: what it shows and how it was taken."""

    image: str  # path inside the data set
    seed: str  # of what it shows
    first: str  # class of its first object
    taken: str = ORIGINAL  # a key of TAKEN


def render(rendering: Rendering, folder: Path) -> list[str]:
    """Draw every image of `rendering` below `folder`, and an annotation file a split; all paths, sorted.

    Raises UserError for a size at which the objects cannot be told apart, or that takes too long.
    """
    if rendering.size not in SIZES:
        raise UserError(
            f"{rendering.scene}: rendered.size = {rendering.size} cannot be drawn; give {SIZES[0]} to {SIZES[-1]}"
        )
    paths = []
    for split, planned in shots(rendering).items():
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, shot in enumerate(bar(planned, "drawing", "image"), start=BEGINNING[split]):
            canvas, drawn = draw(shot.seed, shot.first, rendering.size)
            pixels = TAKEN[shot.taken](canvas, shot.image)
            (folder / shot.image).parent.mkdir(parents=True, exist_ok=True)
            (folder / shot.image).write_bytes(png.encode(pixels))
            height, width, _ = pixels.shape
            images.append({"id": number, "file_name": shot.image, "width": width, "height": height})
            annotations += [
                {"id": len(annotations) + i, "image_id": number, **_annotation(found, shot.taken, width)}
                for i, found in enumerate(drawn, start=1)
            ]
        categories = [{"id": i, "name": name} for i, name in enumerate(NAMES, start=1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_json(folder / f"{split}.json", content)
        paths += [f"{split}.json", *(shot.image for shot in planned)]
    return sorted(paths)


def shots(rendering: Rendering) -> dict[str, list[Shot]]:
    """All files of `rendering` by split; those that are there again come last in train."""
    total = rendering.per_class * len(NAMES)
    found = {}
    for split, part in SPLIT_PARTS.items():
        count = total * part // sum(SPLIT_PARTS.values())
        found[split] = [
            Shot(_path(split, i), f"{rendering.seed}/objects/{split}/{i}", NAMES[i % len(NAMES)])
            for i in range(count)
        ]
    for shown in [shot for split, every in AGAIN.items() for shot in found[split][::every]]:
        number = len(found["train"])
        copy = COPIES[number % len(COPIES)]
        found["train"].append(Shot(_path("train", number), shown.seed, shown.first, copy))
    return found


def _annotation(drawn: Drawn, taken: str, width: int) -> dict[str, Any]:
    """An object as COCO has it, in pixels of the file."""
    left, top, right, bottom = (edge / SUPERSAMPLING for edge in drawn.box)
    if taken == "mirrored":
        left, right = width - right, width - left
    box = [left, top, right - left, bottom - top]
    return {"category_id": NAMES.index(drawn.name) + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}


def _path(split: str, number: int) -> str:
    return f"images/{split}/{number:04d}.png"
