"""Which JSON files of a folder are the annotations of which split, by their names.

COCO's own `annotations/instances_train2017.json`, Roboflow's `train/_annotations.coco.json`, and `train.json`,
`valid.json` or `annotations_test.json` anywhere: the name holds the split, or the folder is called so.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from florilegium.config.datasets import Dataset
from florilegium.core.errors import UserError, some
from florilegium.data.labels import SPLITS
from florilegium.data.splits import split_called

ADVICE = "name the annotation file of each split at `annotations` of the data set"
NAMED = 4  # files that a sentence names
# Words that say no more than that a file holds annotations.
PLAIN = {
    *("instances", "instance", "annotations", "annotation", "anns", "ann", "coco", "labels", "label", "gt"),
    *("bbox", "bboxes", "boxes", "detection", "detections", "default"),
}
SIZES_ALONE = {"image", "info"}  # image_info_test2017.json: COCO's test sets, without annotations
# Kinds of files that stand beside those of boxes.
OTHER = {
    *("captions", "keypoints", "person", "panoptic", "stuff", "dev", "results", "predictions", "metrics", "log"),
    *("config", "history", "classes", "info", "license"),
}


def annotation_files(
    dataset: Dataset, root: Path, paths: Sequence[str], wanted: Sequence[str] = SPLITS
) -> dict[str, str]:
    """The annotation file of each of the `wanted` splits that has one, among `paths` (files below `root`).

    Raises:
        UserError: several files could be those of one split, or a file that the data set names is not there.
    """
    title = dataset.title or str(root)
    if dataset.annotations:
        named = {split: name for split, name in dataset.annotations.items() if split in wanted}
        return {split: _named(title, root, paths, split, name) for split, name in named.items()}
    found = _recognised(title, [path for path in paths if PurePosixPath(path).suffix.lower() == ".json"])
    for split in wanted:
        if len(files := found.get(split, [])) > 1:
            raise UserError(f"{title}: {_rivals(files)} be the annotations of {split}; {ADVICE}")
    return {split: found[split][0] for split in wanted if split in found}


def split_of_file(path: str) -> str | None:
    """The split that the name of an annotation file says, or else the folder that it lies in."""
    pure = PurePosixPath(path)
    named = {split for word in _words(pure) if (split := split_called(word))}
    if len(named) == 1:
        return named.pop()
    return _split_of_folder(pure) if not named else None


def _named(title: str, root: Path, paths: Sequence[str], split: str, name: str) -> str:
    wanted = name.replace("\\", "/").removeprefix("./")
    files = [path for path in paths if path == wanted or path.endswith(f"/{wanted}")]
    if wanted in files:
        files = [wanted]
    if len(files) > 1:
        raise UserError(f"{title}: {_rivals(files)} be the annotations of {split}; {ADVICE} with its folder")
    if not files:
        raise UserError(f"{title}: there is no {name} below {root}; add it, or {ADVICE}")
    return files[0]


def _recognised(title: str, files: Sequence[str]) -> dict[str, list[str]]:
    """The files that could be those of each split; without any, a single file is that of train."""
    plain: dict[str, list[str]] = defaultdict(list)
    like: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))  # by the words beside the split
    for path in sorted(files):
        words = _words(PurePosixPath(path))
        own = [word for word in words if not split_called(word)]
        others = set(own) - PLAIN
        in_name = len(own) < len(words)
        split = split_of_file(path)
        if split is None:
            continue
        if words and (not others or (in_name and others == SIZES_ALONE)):
            plain[split].append(path)
        elif in_name and not others & OTHER:
            like[" ".join(own)][split].append(path)
    if plain:
        return plain
    sets = [of for of in like.values() if "train" in of]
    if len(sets) > 1:
        several = _rivals([of["train"][0] for of in sets])
        raise UserError(f"{title}: {several} be the annotations of train; {ADVICE}")
    return sets[0] if sets else {"train": list(files)} if len(files) == 1 else {}


def _words(path: PurePosixPath) -> list[str]:
    """The words of a file's name, in lower case: instances and train of instances_train2017.json."""
    return re.findall(r"[a-z]+", path.stem.lower())


def _split_of_folder(path: PurePosixPath) -> str | None:
    """The split that the nearest folder is called after."""
    return next(filter(None, map(split_called, reversed(path.parent.parts))), None)


def _rivals(files: Sequence[str]) -> str:
    """`a and b could both`, the first of several."""
    if len(files) == 2:
        return f"{files[0]} and {files[1]} could both"
    return f"{some(files, NAMED)} could all"
