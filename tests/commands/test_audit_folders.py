"""`python -m florilegium audit`: which files of a folder it looks at, whatever they are called."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florilegium.__main__ import command_line
from florilegium.commands.audit import KEPT
from florilegium.core.errors import UserError
from florilegium.core.tables import read_table
from tests.helpers.audit import picture, write


def audit(monkeypatch: pytest.MonkeyPatch, *arguments: object, out: object = "out") -> int:
    monkeypatch.setattr(
        sys, "argv", ["florilegium", "audit", *map(str, arguments), "--out", str(out), "--workers", "1"]
    )
    return command_line()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_leak_in_a_linked_class_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path(), {"store/1.png": picture(1), "train/a/2.png": picture(2), "test/b/1.png": picture(1)})
    Path("train/b").symlink_to("../store")
    assert audit(monkeypatch, "train", "test") == 1
    assert read_table(Path("out/dropped.csv"))["image"].tolist() == ["b/1.png"]


def test_what_an_audit_wrote_is_not_audited(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Path(), {"set/a/1.png": picture(1), "set/b/2.png": picture(2)})
    assert audit(monkeypatch, "set") == 0
    for place in ("set/result", "set"):
        shutil.copytree("out", place, ignore=shutil.ignore_patterns(KEPT), dirs_exist_ok=True)
    assert audit(monkeypatch, "set") == 0
    printed = capsys.readouterr().out
    assert printed.count("set (2 images)") == 2
    assert "set: 14 files are left out: 14 written by an audit" in printed


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines", b"=1+1", b"$x$", b"-rf", "{e\u0301}".encode(), b"NA"])
def test_a_leak_is_found_whatever_folders_and_files_are_called(monkeypatch: pytest.MonkeyPatch, name: bytes) -> None:
    odd = os.fsdecode(name)
    write(Path(), {f"{odd}/{odd}/{odd}.png": picture(1), f"test/{odd}/double.png": picture(1)})
    assert audit(monkeypatch, f"./{odd}", "test") == 1
    pairs = read_table(Path("out/pairs.csv"))
    assert pairs["image_a"].tolist() == [f"{odd}/{odd}.png"]
    assert pairs["class_a"].tolist() == pairs["class_b"].tolist()
    assert Path("out/contact_sheet.png").stat().st_size > 10_000


def test_long_names_of_folders_stay_inside_the_pictures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    """Two folders of one name are called by their whole paths."""
    sides = [f"{'photographs ' * 16}{side}/日本語" for side in "ab"]
    write(Path(), {f"{side}/{label}/{label}.png": picture(1) for side in sides for label in ("m" * 150, "rose")})
    assert audit(monkeypatch, *sides) == 1
    assert "its folders are classes (mmm" in capsys.readouterr().out
    for name in ("contact_sheet.png", "distances.png"):
        with Image.open(f"out/{name}") as sheet:
            pixels = np.asarray(sheet.convert("L"))
        assert pixels.min() < 50 and pixels[:, :2].min() == 255 and pixels[:, -2:].min() == 255, name
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("names", [("a", "b", "c"), ("entrance", "exit", "garden", "hall", "kitchen")])
def test_the_classes_that_were_taken_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], names: tuple[str, ...]
) -> None:
    write(Path(), {f"set/{name}/1.png": picture(index) for index, name in enumerate(names)})
    assert audit(monkeypatch, "set") == 0
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    said = f"set: splits: none, its folders are classes ({', '.join(names[:3])}{more})\n"
    assert capsys.readouterr().out.startswith(said)


def test_a_circle_of_links_is_one_sentence_before_anything_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path(), {"set/a/1.png": picture(1)})
    Path("set/a/up").symlink_to("..")
    with pytest.raises(UserError, match="set/a/up: this link leads to a folder that it lies in"):
        audit(monkeypatch, "set")
    assert not Path("out").exists()
