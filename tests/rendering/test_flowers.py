"""Rendered flowers: the same bytes each time, the counts that were asked for, copies that are copies."""

import json
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florilegium.audit.alignment import align
from florilegium.audit.hashing import thumbnails, transformed_hashes
from florilegium.audit.points import describe, working
from florilegium.audit.proof import overlap
from florilegium.config.datasets import Rendering
from florilegium.config.products import Audit
from florilegium.core.errors import UserError
from florilegium.data.png import encode_png
from florilegium.rendering.flowers import Shot, class_names, planted, shots, take
from florilegium.rendering.picture import COPIES, CROPS
from florilegium.stages import render as render_stage
from florilegium.stages.render import render

SIDE = 48
F17 = Rendering(scene="flowers17", size=SIDE, per_class=60)
F102 = Rendering(scene="flowers102", size=SIDE, per_class=10)


def thumbnail(shot: Shot) -> np.ndarray:
    image = Image.fromarray(take(shot, SIDE)).resize((32, 32), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float64) / 255


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean squared difference, with `b` mirrored where that is nearer."""
    return min(float(((a - c) ** 2).mean()) for c in (b, b[:, ::-1]))


def by_name(rendering: Rendering) -> dict[str, Shot]:
    return {shot.image: shot for shot in shots(rendering)}


def test_png_is_read_back_as_it_was() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (160, 150, 3), np.uint8)  # more than one block
    image = Image.open(BytesIO(encode_png(pixels)))
    image.load()
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), pixels)


def test_rendering_twice_gives_equal_bytes(tmp_path: Path) -> None:
    small = Rendering(scene="flowers17", size=32, per_class=5)
    for folder in ("a", "b"):
        names = render(small, tmp_path / folder)
    assert names == sorted(names)
    assert all((tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in names)


def test_rendering_is_known_to_the_byte() -> None:
    """Frozen: a change of a single pixel is a change of the demo's data, and must be meant."""
    hasher = sha256()
    for shot in shots(F102)[::97]:
        hasher.update(encode_png(take(shot, 32)))
    assert hasher.hexdigest()[:16] == "cd9c7b7ce4af5cf3"


def test_another_seed_gives_other_flowers() -> None:
    one, other = (shots(F17.model_copy(update={"seed": seed}))[0] for seed in (0, 1))
    assert one.image == other.image
    assert difference(thumbnail(one), thumbnail(other)) > 0.01


def test_counts_by_split_and_class() -> None:
    seventeen = Counter(tuple(shot.image.split("/")[:2]) for shot in shots(F17))
    assert len(class_names(F17)) == len({name for _, name in seventeen}) == 17
    assert {count for (split, _), count in seventeen.items() if split == "val"} == {10}
    assert {count for (split, _), count in seventeen.items() if split == "test"} == {40}
    assert {count for (split, _), count in seventeen.items() if split == "train"} == {10, 11}  # a double

    hundred = Counter(tuple(shot.image.split("/")[:2]) for shot in shots(F102))
    assert len(set(class_names(F102))) == len({name for _, name in hundred}) == 102
    assert {count for (split, _), count in hundred.items() if split == "train"} == {3}
    own = {name for (split, name), count in hundred.items() if split == "test" and count == 5}
    assert len(own) == 102 - 17  # the other classes hold copies, too


def test_copies_lie_outside_the_training_split_of_the_102_and_keep_their_label() -> None:
    pairs = planted(shots(F17), shots(F102))
    assert {split for _, image in pairs if (split := image.split("/")[0])} == {"val", "test"}
    labels = {(a.split("/")[1], b.split("/")[1]) for a, b in pairs}
    assert len(labels) == 17


def test_planted_copies_show_the_same_picture() -> None:
    a, b = by_name(F17), by_name(F102)
    pairs = sorted(planted(shots(F17), shots(F102), crops=False))
    assert {b[image].taken for _, image in pairs} == set(COPIES)
    distances = [difference(thumbnail(a[x]), thumbnail(b[y])) for x, y in pairs[::9]]
    assert max(distances) < 0.01


def fits(a: Image.Image, b: Image.Image) -> bool:
    """Whether most of what two pictures share is the same, at the place on which their local features agree."""
    place = align(describe(a), describe(b))
    found = overlap(working(a), working(b), place) if place else None
    return found is not None and found.agreement > 0.7 and found.correlation > 0.95


def test_crops_are_seen_by_local_features_and_by_no_hash_and_decoys_by_neither() -> None:
    a, b = by_name(F17), by_name(F102)
    crops, decoys = (sorted(planted(shots(F17), shots(F102), **kind)) for kind in ({"crops": True}, {"decoys": True}))
    assert {b[image].taken for _, image in crops} == set(CROPS)
    for x, y in [*crops[::29], *decoys[::9]]:
        one, other = (Image.fromarray(take(shot, 64)) for shot in (a[x], b[y]))
        first, second = (transformed_hashes(np.asarray(thumbnails(image)[0])[None])[0] for image in (one, other))
        assert np.bitwise_count(first ^ second[0]).min() > Audit().radius
        assert fits(one, other) == (b[y].taken in CROPS), (x, y)


def test_decoys_show_another_picture() -> None:
    a, b = by_name(F17), by_name(F102)
    pairs = planted(shots(F17), shots(F102), decoys=True)
    assert len(pairs) == 17 * 4 * 2  # another flower, another frame
    assert not pairs & planted(shots(F17), shots(F102))
    for x, y in pairs:
        one, other = thumbnail(a[x]), thumbnail(b[y])
        assert difference(one, other) > 0.1 * (one.var(axis=(0, 1)) + other.var(axis=(0, 1))).mean()


def test_doubles_of_the_17_cross_its_splits() -> None:
    pairs = planted(shots(F17))
    assert len(pairs) == 6
    assert {tuple(image.split("/")[0] for image in pair) for pair in pairs} == {("test", "train")}


def test_a_size_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rendered.size = 500 .* 16 to 224"):
        render(F17.model_copy(update={"size": 500}), tmp_path)


def test_stage_lists_what_it_drew(tmp_path: Path) -> None:
    out = tmp_path / "demo17" / "files.json"
    spec = {"dataset": {"layout": "folders", "rendered": {"scene": "flowers17", "size": 16, "per_class": 5}}}
    (out.parent / "files" / "stale").mkdir(parents=True)
    command = [sys.executable, "-m", render_stage.__name__, "--name", "demo17", "--out", str(out)]
    subprocess.run([*command, "--spec", json.dumps(spec), "--code", "0"], check=True, cwd=tmp_path)
    listing = json.loads(out.read_text())
    assert Path(listing["root"]) == out.parent / "files"
    for file in listing["files"]:
        content = (out.parent / "files" / file["path"]).read_bytes()
        assert (sha256(content).hexdigest(), len(content)) == (file["sha256"], file["bytes"])
    assert not (out.parent / "files" / "stale").exists()
    assert json.loads(out.with_suffix(".receipt.json").read_text())["stage"] == "render"
