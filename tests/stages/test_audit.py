"""The command line and the two stages, as a person and as the workflow run them."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from florilegium.__main__ import command_line
from florilegium.audit import hashing
from florilegium.audit.pictures import FILES
from florilegium.commands.audit import KEPT
from florilegium.core.errors import UserError
from florilegium.core.outputs import HASHES
from florilegium.stages import audit as audit_stage
from florilegium.stages import hash
from tests.helpers.audit import picture, write
from tests.helpers.stages import run_stage


def audit(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["florilegium", "audit", *map(str, arguments), "--workers", "1"])
    return command_line()


@pytest.fixture
def folders(tmp_path) -> Path:
    write(tmp_path / "a", {f"rose/{seed}.png": picture(seed) for seed in range(4)})
    write(tmp_path / "b", {f"iris/{seed}.png": picture(seed) for seed in range(10, 14)})
    return tmp_path


def test_two_folders_without_a_common_picture(folders, monkeypatch, capsys):
    assert audit(monkeypatch, folders / "a", folders / "b", "--out", folders / "out") == 0
    assert "No leak" in capsys.readouterr().out
    assert sorted(path.name for path in (folders / "out").iterdir()) == sorted([*FILES, KEPT])


def test_two_folders_that_share_a_turned_picture(folders, monkeypatch, capsys):
    write(folders / "b", {"iris/copy.jpg": picture(2).transpose(Image.Transpose.ROTATE_90)})
    assert audit(monkeypatch, folders / "a", folders / "b", "--out", folders / "out") == 1
    assert "LEAK: 1 image of b" in capsys.readouterr().out
    pairs = pd.read_csv(folders / "out" / "pairs.csv")
    assert pairs[["image_a", "class_a", "image_b", "split_b", "transform"]].to_numpy().tolist() == [
        ["rose/2.png", "rose", "iris/copy.jpg", "all", "rotate90"]
    ]
    assert "rose/2.png" in (folders / "out" / "dropped.csv").read_text()
    assert audit(monkeypatch, folders / "a", folders / "b", "--out", folders / "out", "--no-dihedral") == 0


def test_a_cut_out_is_found_beside_its_picture_on_the_same_ground(tmp_path, monkeypatch, capsys):
    cut_out, flat = picture(1), picture(1)
    mask = Image.new("L", cut_out.size, 0)
    mask.paste(255, (30, 25, 70, 60))
    flat.paste((0, 0, 0), mask=mask.point(lambda value: 255 - value))
    cut_out.putalpha(mask)
    write(tmp_path, {"a/cut.png": cut_out, "b/flat.jpg": flat, "a/other.png": picture(2)})
    arguments = (tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out")
    assert audit(monkeypatch, *arguments) == 0
    assert audit(monkeypatch, *arguments, "--ground", "black") == 1
    with pytest.raises(SystemExit):
        audit(monkeypatch, *arguments, "--ground", "blackk")
    assert "did you mean 'black'?" in capsys.readouterr().err


def test_the_limit_of_pixels_is_an_option(folders, monkeypatch):
    arguments = (folders / "a", folders / "b", "--out", folders / "out", "--max-megapixels")
    assert audit(monkeypatch, *arguments, 0.00768) == 0
    with pytest.raises(UserError, match=r"4 of 4 images cannot be decoded .* raise pictures\.max_megapixels"):
        audit(monkeypatch, *arguments, 0.00767)


def test_one_folder_across_its_splits(tmp_path, monkeypatch):
    write(tmp_path / "x", {"train/rose/1.png": picture(1), "train/rose/2.png": picture(1)})
    write(tmp_path / "x", {"test/rose/3.png": picture(3)})
    assert audit(monkeypatch, tmp_path / "x", "--out", tmp_path / "out") == 0
    write(tmp_path / "x", {"test/rose/4.png": picture(1)})
    assert audit(monkeypatch, tmp_path / "x", "--out", tmp_path / "out") == 1
    assert len(pd.read_csv(tmp_path / "out" / "dropped.csv")) == 2


def test_one_folder_without_splits_must_hold_no_double(tmp_path, monkeypatch):
    write(tmp_path / "x", {"1.png": picture(1), "2.png": picture(2)})
    assert audit(monkeypatch, tmp_path / "x", "--out", tmp_path / "out") == 0
    write(tmp_path / "x", {"3.png": picture(1)})
    assert audit(monkeypatch, tmp_path / "x", "--out", tmp_path / "out") == 1


def test_bad_input_gets_its_sentence(folders, monkeypatch):
    (folders / "empty").mkdir()
    cases = {
        (folders / "nowhere",): "there is no such folder",
        (folders / "a", folders / "empty"): "there is no image in this folder",
        (folders, folders / "a"): "lies inside",
        (folders / "a", "--radius", "65"): "--radius 65: must lie between 0 and 64",
        (folders / "a", "--pixel-threshold", "-1"): "--pixel-threshold -1.0: must lie between 0 and 1",
    }
    for arguments, sentence in cases.items():
        with pytest.raises(UserError, match=sentence):
            audit(monkeypatch, *arguments, "--out", folders / "out")
    (folders / "a" / "broken.jpg").write_text("<html>")
    with pytest.raises(UserError, match="--corrupt skip"):
        audit(monkeypatch, folders / "a", "--out", folders / "out")
    assert [path.name for path in (folders / "out").iterdir()] == [KEPT], "all else that was read is kept"
    assert audit(monkeypatch, folders / "a", "--out", folders / "out", "--corrupt", "skip") == 0


def test_the_command_exits_with_two_and_one_sentence_and_never_imports_torch(tmp_path):
    run = [sys.executable, "-X", "importtime", "-m", "florilegium", "audit", tmp_path / "nowhere", "--out", tmp_path]
    done = subprocess.run(run, capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("import time")]
    assert done.returncode == 2 and len(errors) == 1 and errors[0].startswith("error: ")
    assert hashing.__name__ in done.stderr and "torch" not in done.stderr


def test_the_stages_make_an_audit_of_two_data_sets(folders, monkeypatch):
    monkeypatch.chdir(folders)
    write(folders / "b", {"iris/copy.png": picture(2)})
    for name in "ab":
        paths = sorted(path.relative_to(name).as_posix() for path in Path(name).rglob("*.png"))
        listing = {"root": name, "files": [{"path": path} for path in [*paths, "readme.txt"]]}
        Path(f"{name}.json").write_text(json.dumps(listing))
        table = pd.DataFrame({"image": paths, "class": "NA", "split": "test"})
        table.to_csv(f"{name}.csv", index=False)
        run_stage(
            monkeypatch,
            hash,
            {"layout": "folders", "corrupt": "stop", "pictures": {}, "crops": True},
            *("--files", f"{name}.json", "--out", f"{name}/hashes", "--state", f"state/{name}"),
        )
        assert json.loads(Path(f"{name}/hashes.receipt.json").read_text())["n_images"] == len(paths)
    sides = []
    for name in "ab":
        sides += [f"--name-{name}", name, f"--hashes-{name}", f"{name}/hashes"]
        sides += [f"--images-{name}", f"{name}.csv", f"--files-{name}", f"{name}.json"]
    run_stage(monkeypatch, audit_stage, {"audit": {"radius": 8}, "pictures": {}}, *sides, "--out", "out")
    assert sorted(path.name for path in Path("out").iterdir()) == sorted([*FILES, "receipt.json"])
    assert pd.read_csv("out/dropped.csv").to_numpy().tolist() == [
        ["rose/2.png", "shows test image iris/copy.png of b", "same_picture"]
    ]
    receipt = json.loads(Path("out/receipt.json").read_text())
    assert set(receipt["outputs"]) == {f"out/{name}" for name in FILES}
    tables = {f"{name}.{suffix}" for name in "ab" for suffix in ("csv", "json")}
    assert set(receipt["inputs"]) == tables | {f"{name}/hashes/{file}" for name in "ab" for file in HASHES}
