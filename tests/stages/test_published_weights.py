"""All weights of workflow/weights.yaml, and those of timm that experiments start from, from their published place to a
network that starts from them: files with all entries of the published ones, in narrow networks, on servers that stand
for the whole network."""

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch

from florilegium.config.data import Model
from florilegium.config.experiment import Experiment
from florilegium.config.recipes import Recipe
from florilegium.config.weights import Weights, WeightsOverride
from florilegium.core.errors import UserError
from florilegium.core.fingerprint import canonical
from florilegium.core.receipts import read_receipt
from florilegium.models import registry
from florilegium.models.catalogue import look_up, read_catalogue
from florilegium.models.published import where
from florilegium.models.weights import head_names, load_detector_weights, load_into, read_state, save
from florilegium.plan.project import load_plan
from florilegium.stages import weights as stage
from florilegium.training.run import initialise_network
from tests.helpers import hub as hubs
from tests.helpers.data import Site, leads_here, serving
from tests.helpers.flax import write_flax
from tests.helpers.stages import run_stage

PROJECT = Path(__file__).resolve().parents[2]
# Narrow forms of the networks, with all their layers, by how the names of models begin.
VIT = {"embed_dim": 8, "num_heads": 2}
WIDTHS = {"widths": [64, 4, 8, 8]}  # the stem has 64 channels always
NARROW: dict[str, dict[str, Any]] = {
    "vit_": VIT,
    "deit_": VIT,
    "cait_": VIT,
    "norm_vit_": {**VIT, "embed_dim": 16},
    "swin_": {"embed_dim": 8, "num_heads": [1, 2, 4, 8]},
    "tiny_vit_": {"embed_dims": [4, 8, 8, 16], "num_heads": [1, 2, 2, 4]},
    "resnet": {"channels": [64, 4, 8, 8]},
    "cifar_resnet": WIDTHS,
    "retinanet_": {**WIDTHS, "pyramid_width": 8, "head_layers": 1},
    "retinanet": {},  # on a network of timm
    "tf_efficientnet_lite": {},
}
# What published files hold beyond the entries of timm's networks: masks and indices of windows.
BEYOND = {
    "swin_": ("layers.0.blocks.1.attn_mask", "layers.0.blocks.0.attn.relative_position_index"),
    "tiny_vit_": ("stages.1.blocks.0.attn.attention_bias_idxs",),
    "": (),
}


@cache
def used() -> dict[str, Experiment]:
    """An experiment of `paper` or `mini` for each network that starts from weights."""
    found: dict[str, Experiment] = {}
    for e in (e for preset in ("paper", "mini") for e in load_plan(PROJECT, {"preset": preset}).experiments):
        if e.init and e.init.weights:
            allowed = (e.recipe.allow_missing, e.recipe.allow_unexpected)
            found.setdefault(canonical([e.init.weights, e.model.model_dump(), allowed]), e)
    return found


def entries() -> dict[str, Weights]:
    """The catalogue, with the names of timm that experiments use and that need no entry."""
    catalogue = read_catalogue(PROJECT / "workflow" / "weights.yaml")
    names = [str(e.init.weights) for e in used().values() if e.init]
    return catalogue | {name: look_up(name, catalogue) for name in names}


CATALOGUE = entries()


def of(table: Mapping[str, Any], name: str) -> Any:
    return next(value for start, value in table.items() if name.startswith(start))


def located(name: str) -> Weights:
    """The entry with the place that timm says, where timm alone knows it."""
    weights = CATALOGUE[name]
    return where(weights) if weights.timm else weights


def narrow(model: Model) -> Model:
    return Model(name=model.name, arguments={**model.arguments, **of(NARROW, model.name)})


@cache
def stands_for(name: str) -> bytes:
    """A file of random numbers, with every entry of the published one."""
    weights = located(name)
    model = narrow(Model(name=weights.model))
    network = registry.build(model, weights.n_classes or timm.get_pretrained_cfg(name).num_classes)
    assert weights.published is not None
    with TemporaryDirectory() as folder:
        path = Path(folder) / weights.published.file
        if path.suffix == ".npz":
            patches, head = network.patch_embed, network.head
            write_flax(
                path,
                side=patches.grid_size[0],
                patch=patches.proj.kernel_size[0],
                width=head.in_features,
                depth=len(network.blocks),
                classes=head.out_features,
            )
        else:
            torch.manual_seed(0)
            own = network.state_dict().items()
            state = {key: torch.randn_like(value) if value.is_floating_point() else value for key, value in own}
            if name.endswith(".tv_in1k"):  # torchvision's first files are older than the counters
                state = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
            save(state | {key: torch.zeros(2) for key in of(BEYOND, weights.model)}, path)
        return path.read_bytes()


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Site, hubs.Hub]]:
    """All addresses, and the Hub."""
    monkeypatch.chdir(tmp_path)
    with serving() as site, hubs.serving() as hub:
        leads_here(site, monkeypatch)
        hubs.stands_in(hub, monkeypatch, tmp_path / "cache")
        yield site, hub


@pytest.mark.parametrize("name", CATALOGUE)
def test_weights_come_from_their_published_place_and_networks_start_from_them(
    name: str, network: tuple[Site, hubs.Hub], monkeypatch: pytest.MonkeyPatch
):
    """Past a mirror without the file and an address that has moved, over a connection that breaks in the middle."""
    weights = located(name)
    if weights.package:
        pytest.importorskip(weights.package.path.partition("/")[0])
    publish(name, weights, *network)
    with pytest.raises(UserError, match=f"weights {name} cannot be had .* its sha256 is .* and {'0' * 64} was"):
        fetched(name, pinned(weights, "0" * 64), monkeypatch)
    entry = CATALOGUE[name]
    made = fetched(name, pinned(entry, None) if entry.hub or entry.source else entry, monkeypatch)
    origin = read_receipt(made.with_suffix(".receipt.json"))["origin"][0]
    if weights.source:
        assert origin["from"] == weights.source.urls[-1]
        site, _ = network
        assert site.asked[-1][1] and site.asked[-1][0] == f"moved.example/{weights.source.file}"
    if weights.hub:
        _, hub = network
        assert weights.homepage in (f"https://huggingface.co/{weights.hub.repository}", "")
        assert origin["from"].startswith(f"{hub.address}/{weights.hub.repository}/resolve/{hubs.COMMIT}/")
    uses = [e for e in used().values() if e.init and e.init.weights == name]
    for e in uses:
        starts(e.model, e.recipe, made, load_detector_weights if e.task == "detection" else load_into)
    if not uses:
        starts(Model(name=weights.model), Recipe(epochs=1), made, load_into)


def publish(name: str, weights: Weights, site: Site, hub: hubs.Hub) -> None:
    """Put what stands for the file where it is published."""
    if weights.hub:
        assert weights.hub.repository == timm.get_pretrained_cfg(name).hf_hub_id
        hub.files[f"{weights.hub.repository}/{weights.hub.file}"] = stands_for(name)
    elif weights.source:
        content, file = stands_for(name), weights.source.file
        for url in weights.source.urls:
            assert url.rpartition("/")[2] == file
            site.moved[url.partition("//")[2]] = f"https://moved.example/{file}"
        site.files[f"moved.example/{file}"], site.version = content, '"1"'
        site.cut[f"moved.example/{file}"] = len(content) // 2 + 1


def pinned(weights: Weights, sha256: str | None) -> Weights:
    """The entry with another checksum, or with none, as what stands for a file needs."""
    key = next(key for key in ("source", "hub", "package") if getattr(weights, key))
    sums = {"sha256": sha256} | ({"md5": None} if key == "source" else {})
    return weights.model_copy(update={key: getattr(weights, key).model_copy(update=sums)})


def fetched(name: str, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the stage leaves for trainings."""
    made = Path("resources/weights") / f"{name}.safetensors"
    mirrors = WeightsOverride(mirrors=("https://mirror.example",)).model_dump(mode="json")
    spec = {"weights": weights.model_dump(mode="json"), "override": mirrors}
    run_stage(monkeypatch, stage, spec, "--name", name, "--out", made)
    return made


def starts(model: Model, recipe: Any, made: Path, load: Callable[..., None]) -> None:
    """A network with as many classes as no file has; it takes all from the file but what is meant to be new."""
    job: Any = SimpleNamespace(model=narrow(model), at=lambda seed: SimpleNamespace(init=made))
    network = initialise_network(job, recipe, 7, 0, load=load)
    given = {value.numpy().tobytes() for value in read_state(made).values()}
    new = {key for key, value in network.state_dict().items() if value.numpy().tobytes() not in given}
    meant = (*recipe.allow_missing, *(f"{head}.*" for head in head_names(network)), "*.num_batches_tracked")
    if model.arguments.get("img_size"):
        meant = (*meant, "pos_embed")  # of another grid
    if load is load_detector_weights:
        meant = ("pyramid.*", "*head*")
    assert new
    assert not [key for key in new if not any(fnmatchcase(key, glob) for glob in meant)]
