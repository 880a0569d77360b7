"""Image files as scenes, for a detector that was trained elsewhere: packed as its own images were."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from florilegium.core.detection import DetectionData
from florilegium.core.files import write_json
from florilegium.data.buckets import pack_buckets
from florilegium.data.fit import fit
from florilegium.data.scenes import Scenes, SceneStore
from florilegium.data.sizes import measured

SPLIT = "test"


def pack_scenes(
    root: Path,
    content: Mapping[str, Any],
    data: DetectionData,
    folder: Path,
    *,
    corrupt: Literal["stop", "skip"] = "skip",
) -> tuple[Scenes, Path, list[str]]:
    """Pack what `content`, in COCO form, tells of files below `root` into the empty `folder`.

    Returns:
        The scenes by name, the file of their annotations for `coco_ground_truth`, and a sentence for each
        image that cannot be read.

    Raises:
        UserError: none can be read, or two images share an id.
    """
    fits = {
        image["file_name"]: fit(image["height"], image["width"], data.short_side, data.long_side)
        for image in content["images"]
    }
    pixels, annotations = folder / "scenes.npy", folder / "annotations.json"
    packed = pack_buckets(root, fits, data.padding, pixels, corrupt=corrupt)
    write_json(
        annotations,
        {
            "categories": content["categories"],
            "splits": {SPLIT: {key: content[key] for key in ("images", "annotations")}},
            "unannotated": [],
        },
    )
    faults = [f"{root / name}: {reason}" for name, reason in packed.skipped.items()]
    return SceneStore(pixels, annotations).take([SPLIT]), annotations, faults


def content_of(root: Path, paths: Sequence[Path]) -> tuple[dict[str, Any], list[str]]:
    """Image files below `root` in COCO form without annotations, numbered from 1 in their order; and a
    sentence for each of which no size can be read."""
    images, faults = [], []
    for number, path in enumerate(paths, start=1):
        size = measured(path)
        if size is None:
            faults.append(f"{path}: not an image")
            continue
        name = path.relative_to(root).as_posix()
        images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
    return {"images": images, "annotations": [], "categories": []}, faults
