"""The named weights of workflow/weights.yaml."""

import json
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from florilegium.config.data import Model
from florilegium.config.weights import Weights, WeightsOverride
from florilegium.core.errors import UserError
from florilegium.core.files import digest, read_json
from florilegium.models import registry
from florilegium.models.catalogue import look_up, obtain, read_catalogue
from florilegium.stages import weights as stage


def entry(*urls: str, sha256: str | None = None) -> Weights:
    source = {"file": "model.safetensors", "urls": urls, "sha256": sha256}
    return Weights.model_validate({"model": "resnet18", "source": source, "n_classes": 1000})


@pytest.fixture
def address(tmp_path: Path):
    """A server that publishes `model.safetensors`."""
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "model.safetensors").write_bytes(b"weights")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "public")
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/model.safetensors"
    server.shutdown()
    server.server_close()


def test_the_projects_own_catalogue_names_known_models_and_their_terms(project: Path):
    catalogue = read_catalogue(project / "workflow" / "weights.yaml")
    assert {"resnet18.a1_in1k", "cait_s36_384.fb_dist_in1k", "norm_vit_b16.in21k"} <= catalogue.keys()
    for weights in catalogue.values():
        registry.check(Model(name=weights.model))
        assert weights.published and weights.terms and weights.citation


def test_an_unknown_name_gets_the_nearest_one(project: Path):
    catalogue = read_catalogue(project / "workflow" / "weights.yaml")
    with pytest.raises(UserError, match=r"unknown weights 'resnet18\.a1_in1', did you mean 'resnet18\.a1_in1k'"):
        look_up("resnet18.a1_in1", catalogue)


def test_an_absent_file_is_told_with_its_address_and_its_place(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        obtain("slim", entry("http://127.0.0.1:9/model.safetensors"), tmp_path)
    said = str(caught.value)
    assert "get model.safetensors from http://127.0.0.1:9/model.safetensors" in said
    assert f"put it at {tmp_path / 'slim.safetensors'}" in said


def test_a_file_that_was_put_there_by_hand_is_verified_and_stays(tmp_path: Path, address: str):
    mine = tmp_path / "slim.safetensors"
    mine.write_bytes(b"weights")
    right = digest(mine)
    assert obtain("slim", entry("http://127.0.0.1:9/x", sha256=right), tmp_path).path == mine
    mine.write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"its sha256 is .* was expected; get model.safetensors from") as caught:
        obtain("slim", entry(address, sha256=right), tmp_path)
    assert str(caught.value).startswith(f"{mine}: ")
    assert mine.read_bytes() == b"damaged"


def test_a_path_in_the_configuration_goes_before_a_file_that_was_put_there_by_hand(tmp_path: Path):
    (tmp_path / "slim.safetensors").write_bytes(b"weights")
    (tmp_path / "other").write_bytes(b"others")
    override = WeightsOverride.model_validate({"files": {"model.safetensors": {"path": str(tmp_path / "other")}}})
    assert obtain("slim", entry(), tmp_path, override).path == tmp_path / "other"


def test_a_configuration_may_only_name_what_the_catalogue_holds(project: Path):
    path = project / "workflow" / "weights.yaml"
    mine = WeightsOverride.model_validate({"files": {"model.safetensor": {"path": "x"}}})
    with pytest.raises(UserError, match=r"config\.yaml: weights: unknown weights 'resnet18', did you mean"):
        read_catalogue(path, {"resnet18": mine})
    with pytest.raises(UserError, match=r"unknown file 'model\.safetensor', did you mean 'model\.safetensors'"):
        read_catalogue(path, {"resnet18.a1_in1k": mine})


def test_an_address_that_does_not_answer_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"weights slim cannot be had \(http://127.0.0.1:9/x: no answer"):
        obtain("slim", entry("http://127.0.0.1:9/x"), tmp_path)


@pytest.mark.parametrize("has_checksum", [True, False])
@pytest.mark.parametrize("damage", [b"", b"weightz", b"weights and more", b"<html>"])
def test_a_download_that_was_damaged_since_is_fetched_again(
    tmp_path: Path, address: str, damage: bytes, has_checksum: bool
):
    published = entry(address, sha256=digest(tmp_path / "public" / "model.safetensors") if has_checksum else None)
    first = obtain("slim", published, tmp_path / "downloads")
    first.path.write_bytes(damage)
    again = obtain("slim", published, tmp_path / "downloads")
    assert again.path.read_bytes() == b"weights"


def test_the_stage_records_what_it_downloaded(tmp_path: Path, monkeypatch, address: str):
    monkeypatch.chdir(tmp_path)
    weights = entry("http://127.0.0.1:9/x", address)
    arguments = ["--name", "slim", "--code", "0", "--out", "resources/weights/slim.safetensors"]
    spec = {"weights": weights.model_dump(mode="json"), "override": None}
    monkeypatch.setattr(sys, "argv", ["weights", *arguments, "--spec", json.dumps(spec)])
    stage.main()
    made = Path("resources/weights/slim.safetensors")
    assert made.read_bytes() == b"weights"
    receipt = read_json(made.with_suffix(".receipt.json"))
    assert receipt["outputs"][made.as_posix()]["sha256"] == digest(made)
    assert receipt["spec"] == spec
    assert receipt["origin"] == [
        {"file": "model.safetensors", "from": address, "sha256": digest(made), "bytes": 7, "published": None}
    ]


def test_a_weight_that_cannot_be_had_ends_the_stage_in_one_sentence(project: Path, tmp_path: Path):
    """It names the file, the address, and where to put it."""
    weights = read_catalogue(project / "workflow" / "weights.yaml")["norm_vit_b16.in21k"]
    closed = weights.source.model_copy(update={"urls": ("http://127.0.0.1:9/ViT-B_16.npz",)})
    entry = weights.model_copy(update={"source": closed}).model_dump(mode="json")
    spec = json.dumps({"weights": entry, "override": None})
    options = ["--name", "norm_vit_b16.in21k", "--code", "0", "--spec", spec, "--out", "x.safetensors"]
    command = [sys.executable, "-m", stage.__name__, *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: weights norm_vit_b16.in21k cannot be had (http://127.0.0.1:9")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(
        "get ViT-B_16.npz from http://127.0.0.1:9/ViT-B_16.npz and put it at "
        "resources/downloads/weights/norm_vit_b16.in21k.npz\n"
    )
