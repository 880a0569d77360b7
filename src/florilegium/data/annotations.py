"""From the files of a detection data set to checked annotations, and to the table of its images."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from florilegium.config.data import Dataset
from florilegium.core.errors import UserError
from florilegium.core.system import bar
from florilegium.data.annotated import Annotated, Annotation, BadBox, Part, sift
from florilegium.data.coco import read_coco
from florilegium.data.decode import measured
from florilegium.data.labels import SPLITS, carve
from florilegium.data.layouts import Index
from florilegium.data.voc import read_voc

READERS = {"coco": read_coco, "voc": read_voc}
PARTS = {"val": 0.15, "test": 0.15}  # of the training images, where a split has no annotation file
OWN = "the project's own, seeded"
NO_BOX = "scene"  # the class of an image without boxes, in the table of images


@dataclass(frozen=True)
class Checked:
    """A data set with checked annotations."""

    annotated: Annotated
    bad: list[BadBox]  # those that were removed
    n_cut: int  # boxes that were cut at the edges of their images

    def content(self) -> dict[str, Any]:
        """The content of `annotations.json`: a COCO-form dictionary a split, in original pixels."""
        parts = self.annotated.parts
        return {
            "categories": [{"id": number, "name": name} for number, name in self._present().items()],
            "splits": {split: _coco(part) for split, part in parts.items()},
            "unannotated": [split for split, part in parts.items() if not part.annotated],
        }

    def index(self) -> Index:
        """The table of images; an image's class is the category of its largest box."""
        categories, present = self.annotated.categories, self._present()
        rows = []
        for split, part in self.annotated.parts.items():
            largest: dict[int, Annotation] = {}
            for annotation in part.annotations:
                if _area(annotation) > _area(largest.setdefault(annotation.image, annotation)):
                    largest[annotation.image] = annotation
            names = {image: categories[annotation.category] for image, annotation in largest.items()}
            rows += [(picture.path, names.get(picture.id, NO_BOX), split) for picture in part.pictures]
        absent = tuple(name for number, name in categories.items() if number not in present)
        return Index(tuple(sorted(rows)), tuple(present.values()), absent, self.annotated.origin, words={})

    def counts(self) -> dict[str, int]:
        """Boxes of each kind, for receipts and reports."""
        objects = [a for part in self.annotated.parts.values() for a in part.annotations]
        return {
            "n_boxes": sum(not a.crowd for a in objects),
            "n_ignored": sum(a.crowd for a in objects),
            "n_bad_boxes": len(self.bad),
            "n_cut_boxes": self.n_cut,
        }

    def _present(self) -> dict[int, str]:
        """The categories that have an object."""
        used = {a.category for part in self.annotated.parts.values() for a in part.annotations}
        return {number: name for number, name in self.annotated.categories.items() if number in used}


def check(dataset: Dataset, root: Path, paths: Sequence[str], bad_boxes: Literal["stop", "drop"]) -> Checked:
    """Read the annotations of a data set in the layout `coco` or `voc`, and check them against its images.

    Objects that are marked `difficult` become ignored ones, unless the data set says `difficult: keep`:
    evaluation then counts neither their detections nor their absence, as for COCO's crowds. A split without
    annotations of its own is taken from train.

    Raises UserError where `read_coco`, `read_voc` and `sift` do, for images of another size than their
    annotations say, and for too few images to take a split from.
    """
    annotated = READERS[dataset.layout](dataset, root, paths)
    parts = {split: _with_sizes(root, part) for split, part in annotated.parts.items()}
    if dataset.difficult != "keep":
        parts = {split: _ignoring_difficult(part) for split, part in parts.items()}
    sifted, bad, n_cut = sift(replace(annotated, parts=parts), bad_boxes)
    return Checked(_with_all_splits(sifted, dataset.title), bad, n_cut)


def _ignoring_difficult(part: Part) -> Part:
    marked = (replace(a, crowd=a.crowd or bool(a.extra.get("difficult"))) for a in part.annotations)
    return replace(part, annotations=tuple(marked))


def _with_sizes(root: Path, part: Part) -> Part:
    """The part with the size of every picture; stated sizes are those of the files, as stored or upright."""
    pictures, wrong = [], []
    for picture in bar(part.pictures, "measuring", "image"):
        stated, stored = (picture.width, picture.height), measured(root / picture.path)
        if None in stated:
            if stored is None:
                why = "cannot be read, and has no width and height; replace it"
                raise UserError(f"{picture.source}: image {picture.path} {why}")
            stated = stored
        elif stored not in (None, stated) and measured(root / picture.path, upright=True) != stated:
            wrong.append((picture, stored))
        pictures.append(replace(picture, width=stated[0], height=stated[1]))
    if wrong:
        picture, size = wrong[0]
        count = f"{len(wrong)} of {len(part.pictures)} images have another size than it says"
        first = f"{picture.path}, {size[0]} x {size[1]} in place of {picture.width} x {picture.height}"
        way_out = "its boxes would be wrong, use the images that were annotated"
        raise UserError(f"{picture.source}: {count}, first {first}; {way_out}")
    return replace(part, pictures=tuple(pictures))


def _with_all_splits(annotated: Annotated, title: str) -> Annotated:
    """The data set with a part of train for each split that is not there."""
    missing = {split: part for split, part in PARTS.items() if split not in annotated.parts}
    if not missing:
        return annotated
    train = annotated.parts["train"]
    assigned = carve({picture.path: NO_BOX for picture in train.pictures}, missing, where=title)
    parts = {split: part for split, part in annotated.parts.items() if split != "train"}
    for split in ("train", *missing):
        pictures = tuple(picture for picture in train.pictures if assigned[picture.path] == split)
        ids = {picture.id for picture in pictures}
        parts[split] = Part(pictures, tuple(a for a in train.annotations if a.image in ids))
    origin = f"{annotated.origin}; {' and '.join(missing)} {OWN}"
    return replace(annotated, parts={split: parts[split] for split in SPLITS}, origin=origin)


def _area(annotation: Annotation) -> float:
    return float(annotation.box[2] * annotation.box[3])


def _coco(part: Part) -> dict[str, Any]:
    by_image: dict[int, list[Annotation]] = defaultdict(list)
    for annotation in part.annotations:
        by_image[annotation.image].append(annotation)
    pictures = sorted(part.pictures, key=lambda picture: picture.path)
    return {
        "images": [{"id": p.id, "file_name": p.path, "width": p.width, "height": p.height} for p in pictures],
        "annotations": [_object(a) for p in pictures for a in by_image[p.id]],
    }


def _object(annotation: Annotation) -> dict[str, Any]:
    return {
        "id": annotation.id,
        "image_id": annotation.image,
        "category_id": annotation.category,
        "bbox": annotation.box,
        "area": _area(annotation) if annotation.area is None else annotation.area,
        "iscrowd": int(annotation.crowd),
        **annotation.extra,
    }
