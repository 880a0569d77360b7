"""`python -m florilegium audit`: what people give it, which splits it takes, and what it says about flat pictures."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from florilegium.__main__ import command_line
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


@pytest.mark.parametrize("count", [1, 3])
def test_flat_pictures_alone_are_counted_and_named(count: int, monkeypatch, capsys) -> None:
    write(Path("x"), {f"a/{number}.png": plain(40 * number) for number in range(count)})
    assert audit(monkeypatch, "x") == 0
    told = capsys.readouterr().out
    assert "No leak" in told and f"{count} of {count} images are flat" in told and "a/0.png" in told


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


def test_a_picture_alone_is_no_leak(monkeypatch, capsys) -> None:
    write(Path("x"), {"1.png": picture(1)})
    assert audit(monkeypatch, "x") == 0
    told = capsys.readouterr().out
    assert "No leak" in told and "flat" not in told


@pytest.mark.parametrize("out", ["x/out", "x/rose/out", "x"])
def test_what_an_audit_wrote_is_not_audited(out: str, monkeypatch, capsys) -> None:
    write(Path("x"), {f"rose/{seed}.png": picture(seed) for seed in range(3)})
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["florilegium", "audit", "x", "--out", out, "--workers", "1"])
        assert command_line() == 0
        assert "x (3 images)" in capsys.readouterr().out
        assert json.loads(Path(out, "summary.json").read_text())["n_a"] == 3


def test_what_is_no_pair_of_folders_gets_its_sentence(here: Path, monkeypatch) -> None:
    write(here / "x", {"1.png": picture(1)})
    (here / "link").symlink_to(here / "x")
    cases = {
        ("x", "x"): "x and x: are the same folder",
        ("x", "link"): "x and link: are the same folder",
        ("link", here / "x"): "are the same folder",
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
