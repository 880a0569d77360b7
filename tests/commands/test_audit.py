"""`python -m florilegium audit`: what people give it, which splits it takes, and what it says about flat pictures."""

import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from florilegium.__main__ import command_line
from florilegium.audit import reading
from florilegium.audit.keeping import locked
from florilegium.core.errors import UserError
from tests.helpers.audit import picture, write


def audit(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["florilegium", "audit", *map(str, arguments), "--out", "out", "--workers", "1"])
    return command_line()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plain(colour: int) -> Image.Image:
    return Image.new("RGB", (40, 40), (colour, 0, 0))


@pytest.mark.parametrize("val", ["val", "valid", "Validation", "val2017"])
def test_the_training_side_of_a_leak_is_dropped(val: str, monkeypatch, capsys) -> None:
    write(Path("x"), {"train/rose/1.png": picture(1), "train/rose/2.png": picture(2), "train/rose/3.png": picture(3)})
    write(Path("x"), {f"{val}/rose/a.png": picture(1), f"{val}/rose/b.png": picture(4), "test/rose/c.png": picture(4)})
    assert audit(monkeypatch, "x") == 1
    assert set(pd.read_csv("out/dropped.csv")["image"]) == {"train/rose/1.png", f"{val}/rose/b.png"}
    said = "train, val, test" if val == "val" else f"train, {val} (as val), test"
    assert f"splits: {said}" in capsys.readouterr().out
    assert json.loads(Path("out/summary.json").read_text())["splits_a"] == said


def test_a_class_called_train_is_no_split(monkeypatch, capsys) -> None:
    write(Path("x"), {"car/1.png": picture(1), "bus/2.png": picture(2), "train/3.png": picture(3)})
    write(Path("x"), {"car/double.png": picture(1)})
    assert audit(monkeypatch, "x") == 1
    assert "splits: none" in capsys.readouterr().out
    pairs = pd.read_csv("out/pairs.csv")
    assert pairs[["split_a", "class_a", "split_b"]].to_numpy().tolist() == [["all", "car", "all"]]


def test_splits_need_no_classes(monkeypatch) -> None:
    write(Path("x"), {"Train/1.png": picture(1), "Test/2.png": picture(1)})
    assert audit(monkeypatch, "x") == 1
    pairs = pd.read_csv("out/pairs.csv")
    assert sorted(pairs[["split_a", "split_b"]].to_numpy()[0]) == ["test", "train"]
    assert pairs["class_a"].tolist() == ["unlabelled"]


def test_folders_that_may_be_splits_or_classes_end_in_a_sentence(monkeypatch) -> None:
    write(Path("x"), {f"{split}/rose/1.png": picture(1) for split in ("train", "valid", "extra")})
    with pytest.raises(UserError, match="'extra' stands beside 'train' and 'valid'"):
        audit(monkeypatch, "x")
    write(Path("y"), {"1.png": picture(1)})
    assert audit(monkeypatch, "x", "y") == 1  # no split is needed between two


def test_flat_pictures_alone_are_counted_and_named(monkeypatch, capsys) -> None:
    write(Path("x"), {f"a/{number}.png": plain(40 * number) for number in range(3)})
    assert audit(monkeypatch, "x") == 0
    told = capsys.readouterr().out
    assert "No leak" in told and "3 of 3 images are flat" in told and "a/0.png" in told


def test_transparent_pictures_alone_end_in_a_verdict(monkeypatch, capsys) -> None:
    write(Path("x"), {"a/0.png": Image.new("RGBA", (40, 40), (0, 0, 0, 0))})
    write(Path("y"), {"b/0.png": picture(1)})
    assert audit(monkeypatch, "x", "y") == 0
    assert "1 of 1 images are flat" in capsys.readouterr().out
    assert audit(monkeypatch, "y", "x") == 0
    assert "1 of 1 images are flat" in capsys.readouterr().out


def test_equal_flat_pictures_are_a_leak(monkeypatch) -> None:
    write(Path("x"), {"train/a.png": plain(0), "train/b.png": plain(80), "test/c.bmp": plain(0)})
    assert audit(monkeypatch, "x") == 1
    assert pd.read_csv("out/dropped.csv")["image"].tolist() == ["train/a.png"]


def test_a_picture_alone_is_compared_with_another_folder_only(monkeypatch, capsys) -> None:
    write(Path("x"), {"1.png": picture(1)})
    write(Path("y"), {"1.png": picture(1)})
    with pytest.raises(UserError, match="x: holds one image, so that there is nothing to compare"):
        audit(monkeypatch, "x")
    assert audit(monkeypatch, "x", "y") == 1


@pytest.mark.parametrize("out", ["x/out", "x/rose/out", "x", "link/out", "y/out"])
def test_a_result_inside_of_a_folder_is_refused(out: str, monkeypatch) -> None:
    write(Path(), {f"{folder}/rose/{seed}.png": picture(seed) for folder in "xy" for seed in range(3)})
    Path("link").symlink_to("x")
    before = sorted(Path().rglob("*"))
    monkeypatch.setattr(sys, "argv", ["florilegium", "audit", "x", "y", "--out", out])
    with pytest.raises(UserError, match=f"--out {out}: lies inside [xy], .*; give a folder beside it"):
        command_line()
    assert sorted(Path().rglob("*")) == before


def test_the_same_command_again_reads_nothing_and_says_the_same(monkeypatch, capsys) -> None:
    write(Path("x"), {f"rose/{seed}.png": picture(seed) for seed in (1, 2, 3)})
    write(Path("y"), {f"iris/{seed}.png": picture(seed) for seed in (3, 4)})
    assert audit(monkeypatch, "x", "y") == 1
    said, pairs = capsys.readouterr().out.splitlines()[:-1], Path("out/pairs.csv").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(reading, "decode", lambda *_: pytest.fail("reads a picture that it knows"))
        assert audit(patch, "x", "y") == 1
    *again, seconds = capsys.readouterr().out.splitlines()
    assert again == said and Path("out/pairs.csv").read_bytes() == pairs
    assert re.fullmatch(
        r"[\d.]+ s: reading and hashing [\d.]+, local features [\d.]+, search of hashes [\d.]+, .*", seconds
    )
    write(Path("x"), {"rose/1.png": picture(4)})
    audit(monkeypatch, "x", "y", "--ground", "black")
    assert "made anew" in capsys.readouterr().out
    assert set(pd.read_csv("out/dropped.csv")["image"]) == {"rose/1.png", "rose/3.png"}


def test_two_audits_do_not_write_into_one_folder(monkeypatch) -> None:
    write(Path("x"), {f"{seed}.png": picture(seed) for seed in range(2)})
    with locked(Path("out/kept/lock")), pytest.raises(UserError, match="out/kept/lock: another audit holds it"):
        audit(monkeypatch, "x")
    assert audit(monkeypatch, "x") == 0


def test_what_is_no_pair_of_folders_gets_its_sentence(here: Path, monkeypatch) -> None:
    write(here / "x", {"1.png": picture(1), "deep/2.png": picture(2)})
    (here / "link").symlink_to(here / "x")
    cases = {
        ("x", "x"): "x and x: are the same folder",
        ("x", "link"): "x and link: are the same folder",
        ("link", here / "x"): "are the same folder",
        ("x", here / "link" / "deep"): "lies inside x, so its files would be compared with themselves",
        ("link/deep", "x"): "lies inside x",
        ("x/1.png",): "x/1.png: is a file; give its folder",
        ("x", "x/1.png"): "x/1.png: is a file; give its folder",
        ("x", "nowhere"): "nowhere: there is no such folder",
    }
    for arguments, sentence in cases.items():
        with pytest.raises(UserError, match=sentence):
            audit(monkeypatch, *arguments)
    (here / "out").write_text("")
    with pytest.raises(UserError, match="--out out: is a file; give a folder"):
        audit(monkeypatch, "x")
