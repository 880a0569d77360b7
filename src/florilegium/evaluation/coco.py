"""COCO's average precision, and the matches that it is computed from."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from florilegium.config.metrics import COCO_METRICS
from florilegium.core.errors import UserError
from florilegium.core.files import atomic
from florilegium.core.names import name_bytes

CURVE_IOU = 0.5

Coco = Mapping[str, Any]
"""`images`, `annotations` and `categories`, as in a COCO file."""
Results = Sequence[Mapping[str, Any]]
"""Detections, each with `image_id`, `category_id`, `bbox` and `score`."""

# Scores


@dataclass(frozen=True)
class CocoScores:
    """The scores of a set of detections; None where COCO has no object to count."""

    overall: dict[str, float | None]
    """By the names of `COCO_METRICS`."""
    by_class: dict[str, dict[str, float | None]]
    """`AP` and `AP50` by class name."""
    recall: list[float]
    """The 101 recalls of the curves."""
    precision: dict[str, list[float]]
    """Precision at each recall at an IoU of 0.5, by the name of a class that has objects."""


def score_results(truth: Coco, results: Results) -> CocoScores:
    """The scores of `results`; without any, each score that has objects is zero."""
    return scores_of(truth, accumulated(truth, results))


def scores_of(truth: Coco, evaluation: Any) -> CocoScores:
    """The scores from `evaluation`, the return value of `accumulated` for `truth`."""
    precision = evaluation.eval["precision"]  # (IoU, recall, class, area, limit)
    all_sizes, most = 0, len(evaluation.params.maxDets) - 1
    half = int(np.flatnonzero(np.isclose(evaluation.params.iouThrs, CURVE_IOU))[0])
    names = {category["id"]: category["name"] for category in truth["categories"]}
    by_class, curves = {}, {}
    for place, category in enumerate(evaluation.params.catIds):
        own = precision[:, :, place, all_sizes, most]  # (IoU, recall)
        by_class[names[category]] = {"AP": _mean(own), "AP50": _mean(own[half])}
        if own[half].max() >= 0:
            curves[names[category]] = own[half].tolist()
    stats = zip(COCO_METRICS, evaluation.stats, strict=True)
    overall = {name: None if value < 0 else float(value) for name, value in stats}
    return CocoScores(overall, by_class, evaluation.params.recThrs.tolist(), curves)


def accumulated(truth: Coco, results: Results) -> Any:
    """pycocotools' evaluation of boxes, without its printed output."""
    from pycocotools.cocoeval import COCOeval  # here, since matches are read without it

    detections = [
        {key: result[key] for key in ("image_id", "category_id", "score")}
        | {"id": number, "bbox": list(result["bbox"]), "area": result["bbox"][2] * result["bbox"][3], "iscrowd": 0}
        for number, result in enumerate(results, start=1)
    ]
    with redirect_stdout(StringIO()):
        evaluation = COCOeval(_indexed(truth), _indexed({**truth, "annotations": detections}), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _indexed(content: Coco) -> Any:
    """pycocotools' object of annotations, from copies of them, since it adds keys."""
    from pycocotools.coco import COCO

    coco = COCO()
    annotations = [dict(annotation) for annotation in content["annotations"]]
    coco.dataset = {"images": content["images"], "categories": content["categories"], "annotations": annotations}
    coco.createIndex()
    return coco


def _mean(values: np.ndarray) -> float | None:
    """The mean of the known values; pycocotools marks unknown ones by -1."""
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def as_lines(results: Results) -> str:
    """COCO results as JSON, a detection a line."""
    lines = (json.dumps(line, sort_keys=True, allow_nan=False) for line in results)
    return "[\n" + ",\n".join(lines) + "\n]\n"


# Matches

AREAS = ("all", "small", "medium", "large")
IOUS = 10  # from 0.5 to 0.95
HALF, THREE_QUARTERS = 0, 5  # places of 0.5 and 0.75 among them
ARRAYS = ("images", "classes", "objects", "counts", "image", "right", "ignored")


@dataclass(frozen=True)
class Matches:
    """A run's detections on I test images, matched with the objects of K classes.

    The D detections are sorted by class and, in a class, by falling score; of equal scores the one in the image of the
    lower id comes first, as in pycocotools. A detection that is neither right nor ignored is wrong.
    """

    images: str
    """A digest of the ids and names of the images, in the order of the ids."""
    classes: tuple[str, ...]
    """Names, in the order of the category ids."""
    objects: NDArray[np.int64]
    """(K, 4, I): number of objects by class, area (as in AREAS) and image, without crowds."""
    label: NDArray[np.intp]
    """(D,): index into `classes`."""
    image: NDArray[np.intp]
    """(D,): index of the image."""
    right: NDArray[np.bool_]
    """(4, 10, D): True if it matches an object, by area and IoU."""
    ignored: NDArray[np.bool_]
    """(4, 10, D): True if it does not count, by area and IoU."""

    @property
    def n_images(self) -> int:
        return int(self.objects.shape[2])

    def rank(self) -> NDArray[np.intp]:
        """(D,): number of detections of the same class and image that come before each."""
        group = self.label * self.n_images + self.image
        order = np.argsort(group, kind="stable")
        sorted_groups = group[order]
        rank = np.empty(len(group), dtype=np.intp)
        rank[order] = np.arange(len(group)) - np.searchsorted(sorted_groups, sorted_groups)
        return rank


def matches_of(truth: Mapping[str, Any], evaluation: Any) -> Matches:
    """The matches of `evaluation`, a COCOeval that has evaluated `truth` with its default parameters."""
    settings = evaluation.params
    ids = settings.catIds
    shape = len(ids), len(AREAS), len(settings.imgIds)
    cells = np.empty(shape, dtype=object)
    cells.reshape(-1)[:] = evaluation.evalImgs
    counts = [0 if cell is None else np.count_nonzero(cell["gtIgnore"] == 0) for cell in cells.flat]
    images, rights, ignored = zip(*map(_of_class, cells), strict=True) if len(ids) else ((), (), ())
    names = {category["id"]: category["name"] for category in truth["categories"]}
    return compact(
        Matches(
            images=_digest(truth),
            classes=tuple(names[number] for number in ids),
            objects=np.array(counts, dtype=np.int64).reshape(shape),
            label=np.repeat(np.arange(len(ids)), list(map(len, images))),
            image=_joined(images, (0,), np.intp),
            right=_joined(rights, (len(AREAS), IOUS, 0), np.bool_),
            ignored=_joined(ignored, (len(AREAS), IOUS, 0), np.bool_),
        )
    )


def _digest(truth: Mapping[str, Any]) -> str:
    """A digest of the images of `truth`, whatever their order."""
    named = sorted((image["id"], str(image.get("file_name", ""))) for image in truth["images"])
    return hashlib.sha256(name_bytes("\n".join(f"{number} {name}" for number, name in named))).hexdigest()


def _of_class(cells: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.bool_]]:
    """The images of a class's detections by falling score, and their flags `right` and `ignored`.

    `cells` (4, I) are pycocotools' evalImgs of the class.
    """
    places = [place for place, cell in enumerate(cells[0]) if cell is not None]
    scores = [cells[0, place]["dtScores"] for place in places]
    order = np.argsort(-np.concatenate([[], *scores]), kind="stable")
    image = np.repeat(np.array(places, dtype=np.intp), [len(own) for own in scores])[order]

    def flags(key: str) -> NDArray[np.bool_]:
        areas = [[area[place][key] for place in places] for area in cells]
        return np.stack([_joined(own, (IOUS, 0), np.bool_) for own in areas])[..., order]

    ignored = flags("dtIgnore")
    return image, flags("dtMatches") & ~ignored, ignored


def _joined(parts: Sequence[Any], none: tuple[int, ...], kind: Any) -> NDArray[Any]:
    """Arrays concatenated along their last axis; without any, one of the shape `none`."""
    return np.concatenate([np.empty(none, dtype=kind), *(np.asarray(part, dtype=kind) for part in parts)], axis=-1)


def compact(matches: Matches) -> Matches:
    """The matches without detections that cannot change a score, however often each image counts.

    Precision at a recall is the highest one from there on, which is reached at a right detection. So detections
    after a class's last right one have no effect, and wrong ones between two right ones may have any order: sorted
    by image they compress better. The ranks of right ones do not change.
    """
    right = np.any(matches.right, axis=(0, 1))
    run = np.cumsum(right[::-1])[::-1]  # how many right ones are still to come, itself included
    last = np.searchsorted(matches.label, np.arange(len(matches.classes)), side="right")
    to_come = run - np.append(run, 0)[last][matches.label]  # in its class
    effective = np.flatnonzero(to_come > 0)
    # Ahead of the right one that ends its run; sorts are stable, so ranks in an image keep their order.
    by_image = np.where(right, matches.n_images, matches.image)[effective]
    order = effective[np.lexsort((by_image, -to_come[effective], matches.label[effective]))]
    return replace(
        matches,
        label=matches.label[order],
        image=matches.image[order],
        right=matches.right[..., order],
        ignored=matches.ignored[..., order],
    )


def write_matches(path: Path, matches: Matches) -> None:
    """Write an .npz whose bytes depend on the content alone."""
    arrays: dict[str, Any] = {
        "images": np.frombuffer(bytes.fromhex(matches.images), dtype=np.uint8),
        "classes": np.array(matches.classes, dtype=np.str_),
        "objects": _narrow(matches.objects),
        "counts": np.bincount(matches.label, minlength=len(matches.classes)).astype(np.int64),
        "image": _narrow(matches.image),
        "right": np.packbits(matches.right, axis=-1),
        "ignored": np.packbits(matches.ignored, axis=-1),
    }
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **{name: arrays[name] for name in ARRAYS})


def read_matches(path: Path) -> Matches:
    """Read a file of `write_matches`.

    Raises:
        UserError: there is no such file, or it is cut or of another kind.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return _read({name: file[name] for name in ARRAYS})
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; test the detector again to have it written") from None
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path}: holds no matches of a detector ({error}); it is cut or another file, so test the detector again"
        ) from None


def _read(arrays: Mapping[str, NDArray[Any]]) -> Matches:
    objects, counts, image = (arrays[name].astype(np.int64) for name in ("objects", "counts", "image"))
    classes, total = arrays["classes"].tolist(), int(counts.sum())
    packed = len(AREAS), IOUS, -(-total // 8)
    fits = (
        objects.ndim == 3
        and objects.shape[:2] == (len(classes), len(AREAS))
        and counts.shape == (len(classes),)
        and image.shape == (total,)
        and arrays["right"].shape == arrays["ignored"].shape == packed
        and not (image >= objects.shape[2]).any()
    )
    if not fits:
        raise ValueError("its arrays do not fit one another")
    return Matches(
        arrays["images"].tobytes().hex(),
        tuple(classes),
        objects,
        np.repeat(np.arange(len(classes)), counts),
        image,
        *(np.unpackbits(arrays[name], axis=-1, count=total).view(np.bool_) for name in ("right", "ignored")),
    )


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """`values` as the smallest type of unsigned integers that holds them."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))
