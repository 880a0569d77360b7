"""From the files of a detection data set to checked annotations, and to the table of its images."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from florilegium.config.datasets import Dataset
from florilegium.core.errors import UserError
from florilegium.data.annotated import Annotated, Annotation, BadBox, Part, finite, four_numbers, sift
from florilegium.data.coco import among, find_below, read_coco, read_parts
from florilegium.data.coco_splits import annotation_files
from florilegium.data.frames import Seen, views
from florilegium.data.labels import SPLITS, carve
from florilegium.data.layouts import Index
from florilegium.data.voc import read_voc

Policy = Literal["stop", "drop"]
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


def check(dataset: Dataset, root: Path, paths: Sequence[str], bad_boxes: Policy) -> Checked:
    """Read the annotations of a data set in the layout `coco` or `voc`, and check them against its images.

    Objects that are marked `difficult` become ignored ones, unless the data set says `difficult: keep`:
    evaluation then counts neither their detections nor their absence, as for COCO's crowds. A split without
    annotations of its own is taken from train.

    Raises UserError where `read_coco`, `read_voc` and `sift` do, for images of another size than their
    annotations say, and for too few images to take a split from.
    """
    checked = _checked(dataset, READERS[dataset.layout](dataset, root, paths), root, bad_boxes)
    return replace(checked, annotated=_with_all_splits(checked.annotated, dataset.title or str(root)))


def check_split(dataset: Dataset, root: Path, paths: Sequence[str], split: str, bad_boxes: Policy) -> Checked:
    """The same of one split of a folder in COCO form: its own annotation file alone, or else as training has it.

    Raises UserError as `check` does, and where there is neither.
    """
    if split != "train" and (own := annotation_files(dataset, root, paths, (split,))):
        return _checked(dataset, read_parts(dataset, root, own, among(dataset, root, paths)), root, bad_boxes)
    there = annotation_files(dataset, root, paths)
    if "train" not in there:
        way_out = f"it has {' and '.join(there)}; give another --split" if there else "give the file itself"
        raise UserError(f"{root}: there is no annotation file of the split {split} below it; {way_out}")
    return check(dataset, root, paths, bad_boxes)


def check_file(dataset: Dataset, root: Path, file: str, bad_boxes: Policy) -> Checked:
    """The same of one annotation file `file`, as the split test, with all its images; both are below `root`."""
    files = {SPLITS[-1]: file}
    annotated = read_parts(dataset, root, files, lambda of, path, _: find_below(of, root, path), f"{root}/")
    return _checked(dataset, annotated, root, bad_boxes)


def _checked(dataset: Dataset, annotated: Annotated, root: Path, bad_boxes: Policy) -> Checked:
    parts = {split: _upright(root, part, dataset.drawn_on) for split, part in annotated.parts.items()}
    if dataset.difficult != "keep":
        parts = {split: _ignoring_difficult(part) for split, part in parts.items()}
    return Checked(*sift(replace(annotated, parts=parts), bad_boxes))


def _ignoring_difficult(part: Part) -> Part:
    marked = (replace(a, crowd=True) if a.extra.get("difficult") and not a.crowd else a for a in part.annotations)
    return replace(part, annotations=tuple(marked))


def _upright(root: Path, part: Part, drawn_on: str | None) -> Part:
    """The part with the size of every picture as it is seen, and all boxes in that frame."""
    found, unknown = views(root, part.pictures, drawn_on)
    if unknown:
        why = "cannot be read, and has no width and height; replace it"
        raise UserError(f"{unknown[0].source}: image {unknown[0].path} {why}")
    pictures = (replace(p, width=found[p.id].size[0], height=found[p.id].size[1]) for p in part.pictures)
    boxes = (_turned(annotation, found[annotation.image]) for annotation in part.annotations)
    return replace(part, pictures=tuple(pictures), annotations=tuple(boxes))


def _turned(annotation: Annotation, view: Seen) -> Annotation:
    if view.drawn is None or not four_numbers(annotation.box) or not finite(annotation.box):
        return annotation
    return replace(annotation, box=view.drawn.to_upright(annotation.box))


# Splits


def _with_all_splits(annotated: Annotated, title: str) -> Annotated:
    """The data set with a part of train for each split that is not there."""
    missing = {split: part for split, part in PARTS.items() if split not in annotated.parts}
    if not missing:
        return annotated
    train = annotated.parts["train"]
    if len(train.pictures) <= len(missing):
        raise UserError(
            f"{title}: {len(train.pictures)} images to train on are too few to take {' and '.join(missing)} from them; "
            f"add images, or annotation files for {' and '.join(missing)}"
        )
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
