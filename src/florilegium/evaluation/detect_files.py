"""A trained detector on image files, for `florilegium predict`, `evaluate` and `submit`."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch

from florilegium.config.data import Dataset
from florilegium.core.errors import UserError, unknown
from florilegium.core.files import read_json
from florilegium.core.walk import walk
from florilegium.data.annotations import check
from florilegium.data.boxed import BoxedImages, BoxedStore, coco_ground_truth, content_of, pack_boxed
from florilegium.evaluation.classify_files import RESOURCES, check_packed
from florilegium.evaluation.coco import Coco, Results
from florilegium.evaluation.detection import Answers, detect, suppression
from florilegium.models.trained import TrainedDetector

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
    trained: TrainedDetector, root: Path, annotations: Path, *, device: torch.device
) -> tuple[list[dict[str, Any]], list[str]]:
    """Detections on the images that a COCO file names, with its image and category ids.

    The file needs no annotations and no sizes; its images lie at their file_name below `root`.

    Returns:
        COCO results, sorted as a submission is, and a sentence for each image that cannot be read.

    Raises:
        UserError: it is no COCO file, an image is not there, or it has other classes.
    """
    content = read_json(annotations)
    try:
        names = {image["id"]: image["file_name"] for image in content["images"]}
        ids = {category["name"]: category["id"] for category in content["categories"]}
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{annotations}: is no COCO file ({error} is missing or of another kind); it needs images with id "
            "and file_name, and categories with id and name"
        ) from None
    absent = [name for name in names.values() if not (root / name).is_file()]
    if absent:
        raise UserError(
            f"{annotations}: {len(absent)} of {len(names)} images are not below {root}, first '{absent[0]}'; "
            "give the folder that file_name starts from"
        )
    for name in trained.classes:
        if name not in ids:
            raise unknown("class", name, ids, f"{annotations}: the detector's classes")
    measured, faults = content_of(root, [root / name for name in names.values()])
    numbers = dict(enumerate(names, start=1))
    entries = [image | {"id": numbers[image["id"]]} for image in measured["images"]]
    with TemporaryDirectory() as folder:
        images, _, unread = pack_boxed(
            root, measured | {"images": entries}, trained.data, Path(folder), trained.pictures
        )
        renumbered = replace(trained, category_ids=tuple(ids[name] for name in trained.classes))
        return answers_of(renumbered, images, least=None, device=device).results, faults + unread


# Annotated images


@dataclass(frozen=True)
class AnnotatedImages:
    """Images, their objects in COCO form with the detector's category ids, and unreadable files."""

    images: BoxedImages
    truth: Coco
    faults: list[str]


@contextmanager
def annotated(dataset: str, split: str, trained: TrainedDetector) -> Iterator[AnnotatedImages]:
    """The images of `dataset`: a COCO file with all its images, the `split` of a folder in COCO layout, or of
    a data set that the workflow has packed.

    Raises:
        UserError: there is neither, the split has no annotations, or a class is none of the detector's.
    """
    place = Path(dataset)
    if place.suffix == ".json" and place.is_file():
        root = place.parent
        content = _content(Dataset(layout="coco", folder=str(root), annotations={"train": place.name}), root)
        parts = content["splits"].values()  # carved from the one file, to be joined again
        chosen = {key: [entry for part in parts for entry in part[key]] for key in ("images", "annotations")}
    elif place.is_dir():
        root = place
        content = _content(Dataset(layout="coco", folder=dataset), root)
        _check_annotated(split, content["unannotated"], dataset)
        chosen = content["splits"][split]
    else:
        yield _packed(dataset, split, trained)
        return
    with TemporaryDirectory() as folder:
        chosen = chosen | {"categories": content["categories"]}
        images, annotations, faults = pack_boxed(root, chosen, trained.data, Path(folder), trained.pictures)
        truth = _in_terms_of(coco_ground_truth(images, annotations), trained, dataset)
        yield AnnotatedImages(images, truth, faults)


def _content(source: Dataset, root: Path) -> dict[str, Any]:
    return check(source, root, walk(root).files, "drop").content()


def _check_annotated(split: str, unannotated: Sequence[str], where: str) -> None:
    if split in unannotated:
        raise UserError(f"{where}: the split {split} has no annotations to measure against; give another --split")


def _packed(name: str, split: str, trained: TrainedDetector) -> AnnotatedImages:
    """A split of a data set in `resources/`, packed as the detector's own images were."""
    annotations = RESOURCES / name / "annotations.json"
    pixels = RESOURCES / name / f"scenes{trained.data.packing}.npy"
    check_packed(name, [annotations, pixels], "folder or COCO file")
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
