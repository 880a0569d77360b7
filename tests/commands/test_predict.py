"""`python -m florilegium predict`: a table of answers from a checkpoint and its receipt."""

import argparse
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from florilegium.commands import predict
from florilegium.core.errors import UserError
from florilegium.core.tables import read_table
from florilegium.models import registry
from tests.helpers.colours import CLASSES, MODEL, SIZE, STORED, make_run, picture, write_pictures

PICTURES = {"blue.png": 2, "deep/red.png": 0, "green.png": 1}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run")).parent


@pytest.fixture
def checkpoint(run_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(run_folder, tmp_path / "run")) / "checkpoint.safetensors"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "pictures", PICTURES)
    return tmp_path / "pictures"


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    predict.add_parser(parser.add_subparsers())
    args = parser.parse_args(["predict", *map(str, arguments), "--device", "cpu"])
    return args.run(args)


def test_a_folder_gets_a_sorted_table_of_right_answers(checkpoint: Path, pictures: Path, capsys):
    assert run(checkpoint, pictures) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["image", "rank", "prediction", "probability"]
    found = [(Path(line[0]).relative_to(pictures).as_posix(), line[2]) for line in lines[1:]]
    assert found == [("blue.png", "blue"), ("deep/red.png", "red"), ("green.png", "green")]


def test_columns_stand_below_each_other(checkpoint: Path, pictures: Path, capsys):
    run(checkpoint, pictures)
    lines = capsys.readouterr().out.splitlines()
    words = ["prediction", "blue ", "red ", "green "]
    assert len({line.index(word) for line, word in zip(lines, words, strict=True)}) == 1


def test_the_probability_is_that_of_the_network_on_pixels_prepared_by_hand(
    checkpoint: Path, tmp_path: Path, pictures: Path
):
    """A stored side of 24 and an input of 16, of 18 as the receipt says: shrunk to 18, then the middle 16."""
    path = pictures / "deep" / "red.png"
    assert run(checkpoint, path, "--top", 3, "--csv", tmp_path / "out.csv") == 0
    table = pd.read_csv(tmp_path / "out.csv")
    config = json.loads(checkpoint.with_name("receipt.json").read_text())["input"]
    image = Image.open(path).resize((18, 18), Image.Resampling.BICUBIC).crop((1, 1, 17, 17))
    pixels = (np.asarray(image) / 255 - config["mean"]) / config["std"]
    assert (image.size, STORED) == ((SIZE, SIZE), 24)
    network = registry.build(MODEL, 3).eval()
    network.load_state_dict(load_file(checkpoint))
    by_hand = network(torch.tensor(pixels, dtype=torch.float32).permute(2, 0, 1)[None]).softmax(1)[0].tolist()
    assert table["prediction"].tolist() == [CLASSES[k] for k in np.argsort(by_hand)[::-1]]
    assert table["probability"].tolist() == pytest.approx(sorted(by_hand, reverse=True), abs=5e-4)
    assert table["rank"].tolist() == [1, 2, 3]


def test_names_of_any_kind_have_a_line_each_and_the_rest_is_counted(checkpoint: Path, tmp_path: Path, capsys):
    names = ["-a.png", "=1.png", "a b.png", "line\nbreak.png", os.fsdecode(b"caf\xe9.png"), "{x}.png"]
    write_pictures(tmp_path / "odd", {f".hidden root/{name}": 0 for name in names})
    folder = tmp_path / "odd" / ".hidden root"
    for other in (".DS_Store", "notes.txt", "phone.heic"):
        (folder / other).touch()
    assert run(checkpoint, folder, "--csv", tmp_path / "out.csv") == 0
    printed = capsys.readouterr()
    lines = [line.removeprefix(f"{folder}/").rsplit(maxsplit=3)[0].rstrip() for line in printed.out.splitlines()[1:]]
    assert lines == ["-a.png", "=1.png", "a b.png", r"caf\xe9.png", r"line\nbreak.png", "{x}.png"]
    assert "3 files are left out: 1 .txt (notes.txt), 1 HEIC that cannot be read here (phone.heic)" in printed.err
    assert list(read_table(tmp_path / "out.csv")["image"]) == [f"{folder}/{name}" for name in sorted(names)]


def test_links_in_a_circle_are_one_sentence(checkpoint: Path, pictures: Path):
    (pictures / "again").symlink_to(pictures)
    with pytest.raises(UserError, match="again: this link leads to a folder that it lies in"):
        run(checkpoint, pictures)


@pytest.mark.parametrize(("part", "seen"), [(1.0, "blue"), (1 / 3, "red")])
def test_the_receipt_says_how_much_of_a_picture_is_looked_at(checkpoint: Path, tmp_path: Path, part, seen):
    """Red in the middle third, blue around it."""
    pixels = picture(CLASSES.index("blue"), 0)
    pixels[8:16, 8:16] = picture(CLASSES.index("red"), 1)[8:16, 8:16]
    Image.fromarray(pixels).save(tmp_path / "flower.png")
    receipt = checkpoint.with_name("receipt.json")
    told = json.loads(receipt.read_text())
    told["input"]["crop_pct"] = part
    receipt.write_text(json.dumps(told))
    assert run(checkpoint, tmp_path / "flower.png", "--csv", tmp_path / "out.csv") == 0
    assert pd.read_csv(tmp_path / "out.csv")["prediction"][0] == seen


def test_more_classes_than_there_are_gives_all(checkpoint: Path, pictures: Path, capsys):
    run(checkpoint, pictures / "blue.png", "--top", 10)
    assert len(capsys.readouterr().out.splitlines()) == 1 + 3


def test_files_that_cannot_be_read_are_named_and_the_others_still_shown(checkpoint: Path, pictures: Path, capsys):
    (pictures / "broken.jpg").write_bytes(b"no picture")
    (pictures / "cut.png").write_bytes((pictures / "blue.png").read_bytes()[:200])
    (pictures / "nothing").mkdir()
    assert run(checkpoint, pictures, pictures / "absent.png", pictures / "nothing") == 2
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1 + len(PICTURES)
    for name in ("broken.jpg", "cut.png", "absent.png", "nothing"):
        assert sum(line.startswith(f"error: {pictures / name}: ") for line in shown.err.splitlines()) == 1


@pytest.mark.parametrize("ground", ["#ff0000", "#0000ff"])
def test_transparent_pictures_lie_on_the_ground_of_the_training(checkpoint: Path, tmp_path: Path, capsys, ground: str):
    Image.new("RGBA", (30, 30), (0, 255, 0, 0)).save(tmp_path / "icon.png")
    spoil_receipt({"spec": {"data": {"storage_size": STORED}, "pictures": {"ground": ground}}})(checkpoint)
    assert run(checkpoint, tmp_path / "icon.png") == 0
    seen = {"#ff0000": "red", "#0000ff": "blue"}[ground]
    assert capsys.readouterr().out.split()[-2] == seen


def test_the_limit_of_pixels_is_that_of_the_training_or_an_option(checkpoint: Path, pictures: Path, capsys):
    limited = {"data": {"storage_size": STORED}, "pictures": {"max_megapixels": 0.0005}}
    spoil_receipt({"spec": limited})(checkpoint)
    assert run(checkpoint, pictures / "blue.png") == 2
    assert "raise pictures.max_megapixels in config.yaml, or --max-megapixels" in capsys.readouterr().err
    assert run(checkpoint, pictures / "blue.png", "--max-megapixels", 1) == 0
    for wrong in ("0", "-1", "nan", "inf", "many"):
        with pytest.raises(SystemExit) as ended:
            run(checkpoint, pictures / "blue.png", f"--max-megapixels={wrong}")
        assert ended.value.code == 2 and f"{wrong} is no number above 0" in capsys.readouterr().err


def spoil_weights(checkpoint: Path) -> None:
    content = bytearray(checkpoint.read_bytes())
    content[-1] ^= 1
    checkpoint.write_bytes(content)


def spoil_receipt(change: dict):
    def spoil(checkpoint: Path) -> None:
        path = checkpoint.with_name("receipt.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | change))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (spoil_weights, r"receipt.json: was not written for checkpoint.safetensors as it is now"),
        (lambda c: c.with_name("receipt.json").unlink(), r"receipt.json: there is no such file, and it alone"),
        (lambda c: c.with_name("receipt.json").write_text("{"), r"receipt.json: is no receipt"),
        (lambda c: c.unlink(), r"there is no such checkpoint; give a run's checkpoint.safetensors"),
        (spoil_receipt({"spec": {}}), r"is no receipt of a trained classifier \('data' is missing"),
        (spoil_receipt({"model": {"name": "resnet81"}}), r"unknown model 'resnet81', did you mean"),
        (spoil_receipt({"model": {"name": "resnet18"}}), r"holds weights of another size"),
    ],
)
def test_a_checkpoint_that_does_not_fit_its_receipt_is_refused(checkpoint: Path, pictures: Path, spoil, sentence: str):
    spoil(checkpoint)
    with pytest.raises(UserError, match=sentence):
        run(checkpoint, pictures)


def test_a_folder_in_place_of_the_table_is_refused_before_anything_is_read(tmp_path: Path, capsys):
    with pytest.raises(SystemExit) as ended:
        run("no checkpoint", tmp_path, "--csv", tmp_path)
    assert ended.value.code == 2 and f"--csv: {tmp_path} is a folder, give a file" in capsys.readouterr().err
