"""Weights in files."""

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from florilegium.config.data import Model
from florilegium.core.errors import UserError
from florilegium.models import registry
from florilegium.models.weights import load_into, save

SLIM = {"channels": [4, 4, 8, 8]}


def network(n_classes: int = 3, name: str = "resnet18", seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return registry.build(Model(name=name, arguments=SLIM), n_classes)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save(network().state_dict(), tmp_path / "checkpoint.safetensors")
    return tmp_path / "checkpoint.safetensors"


def test_what_is_saved_is_loaded(checkpoint: Path):
    other = network(seed=1)
    load_into(other, checkpoint)
    expected = network().state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in other.state_dict().items())


def test_equal_weights_give_equal_bytes(checkpoint: Path, tmp_path: Path):
    """Also when they lie in memory in another order, as they do after training."""
    state = network().to(memory_format=torch.channels_last).state_dict()
    save(dict(reversed(state.items())), tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == checkpoint.read_bytes()


def shelled(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"_orig_mod.module.{key}": value for key, value in state.items()}


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": s, "other": s},
        lambda s: {"net": s, "epoch": 3, "optimizer": {"state": {}, "param_groups": []}},
        shelled,
        lambda s: {"state_dict": shelled(s)},
    ],
    ids=["plain", "state_dict", "model", "one", "shelled", "both"],
)
def test_a_torch_file_is_loaded_with_or_without_a_wrapper(tmp_path: Path, wrapped):
    torch.save(wrapped(network().state_dict()), tmp_path / "weights.pth")
    other = network(seed=1)
    load_into(other, tmp_path / "weights.pth")
    assert torch.equal(other.fc.weight, network().fc.weight)


def test_the_case_of_a_suffix_does_not_matter(checkpoint: Path):
    load_into(network(), checkpoint.rename(checkpoint.with_suffix(".SAFETENSORS")))


def test_every_missing_and_unexpected_key_is_an_error(tmp_path: Path):
    state = network().state_dict()
    state["ghost.weight"] = torch.zeros(1)
    save(state, tmp_path / "more.safetensors")
    with pytest.raises(UserError, match=r"more.safetensors: holds unexpected ghost.weight; .*allow_unexpected"):
        load_into(network(), tmp_path / "more.safetensors")
    load_into(network(), tmp_path / "more.safetensors", allow_unexpected=["ghost.*"])
    del state["ghost.weight"], state["bn1.running_mean"]
    save(state, tmp_path / "less.safetensors")
    with pytest.raises(UserError, match=r"less.safetensors: lacks bn1.running_mean; .*recipe.allow_missing"):
        load_into(network(), tmp_path / "less.safetensors")
    load_into(network(), tmp_path / "less.safetensors", allow_missing=["bn1.*"])


def test_files_that_are_older_than_counters_of_batches_are_taken(tmp_path: Path):
    state = {key: value for key, value in network().state_dict().items() if not key.endswith("num_batches_tracked")}
    assert len(state) < len(network().state_dict())
    save(state, tmp_path / "older.safetensors")
    other = network(seed=1)
    load_into(other, tmp_path / "older.safetensors")
    assert all(torch.equal(other.state_dict()[key], value) for key, value in state.items())


def test_five_keys_are_named_and_the_rest_counted(tmp_path: Path):
    state = network().state_dict()
    for name in [name for name in state if name.startswith("layer4.1")]:
        del state[name]
    save(state, tmp_path / "less.safetensors")
    with pytest.raises(UserError, match=r"lacks layer4\.1\.bn1\.bias(, [\w.]+){4} and 5 more; name them"):
        load_into(network(), tmp_path / "less.safetensors")


def test_a_new_head_must_be_allowed_on_both_sides(checkpoint: Path):
    with pytest.raises(UserError, match=r"fc.weight \(shape \[3, 8\] in place of \[5, 8\]\)"):
        load_into(network(5), checkpoint)
    with pytest.raises(UserError, match=r"holds unexpected fc.bias .*allow_unexpected"):
        load_into(network(5), checkpoint, allow_missing=["fc.*"])
    other = network(5, seed=1)
    own = other.fc.weight.clone()
    load_into(other, checkpoint, allow_missing=["fc.*"], allow_unexpected=["fc.*"])
    assert torch.equal(other.fc.weight, own)
    assert torch.equal(other.conv1.weight, network().conv1.weight)


@pytest.mark.parametrize("allowed", [(), ("*",)])
def test_weights_of_another_architecture_are_told_in_a_sentence(tmp_path: Path, allowed: tuple[str, ...]):
    save(nn.Linear(2, 2).state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"weights of another architecture \(0 of the \d+ entries of ResNet"):
        load_into(network(), tmp_path / "other.safetensors", allow_missing=allowed, allow_unexpected=allowed)


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth"])
def test_a_truncated_file_is_told_in_a_sentence(tmp_path: Path, name: str):
    whole = tmp_path / "whole"
    if name.endswith("pth"):
        torch.save(network().state_dict(), whole)
    else:
        save(network().state_dict(), whole)
    (tmp_path / name).write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(UserError, match=f"{name}: is truncated or no file of weights"):
        load_into(network(), tmp_path / name)


class Hostile:
    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


def test_a_pickle_of_other_objects_is_not_run(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Hostile()}, "hostile.pth")
    Path("plain.pth").write_bytes(pickle.dumps(Hostile(), protocol=2))
    for name in ("hostile.pth", "plain.pth"):
        with pytest.raises(UserError, match=f"{name}: is no file of weights, or holds other objects"):
            load_into(network(), Path(name))
    assert not Path("ran").exists()


def test_a_file_without_a_state_dict_is_told_in_a_sentence(tmp_path: Path):
    torch.save({"epoch": 3}, tmp_path / "odd.pth")
    with pytest.raises(UserError, match=r"odd\.pth: holds no state dict"):
        load_into(network(), tmp_path / "odd.pth")
    torch.save({"teacher": network().state_dict(), "student": network().state_dict()}, tmp_path / "two.pth")
    with pytest.raises(UserError, match=r"two\.pth: holds several state dicts \('teacher', 'student'\); save the one"):
        load_into(network(), tmp_path / "two.pth")
    with pytest.raises(UserError, match=r"none\.pth: there is no such file of weights"):
        load_into(network(), tmp_path / "none.pth")
