"""A trained detector on image files, for `florilegium predict`, `evaluate` and `submit`."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pandas as pd
import torch

from florilegium.config.datasets import Dataset
from florilegium.core.errors import UserError, unknown
from florilegium.core.system import say
from florilegium.core.walk import walk
from florilegium.data.annotated import BadBox
from florilegium.data.annotations import Policy, check_file, check_split
from florilegium.data.boxed import SPLIT, BoxedImages, BoxedStore, coco_ground_truth, content_of, pack_boxed
from florilegium.data.decode import what_it_is
from florilegium.data.frames import Seen, views
from florilegium.evaluation.classify_files import RESOURCES, check_packed, check_reading
from florilegium.evaluation.coco import Coco, Results
from florilegium.evaluation.detection import Answers, detect, suppression
from florilegium.evaluation.submission import find_pictures, folder_of, order, read_test_set
from florilegium.models.trained import TrainedDetector

STOP: Policy = "stop"
DrawnOn = Literal["upright", "stored"] | None
COLUMNS = ["image", "prediction", "probability", "x", "y", "width", "height"]


def answers_of(trained: TrainedDetector, images: BoxedImages, *, least: float | None, device: torch.device) -> Answers:
    """The detections in `images`, with the detector's own category ids; `least` replaces its recipe's least score."""
    rule = suppression(trained.recipe)
    return detect(
        trained.network.to(device),
        images,
        trained.config,
        rule if least is None else replace(rule, score=least),
        category_ids=trained.category_ids,
        device=device,
    )


def as_table(results: Results, images: Mapping[int, str], classes: Mapping[int, str]) -> pd.DataFrame:
    """COCO results as a table of COLUMNS."""
    rows = [(images[line["image_id"]], classes[line["category_id"]], line["score"], *line["bbox"]) for line in results]
    return pd.DataFrame(rows, columns=COLUMNS)


def find_objects(
    trained: TrainedDetector, paths: Sequence[Path], *, least: float, device: torch.device
) -> tuple[pd.DataFrame, list[str]]:
    """All objects of a score above `least`, image by image, the likeliest first.

    Returns:
        A table of COLUMNS with boxes in pixels of the image, and a sentence for each file that cannot be read.
    """
    root = Path(os.path.commonpath([path.resolve().parent for path in paths]))
    content, faults = content_of(root, [path.resolve() for path in paths])
    if not content["images"]:
        return pd.DataFrame(columns=COLUMNS), faults
    with TemporaryDirectory() as folder:
        images, _, unread = pack_boxed(root, content, trained.data, Path(folder), trained.pictures)
        results = answers_of(trained, images, least=least, device=device).results
    names = {number: path.as_posix() for number, path in enumerate(paths, start=1)}
    classes = dict(zip(trained.category_ids, trained.classes, strict=True))
    return as_table(results, names, classes), faults + unread


def submission(
    trained: TrainedDetector, root: Path, annotations: Path, *, drawn_on: str | None, device: torch.device
) -> tuple[list[dict[str, Any]], list[str]]:
    """Detections on the images that a COCO file names, with its image and category ids as they stand there.

    The file needs no annotations and no sizes; its images lie below `root`. Boxes are in the frame that `drawn_on`
    says: upright, or the stored pixels.

    Returns:
        COCO results, sorted as a submission is, and a sentence for each image that cannot be read.

    Raises:
        UserError: it is no COCO file, an image is not there or of another size, or it has other classes.
    """
    file, categories = read_test_set(annotations)
    numbers = {name: number for number, name in categories.names.items()}
    unnamed = [name for name in trained.classes if name not in numbers]
    if unnamed and not numbers.keys() <= set(trained.classes):
        raise unknown("class", unnamed[0], numbers, f"{annotations}: the detector's classes")
    if unnamed:
        say(f"{annotations}: no category is called {', '.join(unnamed)}; detections of these classes are left out")
    pictures = find_pictures(file, root)
    found, unread = views(root, pictures, drawn_on)
    sized = [(picture, found[picture.id].size) for picture in pictures if picture.id in found]
    images = [{"id": p.id, "file_name": p.path, "width": width, "height": height} for p, (width, height) in sized]
    faults = [f"{root / picture.path}: {what_it_is(root / picture.path)}" for picture in unread]
    if not images:
        return [], faults
    with TemporaryDirectory() as folder:
        content = {"images": images, "annotations": [], "categories": []}
        packed, _, undecoded = pack_boxed(root, content, trained.data, Path(folder), trained.pictures)
        results = answers_of(trained, packed, least=None, device=device).results
    given = {image.id: image.given for image in file.images}
    called = dict(zip(trained.category_ids, trained.classes, strict=True))
    ids = {own: categories.given[numbers[name]] for own, name in called.items() if name in numbers}
    lines = [
        line
        | {"image_id": given[line["image_id"]], "category_id": ids[line["category_id"]]}
        | {"bbox": _in_frame_of(found[line["image_id"]], line["bbox"])}
        for line in results
        if line["category_id"] in ids
    ]
    return sorted(lines, key=lambda line: order(line["image_id"])), faults + undecoded


def _in_frame_of(view: Seen, box: list[float]) -> list[float]:
    """A box of the upright picture in the frame of its annotations."""
    return box if view.drawn is None else [round(value, 2) for value in view.drawn.to_stored(box)]


# Annotated images


@dataclass(frozen=True)
class AnnotatedImages:
    """Images, their objects in COCO form with the detector's category ids, and unreadable files."""

    images: BoxedImages
    truth: Coco
    faults: list[str]
    bad: Sequence[BadBox] = ()  # boxes that were left out
    origin: str = ""  # the file that a folder's split was read from, and where its splits come from


@contextmanager
def annotated(
    dataset: str, split: str, trained: TrainedDetector, *, bad_boxes: Policy | None = None, drawn_on: DrawnOn = None
) -> Iterator[AnnotatedImages]:
    """The images of `dataset`: a COCO file with all its images, the `split` of a folder in COCO layout, or of
    a data set that the workflow has packed.

    Raises:
        UserError: there is neither, the split has no annotations, a class is none of the detector's, or what is wrong
            with annotations in training.
    """
    place = Path(dataset)
    if place.is_file() or place.suffix.lower() == ".json":
        root = folder_of(place)
        own, file = _own(root, drawn_on), place.absolute().relative_to(root.absolute()).as_posix()
        checked = check_file(own, root, file, bad_boxes or STOP)
        split = SPLIT
    elif place.is_dir():
        root = place
        checked = check_split(_own(root, drawn_on), root, walk(root).files, split, bad_boxes or STOP)
    else:
        packed = _packed(dataset, split, trained)
        if bad_boxes or drawn_on:
            way_out = "with bad_boxes and drawn_on of its own, so leave --bad-boxes and --drawn-on out"
            raise UserError(f"{dataset}: is a data set that the workflow has packed, {way_out}")
        yield packed
        return
    content = checked.content()
    if place.is_file() and content["unannotated"]:
        raise UserError(f"{dataset}: there are no annotations in it to measure against; `submit` detects without any")
    _check_annotated(split, content["unannotated"], dataset)
    sources = sorted({picture.source for picture in checked.annotated.parts[split].pictures})
    origin = "" if place.is_file() else f"of {', '.join(sources)} ({checked.annotated.origin})"
    with TemporaryDirectory() as folder:
        chosen = content["splits"][split] | {"categories": content["categories"]}
        images, annotations, faults = pack_boxed(root, chosen, trained.data, Path(folder), trained.pictures)
        truth = _in_terms_of(coco_ground_truth(images, annotations), trained, dataset)
        yield AnnotatedImages(images, truth, faults, checked.bad, origin)


def _own(root: Path, drawn_on: DrawnOn) -> Dataset:
    return Dataset(title=str(root), layout="coco", folder=str(root), drawn_on=drawn_on)


def _check_annotated(split: str, unannotated: Sequence[str], where: str) -> None:
    if split in unannotated:
        raise UserError(f"{where}: the split {split} has no annotations to measure against; give another --split")


def _packed(name: str, split: str, trained: TrainedDetector) -> AnnotatedImages:
    """A split of a data set in `resources/`, packed as the detector's own images were."""
    annotations = RESOURCES / name / "annotations.json"
    pixels = RESOURCES / name / f"scenes{trained.data.packing}.npy"
    check_packed(name, [annotations, pixels], "folder or COCO file")
    check_reading(pixels, trained.pictures)
    store = BoxedStore(pixels, annotations)
    _check_annotated(split, store.unannotated, name)
    images = store.take([split])
    if not len(images):
        raise UserError(f"{annotations}: no image is in the split '{split}'; give another --split")
    return AnnotatedImages(images, _in_terms_of(coco_ground_truth(images, annotations), trained, name), [])


def _in_terms_of(truth: Coco, trained: TrainedDetector, where: str) -> Coco:
    """`truth` with the detector's category ids, by the names of classes."""
    own = dict(zip(trained.classes, trained.category_ids, strict=True))
    names = {category["id"]: category["name"] for category in truth["categories"]}
    foreign = sorted(set(names.values()) - own.keys())
    if foreign:
        raise UserError(
            f"{where}: class '{foreign[0]}' is none of the {len(own)} that the checkpoint was trained on "
            f"({', '.join(own)}); rename the categories, or give the data set that it belongs to"
        )
    return {
        "images": truth["images"],
        "annotations": [a | {"category_id": own[names[a["category_id"]]]} for a in truth["annotations"]],
        "categories": [{"id": number, "name": name} for name, number in own.items()],
    }
