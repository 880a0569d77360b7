"""Which images the clean split drops, and what an audit writes down."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from florilegium.audit import pictures
from florilegium.audit.comparison import compare, dropped, summarise
from florilegium.audit.pictures import FILES, SHOWN_DIFFERENT, SHOWN_SAME, choose, write_audit
from florilegium.config.products import Audit
from florilegium.core.errors import UserError
from tests.helpers.audit import collection, picture

CONTRACT = ["image_a", "split_a", "class_a", "image_b", "split_b", "class_b"]
CONTRACT += ["hash_distance", "transform", "pixel_distance", "verdict", "scale", "overlap", "points", "agreement"]


def reasons(found) -> dict[str, str]:
    table = dropped(found)
    assert list(table) == ["image", "reason", "verdict"]
    return dict(zip(table["image"], table["reason"], strict=True))


@pytest.fixture
def across(tmp_path):
    """Pictures 1 to 4 of b stand in a as well: of its train, val, test and, twice, of its test."""
    a = {f"train/rose/{seed}.png": picture(seed) for seed in (1, 2, 4, 10)}
    a |= {"val/rose/3.png": picture(3), "test/rose/4.png": picture(4).resize((48, 40))}
    b = {"train/iris/one.png": picture(1), "val/iris/two.png": picture(2), "test/iris/three.png": picture(3)}
    b |= {"test/iris/four.png": picture(4), "test/lily/four_again.jpg": picture(4), "test/lily/x.png": picture(20)}
    return compare(collection("big", tmp_path / "a", a), collection("small", tmp_path / "b", b), Audit())


@pytest.fixture
def inside(tmp_path):
    """Picture 1 is in train and val, 2 in val and test, 3 in train and test, 4 twice in train, 5 twice in test."""
    images = {
        "train/rose/1.png": picture(1),
        "val/rose/1.png": picture(1),
        "val/rose/2.png": picture(2),
        "test/rose/2.png": picture(2),
        "train/rose/3.png": picture(3),
        "test/iris/3.png": picture(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "train/rose/4.png": picture(4),
        "train/rose/4_again.png": picture(4),
        "test/rose/5.png": picture(5),
        "test/rose/5_again.png": picture(5),
        "train/rose/6.png": picture(6),
    }
    data = collection("flowers", tmp_path, images)
    return compare(data, data, Audit())


def test_across_two_sets_whatever_shows_a_held_out_picture_is_dropped(across):
    assert reasons(across) == {
        "test/rose/4.png": "shows test image test/iris/four.png of small and 1 more",
        "train/rose/2.png": "shows val image val/iris/two.png of small",
        "train/rose/4.png": "shows test image test/iris/four.png of small and 1 more",
        "val/rose/3.png": "shows test image test/iris/three.png of small",
    }


def test_what_a_cleaning_leaves_is_counted_by_split_of_the_target(across):
    verdicts = np.where(across.pairs["image_a"] == "train/rose/4.png", "crop", across.pairs["verdict"])
    cropped = replace(across, pairs=across.pairs.assign(verdict=verdicts))
    assert dict(dropped(cropped)[["image", "verdict"]].to_numpy())["train/rose/4.png"] == "crop"
    left = summarise(cropped, dropped(cropped))["n_left"]
    shown = set(across.leaks()["image_b"])
    assert left["nothing"] == {s: sum(name.startswith(s) for name in shown) for s in ("val", "test")}
    only = set(across.leaks().query("image_a == 'train/rose/4.png'")["image_b"])
    assert left["hash"] == {"val": 0, "test": len(only)} and only
    assert left["all"] == {"val": 0, "test": 0}


def test_inside_one_set_the_later_split_keeps_the_double(inside):
    assert reasons(inside) == {
        "train/rose/1.png": "shows val image val/rose/1.png of flowers",
        "train/rose/3.png": "shows test image test/iris/3.png of flowers",
        "val/rose/2.png": "shows test image test/rose/2.png of flowers",
    }


def test_an_audit_writes_what_the_contract_names(inside, tmp_path):
    paths = write_audit(inside, tmp_path / "first")
    assert [path.name for path in paths] == list(FILES)
    pairs = pd.read_csv(tmp_path / "first" / "pairs.csv")
    assert list(pairs) == CONTRACT
    assert len(pairs) == 5 and set(pairs["verdict"]) == {"same_picture"}
    assert pairs["pixel_distance"].is_monotonic_increasing
    summary = json.loads((tmp_path / "first" / "summary.json").read_text())
    assert summary["n_pairs"] == {"train/val": 1, "val/test": 1, "train/test": 1, "train/train": 1, "test/test": 1}
    assert summary["transforms"] == {"identity": 4, "flip": 1}
    assert summary["n_exposed"] == {"train": 4, "val": 2, "test": 4}
    assert summary["n_same_picture"] == 5 and summary["n_dropped"] == 3 and summary["leak"] is True
    assert {"class_a": "iris", "class_b": "rose", "n": 1} in summary["classes"]
    again = write_audit(inside, tmp_path / "second")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]


def test_what_an_earlier_audit_wrote_is_gone_before_anything_new_stands_there(inside, tmp_path, monkeypatch):
    """Whoever stops an audit may not delete pictures by the list of another one."""
    for name in (*FILES, "mine.txt"):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_text("old")

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pictures, "contact_sheet", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_audit(inside, tmp_path / "out")
    left = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert left.pop("mine.txt") == "old" and left and "old" not in left.values()


def test_doubles_across_splits_are_counted_by_pair_of_splits_and_by_image_of_the_later_one(tmp_path):
    shown = {"train/rose/a": 1, "train/rose/b": 1, "test/rose/c": 1, "test/rose/d": 2, "val/rose/e": 3}
    data = collection("flowers", tmp_path, {f"{name}.png": picture(seed) for name, seed in shown.items()})
    found = compare(data, data, Audit())
    assert summarise(found, dropped(found))["across_splits"] == {
        "train/val": {"pairs": 0, "images": 0},
        "train/test": {"pairs": 2, "images": 1},
        "val/test": {"pairs": 0, "images": 0},
    }


def test_doubles_within_a_split_are_counted_but_are_no_leak(tmp_path):
    images = {f"train/rose/{name}.png": picture(1) for name in "ab"} | {"test/rose/c.png": picture(2)}
    data = collection("flowers", tmp_path, images)
    found = compare(data, data, Audit())
    assert len(found.same) == 1 and found.leaks().empty and dropped(found).empty


def test_a_training_picture_of_the_target_is_no_leak(tmp_path):
    a = collection("big", tmp_path / "a", {"train/rose/1.png": picture(1)})
    b = collection("small", tmp_path / "b", {"train/rose/1.png": picture(1), "test/rose/2.png": picture(2)})
    found = compare(a, b, Audit())
    assert len(found.same) == 1 and found.leaks().empty and dropped(found).empty


def test_pictures_are_written_without_any_pair_and_without_the_files(tmp_path, across):
    a = collection("a", tmp_path / "x", {"train/rose/1.png": picture(1)})
    b = collection("b", tmp_path / "y", {"test/rose/2.png": picture(2)})
    write_audit(compare(a, b, Audit()), tmp_path / "none")
    (tmp_path / "a" / "train" / "rose" / "4.png").unlink()
    write_audit(across, tmp_path / "some")
    for folder in ("none", "some"):
        for name in ("contact_sheet.png", "distances.png"):
            with Image.open(tmp_path / folder / name) as image:
                image.load()
                assert image.width > 1000 and image.height > 150
                assert len(np.unique(np.asarray(image.convert("L")))) > 20, "text or pictures are drawn"
    assert (tmp_path / "some" / "pairs.csv").read_text().count("\n") > 5


def test_a_long_list_shows_both_ends_and_says_how_many_lie_between(across):
    many = across.pairs.iloc[[0] * 500].reset_index(drop=True)
    many["verdict"] = np.repeat(["same_picture", "different"], 250)
    sections = choose(type(across)(across.a, across.b, many, across.nearest, across.settings))
    assert sum(len(section.pairs) for section in sections) == SHOWN_SAME + SHOWN_DIFFERENT
    assert re.search(rf"{250 - SHOWN_SAME} more lie between", sections[1].title)
    assert sections[2].title.endswith(f"250 pairs, the nearest {SHOWN_DIFFERENT} of them")


def test_only_images_of_the_table_are_audited(tmp_path):
    data = collection("flowers", tmp_path, {f"train/rose/{seed}.png": picture(seed) for seed in range(3)})
    table = pd.DataFrame({"image": ["train/rose/2.png", "gone.png"], "split": "test", "class": "NA"})
    joined = data.join("flowers", data.hashes, table)
    assert joined.hashes.images.tolist() == ["train/rose/2.png"] and joined.classes.tolist() == ["NA"]
    with pytest.raises(UserError, match="no image in common"):
        data.join("flowers", data.hashes, table.iloc[1:])
