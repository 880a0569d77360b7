"""`python -m florilegium export`: what a stranger's program does with what was written."""

import argparse
import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from florilegium.commands import export, predict
from florilegium.config.data import Model
from florilegium.core.errors import UserError, sentence_of
from florilegium.core.tables import read_table
from florilegium.evaluation.detect_files import find_objects
from florilegium.export import onnx_file
from florilegium.export.networks import load_portable
from florilegium.models.trained import load_trained, load_trained_detector
from tests.helpers import exports
from tests.helpers.boxed import CPU
from tests.helpers.colours import CLASSES, make_run, write_pictures

ONNX = pytest.mark.skipif(
    any(onnx_file.find_spec(name) is None for name in onnx_file.NEEDED),
    reason="the packages of the extra `export` (onnx, onnxruntime, onnxscript) are not installed",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with a finished run, in a folder with a name as people give them."""
    folder = tmp_path_factory.mktemp("Blüten {my} #1 (2)")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exports.describe(make_run(exports.RUN), init={"weights": "efficientnet-lite0"})
        yield folder


CHECKPOINT = exports.RUN / "checkpoint.safetensors"


@pytest.fixture(autouse=True)
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def run(*arguments: object, module: object = export, command: str = "export") -> int:
    parser = argparse.ArgumentParser()
    module.add_parser(parser.add_subparsers())
    args = parser.parse_args([command, *map(str, arguments)])
    return args.run(args)


def answer_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The lines that the card's own program prints for `photo.jpg`, which lies beside it."""
    (program,) = re.findall(r"```python\n(.*?)\n```", (folder / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(folder)
    with contextlib.redirect_stdout(printed := io.StringIO()):
        exec(compile(program, "README.md", "exec"), {})
    return [line.rsplit(maxsplit=line.count(" ")) for line in printed.getvalue().splitlines()]


def predicted(tmp_path: Path, checkpoint: Path, picture: Path) -> tuple[str, float]:
    run(checkpoint, picture, "--csv", tmp_path / "p.csv", "--device", "cpu", module=predict, command="predict")
    row = read_table(tmp_path / "p.csv", {"probability": float}).iloc[0]
    return row["prediction"], row["probability"]


@pytest.fixture(scope="module")
def network_of_ours(project: Path) -> Path:
    """The checkpoint of a network that timm does not have, handed on as ONNX into `exports/run-onnx`."""
    arguments = {"patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2, "img_size": 16}
    checkpoint = exports.make(Path("run"), Model(name="norm_vit", arguments=arguments))
    assert run(checkpoint, "--to", "onnx") == 0
    return checkpoint


@ONNX
def test_an_onnx_file_answers_as_the_checkpoint_and_its_card_says_how(
    network_of_ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import onnxruntime

    folder = Path("exports", "run-onnx")
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "README.md"}
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    network = load_trained(network_of_ours).network
    for count in (1, 2, 5):
        images = torch.randn(count, 3, 16, 16)
        (logits,) = session.run(["logits"], {"images": images.numpy()})
        assert np.abs(logits - network(images).detach().numpy()).max() < 1e-4
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["classes"]) == ["red", "blue"]
    how = json.loads(told["preprocessing"])
    assert (how["resize"], how["crop"], how["stored_side"], how["ground"]) == (16, 16, 40, "#ffffff")
    assert b".py" not in (folder / "model.onnx").read_bytes()  # nor a folder of the machine that wrote it
    write_pictures(folder, {"photo.jpg": 1})
    name, chance = predicted(tmp_path, network_of_ours, folder / "photo.jpg")
    ((said, probability),) = answer_of(folder, monkeypatch)
    assert said == name and float(probability) == pytest.approx(chance, abs=5e-3)


@ONNX
def test_answers_that_differ_are_not_handed_on(network_of_ours: Path):
    portable = load_portable(network_of_ours, detects=False)
    file = Path("exports", "run-onnx", "model.onnx")
    assert onnx_file.difference_of(portable, file) < 1e-5
    with torch.no_grad():
        portable.network.head.bias += 3e-4
    with pytest.raises(UserError, match=r"logits in onnxruntime differ by 0\.0003 .* and nothing was written"):
        onnx_file.difference_of(portable, file)


def test_timm_reads_a_folder_back_to_the_same_logits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out = tmp_path / "für {timm}"
    assert run(CHECKPOINT, "--to", "timm", "--out", out) == 0
    assert {path.name for path in out.iterdir()} == {"config.json", "model.safetensors", "README.md"}
    network = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
    trained = load_trained(CHECKPOINT)
    images = torch.randn(3, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(network(images), trained.network(images))
    config = resolve_model_data_config(network)
    assert tuple(config["input_size"]) == (3, 16, 16) and config["crop_pct"] == trained.config.crop_pct
    assert (tuple(config["mean"]), tuple(config["std"])) == (trained.config.mean, trained.config.std)
    assert create_transform(**config) and network.pretrained_cfg["label_names"] == list(CLASSES)
    write_pictures(out, {"photo.jpg": 2})
    name, chance = predicted(tmp_path, CHECKPOINT, out / "photo.jpg")
    ((said, probability),) = answer_of(out, monkeypatch)
    assert said == name and float(probability) == pytest.approx(chance, abs=2e-3)


@pytest.mark.parametrize(
    "model",
    [
        Model(name="deit_tiny_distilled_patch16_224", arguments={"depth": 1, "img_size": 32, "trained_heads": "class"}),
        Model(name="vit_tiny_patch16_224.augreg_in21k_ft_in1k", arguments={"depth": 1, "img_size": 32}),
    ],
    ids=lambda model: model.name,
)
def test_two_heads_and_tags_are_timms_too(tmp_path: Path, model: Model):
    checkpoint = exports.make(tmp_path / "run", model)
    assert run(checkpoint, "--to", "timm", "--out", tmp_path / "out") == 0
    images = torch.randn(2, 3, 32, 32)
    again = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    with torch.inference_mode():
        assert torch.equal(again(images), load_trained(checkpoint).network(images))


@ONNX
def test_a_detector_gives_the_boxes_that_predict_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On a picture of another shape than the network's input, by the program of the card, with random weights."""
    checkpoint = exports.make_detector(tmp_path / "run")
    assert run(checkpoint, "--to", "onnx", "--out", tmp_path / "out") == 0
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "out" / "photo.jpg")
    card = tmp_path / "out" / "README.md"
    card.write_text(card.read_text().replace("> 0.5", "> 0.02"))  # random weights are sure of nothing
    trained = load_trained_detector(checkpoint)
    table, _ = find_objects(trained, [tmp_path / "out" / "photo.jpg"], least=0.02, device=CPU)
    found = answer_of(tmp_path / "out", monkeypatch)
    assert len(found) == len(table) > 5
    x, y, width, height = (table[name].to_numpy() for name in ("x", "y", "width", "height"))
    expected = np.stack([x, y, x + width, y + height], axis=1)
    ours = np.array([[float(value) for value in line[2:]] for line in found])
    assert np.abs(ours - expected).max() < 0.2  # the card rounds to a tenth of a pixel
    assert [line[0] for line in found] == list(table["prediction"])


def test_the_card_says_what_is_known(tmp_path: Path):
    run(CHECKPOINT, "--to", "timm", "--out", tmp_path / "out")
    card = " ".join((tmp_path / "out" / "README.md").read_text().split())
    for sentence in (
        "One of these classes for a picture: red, green, blue (3).",
        "Started from the published weights efficientnet-lite0.",
        "Data set: colours: 24 to train on, 8 to validate on, 40 to test on",
        "Leaks dropped from what it was trained on: 2 images of colours (audit colours and colours).",
        "top-1 accuracy: 75.0 % on n = 40 test images, 95 % interval 59.8 to 85.8 %.",  # Wilson, by hand
        "Other seeds of the same arm: 70.0 %, 80.0 %.",
        "Warning: no training image shows 'blue'.",
        "## Not for",
        "not calibrated. Divide the logits by 1.62, the temperature that fits its validation images: the expected "
        "calibration error on the test images is 4.1 % then, and 13.0 % without.",
        "Pictures that show none of its classes",
        "Run: mini/own/net/corrected/seed0, seed 0.",
    ):
        assert sentence in card, sentence


def test_a_run_that_nobody_audited_says_so_and_what_is_gone_is_not_made_up(tmp_path: Path):
    checkpoint = make_run(tmp_path / "elsewhere")
    run(checkpoint, "--to", "timm", "--out", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "No leak audit stands behind this run" in card
    assert "metrics of the run are not beside its checkpoint" in card and "%" not in card


@pytest.mark.parametrize("changed", [exports.DROPPED, str(exports.RUN / "metrics.json")])
def test_figures_of_another_run_are_not_taken(tmp_path: Path, changed: str):
    before = Path(changed).read_text()
    try:
        Path(changed).write_text(before.replace("train/a", "train/c").replace("0.75", "0.99"))
        run(CHECKPOINT, "--to", "timm", "--out", tmp_path / "out")
    finally:
        Path(changed).write_text(before)
    card = (tmp_path / "out" / "README.md").read_text()
    assert ("the list of audit colours and colours is not here any more" in card) == (changed == exports.DROPPED)
    assert ("on n = 40" in card) == (changed == exports.DROPPED)


def test_what_is_there_is_not_written_over(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("edited")
    for out in (tmp_path / "out", CHECKPOINT):
        with pytest.raises(UserError, match="is there already, and is not written over; remove it, or give another"):
            run(CHECKPOINT, "--to", "timm", "--out", out)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["README.md"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as told:
        run(CHECKPOINT, "--to", "timm", "--out", tmp_path / "file" / "below")
    assert sentence_of(told.value) == (
        f"{tmp_path}/file/below: not a directory; a file stands where a folder is needed; give another path"
    )


def test_a_network_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "equal", lambda *_: False)
    with pytest.raises(UserError, match="reads resnet18 back with other answers; take --to onnx"):
        run(CHECKPOINT, "--to", "timm", "--out", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_without_the_extra_one_sentence_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxruntime" else name)
    with pytest.raises(UserError, match=r"onnxruntime is not installed; install the extra `export` .*\.\[export\]'"):
        run(CHECKPOINT, "--to", "onnx", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("cifar_resnet18", {"widths": [4, 4, 4, 4]}, "is a network of this project and none of timm's; take --to onnx"),
        ("acgan", {}, "is a generator of pictures"),
    ],
)
def test_what_timm_cannot_hold_is_a_sentence(tmp_path: Path, name: str, arguments: dict, sentence: str):
    checkpoint = make_run(tmp_path / "run")
    receipt = checkpoint.with_name("receipt.json")
    told = json.loads(receipt.read_text()) | {"model": {"name": name, "arguments": arguments}}
    receipt.write_text(json.dumps(told))
    with pytest.raises(UserError, match=sentence):
        run(checkpoint, "--to", "timm", "--out", tmp_path / "out")


def test_a_detector_is_no_network_of_timm(tmp_path: Path):
    with pytest.raises(UserError, match="a detector is no network of timm"):
        run(exports.make_detector(tmp_path / "run"), "--to", "timm", "--out", tmp_path / "out")
