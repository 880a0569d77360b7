"""A trained detector's detections in image files, and in the test set of a competition."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch

from florilegium.core.errors import UserError, unknown
from florilegium.core.files import read_json
from florilegium.data.boxed import BoxedImages, content_of, pack_boxed
from florilegium.evaluation.coco import Results
from florilegium.evaluation.detector import Answers, detect
from florilegium.evaluation.suppression import suppression
from florilegium.models.trained import TrainedDetector

COLUMNS = ["image", "prediction", "probability", "x", "y", "width", "height"]


def answers_of(
    trained: TrainedDetector, scenes: BoxedImages, *, least: float | None, device: torch.device
) -> Answers:
    """The detections in `scenes`, with the detector's own category ids; `least` replaces its recipe's least score."""
    rule = suppression(trained.recipe)
    return detect(
        trained.network.to(device),
        scenes,
        trained.config,
        rule if least is None else replace(rule, score=least),
        category_ids=trained.category_ids,
        device=device,
    )


def find_objects(
    trained: TrainedDetector, paths: Sequence[Path], *, least: float, device: torch.device
) -> tuple[pd.DataFrame, list[str]]:
    """All objects of a score above `least`, image by image, the likeliest first.

    Returns:
        A table of COLUMNS with boxes in pixels of the image, and a sentence for each file that cannot be
        read.
    """
    root = Path(os.path.commonpath([path.resolve().parent for path in paths]))
    content, faults = content_of(root, [path.resolve() for path in paths])
    if not content["images"]:
        return pd.DataFrame(columns=COLUMNS), faults
    with TemporaryDirectory() as folder:
        scenes, _, unread = pack_boxed(root, content, trained.data, Path(folder))
        results = answers_of(trained, scenes, least=least, device=device).results
    images = {number: path.as_posix() for number, path in enumerate(paths, start=1)}
    classes = dict(zip(trained.category_ids, trained.classes, strict=True))
    return as_table(results, images, classes), faults + unread


def as_table(results: Results, images: Mapping[int, str], classes: Mapping[int, str]) -> pd.DataFrame:
    """COCO results as a table of COLUMNS."""
    rows = [
        (images[line["image_id"]], classes[line["category_id"]], line["score"], *line["bbox"])
        for line in results
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


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
    images = [image | {"id": numbers[image["id"]]} for image in measured["images"]]
    with TemporaryDirectory() as folder:
        scenes, _, unread = pack_boxed(root, measured | {"images": images}, trained.data, Path(folder))
        renumbered = replace(trained, category_ids=tuple(ids[name] for name in trained.classes))
        return answers_of(renumbered, scenes, least=None, device=device).results, faults + unread
