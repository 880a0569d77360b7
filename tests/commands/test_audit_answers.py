"""`python -m florilegium audit` as a check: what it prints for machines, and what its exit code says."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florilegium.__main__ import command_line
from florilegium.commands import audit as command
from florilegium.core.errors import UNREAD, UserError, run_main
from tests.helpers.audit import picture, write


def audit(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["florilegium", "audit", *map(str, arguments), "--out", "out", "--workers", "1"])
    return command_line()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn or written, which takes most of a small audit's time."""
    monkeypatch.setattr(command, "write_audit", lambda *_: [])


@pytest.fixture
def doubled() -> None:
    """A picture stands twice in train, and none in two splits."""
    write(Path("x"), {"train/1.png": picture(1), "train/1_again.png": picture(1), "test/2.png": picture(2)})


@pytest.fixture
def leaking() -> None:
    write(Path("x"), {"train/1.png": picture(1), "test/1.png": picture(1)})


def test_a_double_inside_a_split_fails_only_where_it_is_asked_for(monkeypatch, doubled, undrawn) -> None:
    assert audit(monkeypatch, "x") == audit(monkeypatch, "x", "--fail-on", "leak") == 0
    assert audit(monkeypatch, "x", "--fail-on", "double") == 1
    write(Path("y"), {"train/1.png": picture(1), "test/2.png": picture(2)})
    assert audit(monkeypatch, "y", "--fail-on", "double") == 0


def test_a_leak_fails_whatever_is_asked_for(monkeypatch, leaking, undrawn) -> None:
    assert audit(monkeypatch, "x") == audit(monkeypatch, "x", "--fail-on", "double") == 1


def test_machines_get_one_object_and_people_the_other_stream(monkeypatch, capsys, doubled) -> None:
    write(Path("x"), {"train/0.png": Image.new("RGB", (40, 40))})
    Path("x/train/broken.png").write_text("")
    Path("x/notes.txt").write_text("")
    assert audit(monkeypatch, "x", "--json", "--corrupt", "skip") == 0
    printed, said = capsys.readouterr()
    result = json.loads(printed)
    assert "No leak" in said and "broken.png" in said and "notes.txt" in said
    assert result["leak"] is False and result["dropped"] == 0
    assert result["kinds"] == {"whole": 0, "cut": 0, "double": 1, "allowed": 0, "near": 0}
    a = {
        "name": "x",
        "folder": "x",
        "images": 4,
        "skipped": 1,
        "flat": 1,
        "small": 1,
        "splits": {"test": 1, "train": 3},
    }
    assert result["a"] == a and "b" not in result
    assert all(Path(path).is_file() for path in result["files"].values()) and "audit.html" in result["files"]
    assert {"reading and hashing", "local features", "search of hashes", "pictures"} <= set(result["seconds"])


def test_machines_get_both_folders_and_the_leak(monkeypatch, capsys, undrawn) -> None:
    write(Path(), {"x/1.png": picture(1), "x/2.png": picture(2), "y/1.png": picture(1)})
    assert audit(monkeypatch, "x", "y", "--json") == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["a"]["images"], result["b"]["images"], result["kinds"]["whole"]) == (2, 1, 1)
    assert result["leak"] is True and result["dropped"] == 1


def test_nobody_reads_the_object(monkeypatch, leaking, undrawn) -> None:
    class Closed:
        def write(self, text: str) -> None:
            raise BrokenPipeError(32, "Broken pipe")

        flush = fileno = lambda self: 1

    monkeypatch.setattr("florilegium.core.errors._nobody_reads", lambda: True)
    monkeypatch.setattr("florilegium.core.errors._close_output", lambda: None)
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(SystemExit) as ended:
        run_main(lambda: audit(monkeypatch, "x", "--json"))
    assert ended.value.code == UNREAD


def test_small_pictures_are_told_where_crops_are_looked_for(monkeypatch, capsys, undrawn) -> None:
    write(Path("x"), {"a/1.png": picture(1, (47, 90)), "a/2.png": picture(2, (48, 90)), "b/3.png": picture(3)})
    assert audit(monkeypatch, "x") == 0
    told = "x: 1 of 3 images are below 48 pixels, so that cut copies of them cannot be seen (a/1.png)."
    assert told in capsys.readouterr().out
    assert audit(monkeypatch, "x", "--no-crops") == 0
    printed = capsys.readouterr().out
    assert "48 pixels" not in printed and "local features" not in printed


def test_a_part_is_a_leak_unless_crops_are_left_out(monkeypatch, capsys) -> None:
    rng = np.random.default_rng(0)
    photograph = Image.fromarray(rng.integers(0, 256, (40, 53, 3), np.uint8)).resize(
        (424, 320), Image.Resampling.BICUBIC
    )
    write(Path(), {"x/1.png": photograph, "y/1.png": photograph.crop((120, 0, 424, 240)), "y/2.png": picture(2)})
    assert audit(monkeypatch, "x", "y", "--no-crops") == 0
    capsys.readouterr()
    assert audit(monkeypatch, "x", "y", "--json") == 1
    assert json.loads(capsys.readouterr().out)["kinds"]["cut"] == 1
    assert re.search(r"cut to \d\d%, \d+ points, \d+% of the overlap agrees", Path("out/audit.html").read_text())


def test_what_cannot_be_asked_for_is_one_sentence(monkeypatch, capsys, leaking) -> None:
    with pytest.raises(UserError, match="--fail-on double: looks inside one folder, and here are two"):
        audit(monkeypatch, "x/train", "x/test", "--fail-on", "double")
    with pytest.raises(SystemExit, match="2"):
        audit(monkeypatch, "x", "--fail-on", "crops")
    assert "argument --fail-on: invalid choice: 'crops'" in capsys.readouterr().err
    assert not Path("out").exists()
