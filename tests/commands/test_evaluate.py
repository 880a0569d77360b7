"""`python -m florilegium evaluate`: accuracy of a checkpoint on a labelled data set."""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from florilegium.commands import evaluate
from florilegium.core.errors import UserError
from tests.helpers.colours import STORED, make_run, picture, write_pictures


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"))


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    evaluate.add_parser(parser.add_subparsers())
    args = parser.parse_args(["evaluate", *map(str, arguments), "--device", "cpu"])
    return args.run(args)


def shown(capsys) -> dict[str, list[str]]:
    """The printed lines by their first word."""
    return {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}


def test_a_folder_per_class(checkpoint: Path, tmp_path: Path, capsys):
    """Three of four are right: one red picture lies among the blue ones. Wilson's interval is a known one."""
    write_pictures(tmp_path / "set", {"red/1.png": 0, "red/2.png": 0, "blue/1.png": 2, "blue/2.png": 0})
    assert run(checkpoint, tmp_path / "set", "--csv", tmp_path / "out.csv") == 0
    lines = shown(capsys)
    assert lines["images"] == ["4"]
    assert lines["classes"][:4] == ["2", "of", "the", "3"]
    assert lines["top1"][0] == "0.7500"
    assert (lines["top1"][4], lines["top1"][6]) == ("0.3006", "0.9544")
    assert lines["top5"] == ["1.0000"]
    assert (lines["blue"], lines["red"]) == (["0.5000", "of", "2"], ["1.0000", "of", "2"])
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["image"].tolist() == ["blue/1.png", "blue/2.png", "red/1.png", "red/2.png"]
    assert table["target"].tolist() == ["blue", "blue", "red", "red"]
    assert table["prediction"].tolist() == ["blue", "red", "red", "red"]
    sure = table["probability"] - (table["target"] == table["prediction"])
    assert float(lines["ece"][0]) == pytest.approx(
        abs(sure.groupby(np.ceil(table["probability"] * 15)).sum()).sum() / 4, abs=1e-4
    )


def test_a_folder_with_splits(checkpoint: Path, tmp_path: Path, capsys):
    write_pictures(tmp_path / "set", {"train/red/1.png": 0, "test/red/1.png": 1, "test/blue/2.png": 2})
    run(checkpoint, tmp_path / "set")
    assert shown(capsys)["top1"][0] == "0.5000"
    run(checkpoint, tmp_path / "set", "--split", "train")
    assert shown(capsys)["top1"][0] == "1.0000"
    with pytest.raises(UserError, match=r"no image is in the split 'val' \(there are train, test\)"):
        run(checkpoint, tmp_path / "set", "--split", "val")


def test_splits_by_other_names_and_classes_that_are_called_as_splits(checkpoint: Path, tmp_path: Path, capsys):
    """Pictures are named by their path below the folder, as in the workflow's tables."""
    write_pictures(tmp_path / "set", {"Training/red/1.png": 0, "valid/red/1.png": 1, "valid/blue/2.png": 2})
    assert run(checkpoint, tmp_path / "set", "--split", "val", "--csv", tmp_path / "out.csv") == 0
    lines = shown(capsys)
    assert lines["splits"] == ["val", "of", "Training", "(as", "train),", "valid", "(as", "val)"]
    assert lines["top1"][0] == "0.5000"
    assert pd.read_csv(tmp_path / "out.csv")["image"].tolist() == ["valid/blue/2.png", "valid/red/1.png"]
    write_pictures(tmp_path / "classes", {"train/1.png": 0, "red/1.png": 0})
    with pytest.raises(UserError, match="class 'train' is none of the 3"):
        run(checkpoint, tmp_path / "classes")


def test_a_packed_data_set_by_name(checkpoint: Path, tmp_path: Path, monkeypatch, capsys):
    """`colours_split2` has its own table and the pixels of `colours`; an image without pixels is left out."""
    monkeypatch.chdir(tmp_path)
    for folder in ("resources/colours", "resources/colours_split2"):
        Path(folder).mkdir(parents=True)
    stem = f"resources/colours/pixels{STORED}"
    np.save(f"{stem}.npy", np.stack([picture(0, 0), picture(1, 1), picture(2, 2), picture(0, 3)]))
    pd.DataFrame({"image": ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]}).to_csv(f"{stem}.csv", index=False)
    rows = [("a.jpg", "red", "test"), ("b.jpg", "green", "train"), ("c.jpg", "blue", "test")]
    rows += [("d.jpg", "green", "test"), ("skipped.jpg", "red", "test")]
    pd.DataFrame(rows, columns=["image", "class", "split"]).to_csv("resources/colours_split2/images.csv", index=False)
    assert run(checkpoint, "colours_split2") == 0
    lines = shown(capsys)
    assert (lines["images"], lines["top1"][0]) == (["3"], "0.6667")


def test_pixels_on_another_ground_than_the_training_had_are_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    folder = Path("resources/colours")
    folder.mkdir(parents=True)
    pixels = folder / f"pixels{STORED}.npy"
    np.save(pixels, picture(0, 0)[None])
    pixels.with_suffix(".csv").write_text("image\na.png\n")
    (folder / "images.csv").write_text("image,class,split\na.png,red,test\n")
    receipt = pixels.with_suffix(".receipt.json")
    receipt.write_text(json.dumps({"spec": {"pictures": {"ground": "#000000"}}}))
    with pytest.raises(UserError, match=r"lie on #000000, and those that .* on #ffffff; set pictures\.ground"):
        run(checkpoint, "colours")
    receipt.write_text(json.dumps({"spec": {"pictures": {"ground": "#ffffff"}}}))
    assert run(checkpoint, "colours") == 0


def test_unreadable_files_are_named_and_the_others_measured(checkpoint: Path, tmp_path: Path, capsys):
    write_pictures(tmp_path / "set", {"red/1.png": 0, "blue/1.png": 2})
    (tmp_path / "set" / "red" / "2.png").write_bytes(b"no picture")
    assert run(checkpoint, tmp_path / "set") == 2
    printed = capsys.readouterr()
    assert printed.err == f"error: {tmp_path / 'set' / 'red' / '2.png'}: not an image\n"
    assert printed.out.splitlines()[0].split() == ["images", "2"]


def test_links_are_followed_litter_is_passed_over_and_the_rest_counted(checkpoint: Path, tmp_path: Path, capsys):
    write_pictures(
        tmp_path, {"set/red/1.png": 0, "elsewhere/1.png": 2, "set/red/._1.png": 1, "set/__MACOSX/a/1.png": 1}
    )
    (tmp_path / "set" / "blue").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "notes.txt").touch()
    assert run(checkpoint, tmp_path / "set") == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0].split() == ["images", "2"]
    said = "3 files are left out: 2 hidden (__MACOSX), 1 .txt (notes.txt)"
    assert printed.err == f"{tmp_path / 'set'}: {said}\n"


@pytest.mark.parametrize(
    ("pictures", "sentence"),
    [
        (
            {"red/1.png": 0, "rose/1.png": 0, "tulip/1.png": 1},
            r"class 'rose', 'tulip' is none of the 3 .*'blue', 'green'",
        ),
        ({"red/1.png": 0, "2.png": 0}, r"2.png: lies in no class folder"),
        ({}, r"holds no images; give a folder that has one folder of images a class"),
    ],
)
def test_a_folder_that_does_not_fit_is_told_in_a_sentence(
    checkpoint: Path, tmp_path: Path, pictures: dict[str, int], sentence: str
):
    (tmp_path / "set").mkdir()
    write_pictures(tmp_path / "set", pictures)
    with pytest.raises(UserError, match=sentence):
        run(checkpoint, tmp_path / "set")


def test_a_name_that_is_not_packed_is_told_in_a_sentence(checkpoint: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"oxford71: is no folder, and no data set that is packed already"):
        run(checkpoint, "oxford71")
    write_pictures(tmp_path, {"1.png": 0})
    with pytest.raises(UserError, match=r"1.png: is a file; give a folder"):
        run(checkpoint, "1.png")
    with pytest.raises(UserError, match=r"no/set: there is no such path; give a folder"):
        run(checkpoint, "no/set")
