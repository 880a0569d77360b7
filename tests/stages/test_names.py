"""Folders and names of any kind, from a person's own folder to the images that a network is trained on."""

import os
from pathlib import Path

import numpy as np
import pytest

from florilegium.config.data import DataUse
from florilegium.config.datasets import Dataset
from florilegium.config.pictures import DEFAULT
from florilegium.core.files import read_json
from florilegium.core.tables import read_table
from florilegium.data.load import Splits, load_splits
from florilegium.stages import fetch, index, pack
from tests.helpers.data import picture
from tests.helpers.stages import run_stage

NUMBERS = ["1", "2", "10", "102", "01", "1e3", "-1", "1.0", "inf", "-inf"]
MISSING = ["None", "NA", "null", "nan", "NaN", "N-A", "#N", "-", " ", "true", "yes", "False"]
FORMULAS = [
    "=1+1",
    "@x",
    "+a",
    "-rf",
    "'q'",
    '"q"',
    "a,b",
    "a;b",
    "$x$",
    "{class}",
    "<b>",
    "#%&",
    "`$(x)`",
    "\U0001f33c",
]
RESOURCES = Path("resources/set")
ENTRY = Dataset(title="own", layout="folders", folder="own").model_dump(
    mode="json", exclude_none=True, exclude={"title"}
)


def write(folder: Path, *names: str) -> None:
    """Pictures, each of a colour of its own."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture((number * 37 % 256, number * 91 % 256, number * 53 % 256)))


def listed(monkeypatch: pytest.MonkeyPatch, here: Path) -> bytes:
    """`files.json` of the folder `own`."""
    monkeypatch.chdir(here)
    spec = {"dataset": ENTRY, "override": None}
    run_stage(monkeypatch, fetch, spec, "--name", "set", "--out", RESOURCES / "files.json")
    return (RESOURCES / "files.json").read_bytes()


def loaded(monkeypatch: pytest.MonkeyPatch, here: Path) -> Splits:
    """All images of the folder `own`, in splits, as `train` gets them."""
    listed(monkeypatch, here)
    files, table = RESOURCES / "files.json", RESOURCES / "images.csv"
    run_stage(monkeypatch, index, {"dataset": ENTRY, "split": None}, "--files", files, "--out", table)
    spec = {"layout": "folders", "corrupt": "stop", "pictures": DEFAULT.model_dump(mode="json")}
    pixels = RESOURCES / "pixels8.npy"
    run_stage(monkeypatch, pack, spec, "--files", files, "--size", 8, "--out", pixels)
    use = DataUse(dataset="set", storage_size=8, train=("train",), val=("val",), test=("test",))
    return load_splits(use, pixels=pixels, images=table)


@pytest.mark.parametrize("classes", [NUMBERS, MISSING, FORMULAS], ids=["numbers", "missing", "formulas"])
def test_a_class_is_the_text_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: list[str]) -> None:
    write(tmp_path / "own", *(f"{name}/{i}.jpg" for name in classes for i in range(3)))
    splits = loaded(monkeypatch, tmp_path)
    assert splits.classes == tuple(sorted(classes))  # as ImageFolder sorts them
    for part in (splits.train, splits.val, splits.test):
        assert part is not None and sorted(part.labels.tolist()) == list(range(len(classes)))
        for name, label in zip(part.names, part.labels.tolist(), strict=True):
            assert name.split("/")[0] == splits.classes[label]


def test_classes_spelt_in_two_ways_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    folders = [f"train/{composed}", f"test/{decomposed}", "train/bar", "test/bar"]
    write(tmp_path / "own", *(f"{folder}/{i}.jpg" for folder in folders for i in range(3)))
    splits = loaded(monkeypatch, tmp_path)
    assert splits.classes == ("bar", composed)
    assert splits.test.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert splits.test.names[-1] == f"test/{decomposed}/2.jpg"


FILES = [
    *("two words.jpg", "{sample}.jpg", "<b>.jpg", "it's.jpg", 'q"q.jpg', "#1.jpg", "100%.jpg", "a&b;c.jpg", "a,b.jpg"),
    *(
        "line\nbreak.jpg",
        "cr\rhere.jpg",
        "tab\t.jpg",
        "-rf.jpg",
        "=1+1.jpg",
        "\U0001f33c.jpg",
        "e\u0301.jpg",
        "\u00e9.jpg",
    ),
    *("back\\slash.jpg", r"\udce9.jpg", "NUL.jpg", "x" * 251 + ".jpg", "nan.jpg", "\u2028.jpg", "trailing. .jpg"),
    *(os.fsdecode(b"caf\xe9.jpg"), os.fsdecode(b"\xff\xfe\x80.jpg")),
]


def test_files_of_any_name_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latin = os.fsdecode(b"\xfcber")  # a class folder that is no UTF-8 has a name that can be drawn
    deep = "/".join(["deep"] * 40)
    names = [f"{label}/{file}" for label in ("a", latin, f"b/{deep}") for file in FILES]
    write(tmp_path / "own", *names)
    splits = loaded(monkeypatch, tmp_path)
    assert splits.classes == (r"\xfcber", "a", "b")
    assert sorted(n for part in (splits.train, splits.val, splits.test) if part for n in part.names) == sorted(names)
    colours = {name: (n * 37 % 256, n * 91 % 256, n * 53 % 256) for n, name in enumerate(names)}
    for name, pixels in zip(splits.train.names, splits.train.pixels[:].numpy(), strict=True):
        assert np.abs(pixels.mean(axis=(0, 1)) - colours[name]).max() < 6
    (RESOURCES / "images.csv").read_text(encoding="utf-8")  # for other programs


def test_litter_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    write(own, "a/1.jpg", "b/1.jpg")
    before = listed(monkeypatch, tmp_path)
    write(own, ".DS_Store", "a/.DS_Store", "a/._1.jpg", "Thumbs.db", "b/desktop.ini", "__MACOSX/a/._1.jpg")
    write(own, "a/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", ".ipynb_checkpoints/1-checkpoint.jpg", "b/Icon\r")
    assert listed(monkeypatch, tmp_path) == before
    assert [file["path"] for file in read_json(RESOURCES / "files.json")["files"]] == ["a/1.jpg", "b/1.jpg"]


def test_a_linked_class_is_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "own", *(f"cats/{i}.jpg" for i in range(3)))
    write(tmp_path / "elsewhere", *(f"{i}.jpg" for i in range(3)))
    (tmp_path / "own" / "dogs").symlink_to(tmp_path / "elsewhere")
    assert loaded(monkeypatch, tmp_path).classes == ("cats", "dogs")


def test_what_is_left_out_is_said_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    write(own, *(f"{label}/{i}.jpg" for label in "ab" for i in range(3)), ".DS_Store")
    (own / "notes.txt").write_text("to do")
    (own / "a" / "phone.heic").write_text("")
    (own / "a" / "gone.jpg").symlink_to("nowhere.jpg")
    loaded(monkeypatch, tmp_path)
    printed = capsys.readouterr().out
    assert "own: 2 files are left out: 1 broken link (a/gone.jpg), 1 hidden (.DS_Store)" in printed
    assert "own: 2 files are left out: 1 .txt (notes.txt), 1 HEIC that cannot be read here (a/phone.heic)" in printed
    receipt = read_json(RESOURCES / "images.receipt.json")
    assert receipt["left_out"] == {".txt": 1, "HEIC that cannot be read here": 1}
    assert len(read_table(RESOURCES / "images.csv")) == 6
