"""Rendered emblems: the same bytes each time, all pairs of cues, copies that are copies, a legal layout."""

from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from florilegium.audit.comparison import Collection, compare
from florilegium.config.datasets import Rendering
from florilegium.config.products import Audit
from florilegium.core.errors import UserError
from florilegium.data.layouts import index
from florilegium.data.png import encode_png
from florilegium.rendering.emblems import CLASSES, KINDS, OUTLINES, PATTERNS, Shot, draw, kinds, shots
from florilegium.rendering.picture import ORIGINAL, TAKEN
from florilegium.stages.render import render
from tests.helpers.audit import hash_images
from tests.helpers.data import dataset

SMALL = {scene: Rendering(scene=scene, size=32, per_class=10) for scene in CLASSES}


def drawn(shot: Shot, side: int = 32) -> np.ndarray:
    return TAKEN[shot.taken](draw(shot.picture, side), shot.image)


def again(planned: list[Shot]) -> set[tuple[str, str]]:
    """Pairs of training and test image that show the same picture."""
    showing = defaultdict(list)
    for shot in planned:
        showing[shot.picture].append(shot.image)
    return {(pair[0], pair[1]) for pair in showing.values() if len(pair) > 1}


def test_rendering_is_known_to_the_byte() -> None:
    """Frozen: a change of a single pixel is a change of the demo's data, and must be meant."""
    hasher = sha256()
    for rendering in SMALL.values():
        for shot in shots(rendering)[::29]:
            hasher.update(encode_png(drawn(shot)))
    assert hasher.hexdigest()[:16] == "a694a7b1bd255852"


def test_twenty_kinds_are_all_pairs_of_a_pattern_and_an_outline() -> None:
    names = [kind.name for kind in kinds(SMALL["emblems20"])]
    assert set(names) == {f"{pattern}_{outline}" for pattern in PATTERNS for outline in OUTLINES}
    assert len(names) == len(set(names)) == KINDS
    assert len({kind.pattern for kind in kinds(SMALL["emblems10"])}) == len(PATTERNS)


@pytest.mark.parametrize("name", ["demo10", "demo100", "demo_tiny"])
def test_the_stand_ins_index_as_what_they_stand_in_for(project: Path, tmp_path: Path, name: str) -> None:
    source = dataset(project, name)
    assert source.rendered is not None
    small = source.rendered.model_copy(update={"per_class": 10, "size": 24})
    paths = render(small, tmp_path)
    assert paths == sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    found = index(source, tmp_path, paths)
    n = CLASSES[small.scene]
    assert len(found.classes) == n
    tested = Counter(label for _, label, split in found.rows if split == "test")
    assert set(tested.values()) == {2} and len(tested) == n
    assert Counter(label for _, label, split in found.rows if split == "val").keys() == set(found.classes)
    assert "val is the project's own" in found.split_origin
    if name == "demo_tiny":
        assert found.words["n90000000"] == "plain disc" and len(found.words) == n
        assert found.classes == tuple(sorted(found.classes))
    else:
        assert "plain_disc" in found.classes and not found.words


@pytest.mark.parametrize("scene", CLASSES)
def test_some_test_pictures_are_in_train_again_under_their_class(scene: str) -> None:
    planned = shots(SMALL[scene].model_copy(update={"per_class": 80}))
    label = {shot.image: shot.label for shot in planned}
    pairs = again(planned)
    assert len(pairs) == 2 * CLASSES[scene]  # of 16 test pictures a class
    assert {(a.split("/")[0], b.split("/")[0]) for a, b in pairs} <= {("train", "test"), ("train", "val")}
    assert all(label[a] == label[b] for a, b in pairs)
    taken = Counter(shot.taken for shot in planned)
    assert set(taken) == {ORIGINAL, "mirrored", "encoded", "brighter"}


def test_the_audit_finds_what_was_planted_and_little_else(tmp_path: Path) -> None:
    rendering = SMALL["emblems10"].model_copy(update={"per_class": 40})
    paths = render(rendering, tmp_path)
    hashes, _ = hash_images(tmp_path, paths)
    splits, classes = (np.array([path.split("/")[part] for path in sorted(paths)]) for part in (0, 1))
    data = Collection("demo", hashes, splits, classes)
    leaks = compare(data, data, Audit()).leaks()
    found = {tuple(sorted(pair, reverse=True)) for pair in leaks[["image_a", "image_b"]].to_numpy()}
    pairs = again(shots(rendering))
    assert len(found & pairs) >= 0.9 * len(pairs)
    assert len(found - pairs) <= 0.1 * len(pairs)


def test_a_size_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"emblems10: rendered.size = 8 .* 24 to 256"):
        render(SMALL["emblems10"].model_copy(update={"size": 8}), tmp_path)
