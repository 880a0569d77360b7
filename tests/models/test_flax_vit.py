"""Published `.npz` weights: what timm makes of them, and what cannot be loaded."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import timm
import torch
from torch import nn

from florilegium.config.data import Model
from florilegium.config.weights import Weights
from florilegium.core.errors import UserError
from florilegium.models import registry
from florilegium.models.flax_vit import read_flax
from florilegium.models.weights import load_into, save
from florilegium.stages import weights as stage
from tests.helpers.flax import write_flax

SIZES = {"patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2}
HEAD = ["head.*"]


def network(norm: str = "ln", n_classes: int = 5, **changes: object) -> nn.Module:
    torch.manual_seed(1)
    arguments = {**SIZES, "img_size": 16, "norm": norm, **changes}
    return registry.build(Model(name="norm_vit", arguments=arguments), n_classes).eval()


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return write_flax(tmp_path / "ViT.npz")


def through_the_stage(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file, found where a person put it, as the stage leaves it for trainings."""
    monkeypatch.chdir(folder)
    kept = Path("resources/downloads/weights/vit.in21k.npz")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(path.read_bytes())
    source = {"file": path.name, "urls": ["https://example.org/ViT.npz"], "sha256": None}
    weights = Weights.model_validate({"model": "norm_vit_b16", "source": source, "n_classes": 5})
    made = Path("resources/weights/vit.in21k.safetensors")
    spec = json.dumps({"weights": weights.model_dump(mode="json"), "override": None})
    arguments = ["--name", "vit.in21k", "--code", "0", "--spec", spec]
    monkeypatch.setattr(sys, "argv", ["weights", *arguments, "--out", str(made)])
    stage.main()
    return folder / made


def as_published(path: Path, side: int) -> torch.Tensor:
    """The position embeddings of an `.npz` on another grid, by the function that the published code called."""
    found = np.load(path)["Transformer/posembed_input/pos_embedding"][0]
    old = round((len(found) - 1) ** 0.5)
    grid = found[1:].reshape(old, old, -1)
    patches = scipy.ndimage.zoom(grid, (side / old, side / old, 1), order=1).reshape(side * side, -1)
    return torch.from_numpy(np.concatenate([found[:1], patches])[None])


@pytest.mark.parametrize(("img_size", "side"), [(16, 2), (32, 2), (24, 4), (8, 3)])
def test_logits_are_those_of_timms_own_loader(img_size: int, side: int, tmp_path: Path, monkeypatch):
    """On the grid of the file, and on a finer and a coarser one with the positions as published, which timm
    resizes in another way."""
    path = write_flax(tmp_path / "ViT.npz", side=side)
    theirs = timm.models.VisionTransformer(**SIZES, img_size=img_size, num_classes=5).eval()
    theirs.load_pretrained(str(path))
    theirs.pos_embed = nn.Parameter(as_published(path, img_size // SIZES["patch_size"]))
    ours = network(img_size=img_size)
    load_into(ours, through_the_stage(path, tmp_path, monkeypatch))
    images = torch.randn(4, 3, img_size, img_size)
    torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=0)


def test_a_file_of_ones_own_needs_no_stage(published: Path, tmp_path: Path, monkeypatch):
    direct, staged = network(), network()
    load_into(direct, published)
    load_into(staged, through_the_stage(published, tmp_path, monkeypatch))
    assert all(torch.equal(value, staged.state_dict()[key]) for key, value in direct.state_dict().items())


@pytest.mark.parametrize(("old", "new"), [(14, 24), (7, 24), (24, 14), (14, 1), (1, 3)])
def test_positions_of_published_sizes_are_resized_as_published(old: int, new: int, tmp_path: Path, monkeypatch):
    """224 pixels in patches of 16 and 32 to 384, and others; from the file itself and through the stage."""
    path = write_flax(tmp_path / "ViT.npz", side=old)
    expected = as_published(path, new)
    for file in (path, through_the_stage(path, tmp_path, monkeypatch)):
        ours = network(img_size=8 * new)
        load_into(ours, file)
        torch.testing.assert_close(ours.pos_embed.data, expected, atol=1e-5, rtol=0)


def test_positions_of_other_files_keep_the_edges_of_the_grid(tmp_path: Path):
    """As an image is resized: half way from each old centre to the next, and flat beyond the outermost."""
    trained = network(img_size=16)
    save(trained.state_dict(), tmp_path / "checkpoint.safetensors")
    finer = network(img_size=32)
    load_into(finer, tmp_path / "checkpoint.safetensors")
    old, new = trained.pos_embed[0, 1:].view(2, 2, -1), finer.pos_embed[0, 1:].view(4, 4, -1)
    torch.testing.assert_close(new[0, 0], old[0, 0])
    torch.testing.assert_close(new[0, 1], 0.75 * old[0, 0] + 0.25 * old[0, 1])
    assert torch.equal(finer.pos_embed[0, 0], trained.pos_embed[0, 0])


def test_resizing_is_told(published: Path, capsys):
    load_into(network(img_size=32), published)
    assert "position embeddings are resized from 2 x 2 patches to 4 x 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("norm", "lacks", "left"),
    [
        ("bn", r"blocks\.0\.norm1\.layer\.bias, .* and \d+ more", ["*norm*.layer.*"]),
        ("gn", r"blocks\.0\.norm1\.layer\.bias, .* and \d+ more", ["*norm*.layer.*"]),
        ("rescale", r"blocks\.0\.norm1\.count, .* and \d+ more", ["*.norm?.*", "*.sum2.scale"]),
        ("rescale_full", r"blocks\.0\.norm1\.count, .* and \d+ more", ["*norm*", "*.sum?.scale"]),
    ],
)
def test_other_norms_say_what_they_cannot_take(published: Path, norm: str, lacks: str, left: list[str]):
    """In one sentence; and what is allowed for stays as it was, while all else is loaded."""
    sentence = (
        rf"lacks {lacks}; name them in recipe\.allow_missing if that is meant; "
        r"it holds unexpected blocks\.0\.norm1\.bias, .*; name them in recipe\.allow_unexpected"
    )
    with pytest.raises(UserError, match=sentence):
        load_into(network(norm), published)
    loaded = network(norm)
    load_into(loaded, published, allow_missing=left, allow_unexpected=["*norm*"])
    expected, fresh = read_flax(published), network(norm).state_dict()
    for key, value in loaded.state_dict().items():
        if "norm" in key or "sum" in key:
            assert torch.equal(value, fresh[key]), key
        else:
            assert np.array_equal(value.numpy(), expected[key]), key


def test_a_new_head_is_allowed_by_name(published: Path):
    with pytest.raises(UserError, match=r"lacks head\.bias \(shape \[5\] in place of \[17\]\)"):
        load_into(network(n_classes=17), published)
    load_into(network(n_classes=17), published, allow_missing=HEAD, allow_unexpected=HEAD)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"embed_dim": 24}, r"of another size, cls_token \(shape \[1, 1, 16\] in place of \[1, 1, 24\]\); give"),
        ({"patch_size": 16}, r"size, patch_embed\.proj\.weight \(shape \[16, 3, 8, 8\] in place of \[16, 3, 16"),
        ({"depth": 4}, r"lacks blocks\.3\.attn\.proj\.bias, .*allow_missing"),
        ({"depth": 2}, r"holds unexpected blocks\.2\.attn\.proj\.bias, .*allow_unexpected"),
    ],
)
def test_a_file_of_another_size_is_told_in_a_sentence(published: Path, changes: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        load_into(network(**changes), published)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cls": None}, r"layout of the published vision transformers \('cls' is missing\); give a file such"),
        ({"Transformer__encoderblock_1__LayerNorm_2__scale": None}, r"LayerNorm_2/scale' is missing"),
        ({"params__extra": np.zeros(2)}, r"\('params/extra' is not of it\)"),
        ({"embedding__kernel": np.zeros((4, 4))}, r"published vision transformers \(axes don't match"),
    ],
)
def test_another_layout_is_told_in_a_sentence(tmp_path: Path, changes: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        read_flax(write_flax(tmp_path / "ViT.npz", **changes))


def test_what_is_no_archive_of_arrays_is_told_in_a_sentence(tmp_path: Path, published: Path):
    (tmp_path / "cut.npz").write_bytes(published.read_bytes()[:3000])
    np.savez(tmp_path / "objects.npz", cls=np.array([{"run": "me"}], dtype=object))
    with open(tmp_path / "one.npz", "wb") as file:
        np.save(file, np.zeros(3))
    for name in ("cut.npz", "objects.npz", "one.npz"):
        with pytest.raises(UserError, match=rf"{name}: is truncated or no \.npz file of arrays .*; fetch it"):
            read_flax(tmp_path / name)
    with pytest.raises(UserError, match=r"none\.npz: there is no such file of weights"):
        read_flax(tmp_path / "none.npz")


def test_the_stage_imports_no_torch():
    code = f"import sys, {stage.__name__}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
