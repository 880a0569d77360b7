"""Names to networks and their inputs."""

import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError
from florilegium.core.fingerprint import canonical, package_code
from florilegium.models import arguments, registry, timm_classifier
from florilegium.models.freeze import freeze
from florilegium.plan.project import load_plan


def recipe(**changes: object) -> Recipe:
    return Recipe.model_validate({"epochs": 1} | changes)


def test_every_name_of_timm_is_known():
    assert arguments.timm_names() == set(timm.list_models())


def test_a_configuration_is_checked_without_torch():
    code = (
        f"import sys; from {Model.__module__} import Model; from {registry.__package__} import registry; "
        "registry.check(Model(name='resnet18.a1_in1k')); registry.code_roots('vit_base_patch16_224'); "
        "print(sorted({'torch', 'torchvision', 'timm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("wrong", ["resnet-18", "resnett18.a1_in1k"])
def test_a_misspelt_name_gets_the_nearest_one(wrong: str):
    with pytest.raises(UserError, match=f"unknown model '{wrong}', did you mean 'resnet18'"):
        registry.check(Model(name=wrong))


def test_the_code_of_a_network_is_that_of_its_own_family():
    """The table of families is in none, and of two families in one file each has its own."""
    distilled = registry.code_roots("deit_tiny_distilled_patch16_224")
    plain, both = (package_code().reached(*roots) for roots in (registry.code_roots("resnet18.a1_in1k"), distilled))
    assert distilled[0] in both - plain and f"{timm_classifier.__name__}:build" in plain & both
    assert not any("models.families" in node or "models.arguments" in node for node in plain | both)


def test_a_misspelt_tag_gets_the_nearest_one():
    with pytest.raises(UserError, match="unknown pretrained tag 'a1_in2k', did you mean 'a1_in1k'"):
        registry.input_config(Model(name="resnet18.a1_in2k"), recipe())


def test_a_network_has_a_logit_for_each_class():
    model = Model(name="resnet18", arguments={"channels": [8, 8, 16, 16]})
    network = registry.build(model, 17, drop_path=0.1, dropout=0.2).eval()
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 17)


@pytest.mark.parametrize(
    ("model", "rates", "sentence"),
    [
        (Model(name="resnet18", arguments={"chanels": [8]}), {}, r"model\.arguments\.chanels: resnet18 takes no"),
        (Model(name="vgg11"), {"drop_path": 0.1}, r"recipe\.drop_path: vgg11 takes no such argument"),
        (Model(name="resnet18", arguments={"layers": 3}), {}, r"model\.arguments: resnet18 cannot be built with"),
        (Model(name="resnet18", arguments={"num_classes": 3}), {}, r"num_classes: is set by the data set's"),
    ],
)
def test_an_argument_that_a_model_does_not_take_is_named(model: Model, rates: dict, sentence: str):
    with torch.device("meta"), pytest.raises(UserError, match=sentence):
        registry.build(model, 17, **rates)


def test_the_input_is_the_models_own():
    """ViT-L of ImageNet-21k was trained with mean and deviation 0.5, where ImageNet's are assumed too often."""
    config = registry.input_config(Model(name="vit_large_patch16_384"), recipe())
    assert (config.size, config.mean, config.interpolation) == (384, (0.5, 0.5, 0.5), "bicubic")
    config = registry.input_config(Model(name="resnet18.tv_in1k"), recipe())
    assert (config.size, config.interpolation) == (224, "bilinear")
    assert config.std == (0.229, 0.224, 0.225)


def test_the_recipe_wins_over_the_models_own_input():
    given = recipe(image_size=64, mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6], interpolation="bilinear")
    config = registry.input_config(Model(name="resnet18"), given)
    assert (config.size, config.mean, config.std) == (64, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert config.interpolation == "bilinear"


def test_an_image_size_that_a_model_cannot_take_is_refused():
    with pytest.raises(UserError, match=r"recipe\.image_size = 64: vit_tiny_patch16_224 takes images of 224"):
        registry.input_config(Model(name="vit_tiny_patch16_224"), recipe(image_size=64))
    small = Model(name="vit_tiny_patch16_224", arguments={"img_size": 64})
    assert registry.input_config(small, recipe(image_size=64)).size == 64
    assert registry.input_config(small, recipe()).size == 64


def test_a_torch_that_does_not_fit_torchvision_is_told_in_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    with pytest.raises(UserError, match="are not a pair from one package index"), registry.mismatch_as_user_error():
        import torchvision  # noqa: F401


def test_a_network_that_imports_torchvision_as_it_is_built_says_so_too(tmp_path, monkeypatch):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UserError, match="are not a pair from one package index"):
        registry.build(Model(name="norm_vit_b32"), 10, drop_path=0.1)


def test_every_network_of_the_paper_preset_can_be_built_and_frozen(project: Path):
    """As its experiments want it, on the meta device, so that no memory is taken."""
    experiments = load_plan(project, {"preset": "paper"}).experiments
    wanted = {
        canonical([e.model.model_dump(), e.recipe.freeze, e.recipe.freeze_blocks]): e
        for e in experiments
        if isinstance(e.recipe, Recipe)
    }
    for e in wanted.values():
        with torch.device("meta"):
            network = registry.build(e.model, 10, drop_path=e.recipe.drop_path, dropout=e.recipe.dropout)
        freeze(network, e.recipe)
        assert registry.input_config(e.model, e.recipe).size > 0
