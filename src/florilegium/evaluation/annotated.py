"""Images with boxes to measure a trained detector on: a packed data set, a folder, or one COCO file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from florilegium.config.data import Dataset
from florilegium.core.errors import UserError
from florilegium.data.annotations import check
from florilegium.data.boxed import BoxedImages, BoxedStore, coco_ground_truth, pack_boxed
from florilegium.evaluation.coco import Coco
from florilegium.evaluation.labelled import RESOURCES, check_packed
from florilegium.models.trained import TrainedDetector


@dataclass(frozen=True)
class AnnotatedImages:
    """Images, their objects in COCO form with the detector's category ids, and unreadable files."""

    scenes: BoxedImages
    truth: Coco
    faults: list[str]


@contextmanager
def annotated(dataset: str, split: str, trained: TrainedDetector) -> Iterator[AnnotatedImages]:
    """The scenes of `dataset`: a COCO file with all its images, the `split` of a folder in COCO layout, or of
    a data set that the workflow has packed.

    Raises:
        UserError: there is neither, the split has no annotations, or a class is none of the detector's.
    """
    place = Path(dataset)
    if place.suffix == ".json" and place.is_file():
        source = Dataset(layout="coco", folder=str(place.parent), annotations={"train": place.name})
        content = _content(source, place.parent)
        parts = content["splits"].values()  # carved from the one file, to be joined again
        merged = {key: [entry for part in parts for entry in part[key]] for key in ("images", "annotations")}
    elif place.is_dir():
        content = _content(Dataset(layout="coco", folder=dataset), place)
        _check_annotated(split, content["unannotated"], dataset)
        merged = content["splits"][split]
    else:
        yield _packed(dataset, split, trained)
        return
    with TemporaryDirectory() as folder:
        chosen = merged | {"categories": content["categories"]}
        root = place if place.is_dir() else place.parent
        scenes, annotations, faults = pack_boxed(root, chosen, trained.data, Path(folder))
        truth = _in_terms_of(coco_ground_truth(scenes, annotations), trained, dataset)
        yield AnnotatedImages(scenes, truth, faults)


def _content(source: Dataset, root: Path) -> dict[str, Any]:
    paths = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file()]
    return check(source, root, paths, "drop").content()


def _check_annotated(split: str, unannotated: Sequence[str], where: str) -> None:
    if split in unannotated:
        raise UserError(
            f"{where}: the split {split} has no annotations to measure against; give another --split"
        )


def _packed(name: str, split: str, trained: TrainedDetector) -> AnnotatedImages:
    """A split of a data set in `resources/`, packed as the detector's own images were."""
    annotations = RESOURCES / name / "annotations.json"
    pixels = RESOURCES / name / f"scenes{trained.data.packing}.npy"
    check_packed(name, [annotations, pixels], "folder or COCO file")
    store = BoxedStore(pixels, annotations)
    _check_annotated(split, store.unannotated, name)
    scenes = store.take([split])
    if not len(scenes):
        raise UserError(f"{annotations}: no image is in the split '{split}'; give another --split")
    return AnnotatedImages(scenes, _in_terms_of(coco_ground_truth(scenes, annotations), trained, name), [])


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
