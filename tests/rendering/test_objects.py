"""Rendered objects with boxes: the same bytes each time, boxes that fit, copies that are copies."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from florilegium.audit.comparison import Collection, compare
from florilegium.config.datasets import Rendering
from florilegium.config.products import Audit
from florilegium.core.errors import UserError
from florilegium.core.files import read_json
from florilegium.data.annotations import check
from florilegium.data.decode import decode
from florilegium.rendering.objects import NAMES, draw, shots
from florilegium.stages.render import render
from tests.helpers.annotated import own_coco
from tests.helpers.audit import hash_images

SMALL = Rendering(scene="objects", size=96, per_class=18)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("objects")
    return folder, render(SMALL, folder)


def test_the_set_is_in_coco_form_with_all_its_splits(drawn: tuple[Path, list[str]]) -> None:
    folder, paths = drawn
    assert paths == sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    found = check(own_coco(folder), folder, paths, "stop")
    index = found.index()
    counts = {split: sum(s == split for _, _, s in index.rows) for split in ("train", "val", "test")}
    assert counts == {"train": 60 + 2 + 4, "val": 15, "test": 15}
    assert index.classes == NAMES and index.split_origin == "annotation files"
    assert found.counts()["n_boxes"] > 1.5 * len(index.rows)


def test_rendering_is_known_to_the_byte(drawn: tuple[Path, list[str]]) -> None:
    """Frozen: a change of a single pixel or box is a change of the demo's data, and must be meant."""
    folder, paths = drawn
    hasher = sha256()
    for path in [*paths[::20], "train.json"]:
        hasher.update((folder / path).read_bytes())
    assert hasher.hexdigest()[:16] == "8a03f97d7ba6dd85"


@pytest.mark.parametrize("name", NAMES)
def test_a_box_is_the_extent_of_what_is_painted(name: str) -> None:
    side = 96
    for seed in range(4):
        canvas, objects = draw(f"{name}/{seed}", name, side)
        assert canvas.shape == (2 * side, 2 * side, 3) and objects[0].name == name
        for found in objects:
            left, top, right, bottom = found.box
            assert 0 <= left < right <= 2 * side and 0 <= top < bottom <= 2 * side
            assert 0.35 < (right - left) / (bottom - top) < 1 / 0.35
            assert right - left > 20


def test_mirrored_copies_carry_mirrored_boxes(drawn: tuple[Path, list[str]]) -> None:
    folder, _ = drawn
    planned = shots(SMALL)
    originals = {shot.seed: shot for split in ("val", "test") for shot in planned[split]}
    content = {split: read_json(folder / f"{split}.json") for split in planned}

    def of(image: str) -> list[list[float]]:
        part = content[image.split("/")[1]]
        number = next(i["id"] for i in part["images"] if i["file_name"] == image)
        return [a["bbox"] for a in part["annotations"] if a["image_id"] == number]

    copies = [shot for shot in planned["train"] if shot.taken != "original"]
    assert {shot.taken for shot in copies} == {"mirrored", "encoded", "brighter"}
    for shot in copies:
        shown = originals[shot.seed].image
        a, b = (np.asarray(decode(folder / name)).astype(int) for name in (shot.image, shown))
        expected = of(shown)
        if shot.taken == "mirrored":
            b = b[:, ::-1]
            expected = [[96 - x - width, y, width, height] for x, y, width, height in expected]
        assert of(shot.image) == expected
        assert np.abs(a - b).mean() < 25


def test_the_audit_finds_what_was_planted_and_nothing_else(drawn: tuple[Path, list[str]]) -> None:
    folder, paths = drawn
    rows = check(own_coco(folder), folder, paths, "stop").index().rows
    table = pd.DataFrame(rows, columns=["image", "class", "split"])
    hashes, _ = hash_images(folder, [path for path in paths if path.endswith(".png")])
    whole = Collection.join("objects", hashes, table)
    found = compare(whole, whole, Audit())
    planned = shots(SMALL)
    originals = {shot.seed: shot.image for split in ("val", "test") for shot in planned[split]}
    planted = {frozenset((shot.image, originals[shot.seed])) for shot in planned["train"] if shot.taken != "original"}
    assert {frozenset(pair) for pair in found.same[["image_a", "image_b"]].values.tolist()} == planted


def test_a_size_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rendered.size = 32 .* 64 to 512"):
        render(Rendering(scene="objects", size=32), tmp_path)
