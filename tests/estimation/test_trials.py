"""Networks are tried before anything runs: what fails is told with its key, what has passed is not tried again."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from florilegium.config.data import Model
from florilegium.config.weights import WeightsOverride
from florilegium.core.errors import UserError, UserErrors
from florilegium.estimation.trial import tried
from florilegium.estimation.trials import (
    KNOWN,
    PASSED,
    Trial,
    check_trials,
    digests,
    in_a_process,
    presets,
    save_trials,
    trial_of,
)
from tests.plan.test_references import entry, plan

SMALL = {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}
PLAIN = {
    "task": "classification",
    "freeze": (),
    "freeze_blocks": 0,
    "is_cached": False,
    "image_size": 32,
    "drop_path": 0.0,
    "dropout": 0.0,
    "attention": None,
    "methods": (),
}


def trial(name: str = "resnet18", arguments: dict | None = None, **changes: object) -> Trial:
    return Trial(model=Model(name=name, arguments=SMALL if arguments is None else arguments), **{**PLAIN, **changes})


def test_the_list_of_the_projects_own_networks_is_current(project: Path):
    """The program that makes it tries them all, and refuses one that fails."""
    listed = json.loads((project / KNOWN).read_text())
    wanted = set().union(*map(digests, presets(project)))
    assert set(listed) == wanted, (
        f"{KNOWN} lists {len(wanted - set(listed))} networks too few and {len(set(listed) - wanted)} too many: run "
        f"`python -m {presets.__module__}` in the project's folder, which tries them all in a minute, and commit it"
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (trial(freeze=("backbon",)), "recipe.freeze: unknown module 'backbon', did you mean 'backbone'?"),
        (trial(freeze_blocks=5), "recipe.freeze_blocks = 5: ResNet has 4 blocks"),
        (trial(freeze=("conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc")), "no parameter is left to train"),
        (trial(arguments={"layerz": [1]}), "model.arguments.layerz: resnet18 takes no such argument, did you mean 'la"),
        (trial("vit_tiny_patch16_224", {"num_heads": 5}, image_size=None), "cannot be built with"),
        (trial("vit_tiny_patch16_224", {}, image_size=100), "recipe.image_size = 100"),
        (trial("densenet121", {}, drop_path=0.1), "recipe.drop_path: densenet121 takes no such argument"),
        (trial("acgan", {"image_size": 33}, task="generation"), "model.arguments: acgan cannot be built"),
        (trial("acgan", {"latnt": 3}, task="generation"), "unknown argument 'latnt', did you mean 'latent'"),
        (trial(attention={}), "attention: ResNet does not attend"),
        (trial("vit_tiny_patch16_224", {"depth": 2}, image_size=None, attention={}), "attention.blocks asks for block"),
        (trial(methods=("attention_rollout",)), "attribution.methods: none suits ResNet"),
        (trial("vit_tiny_patch16_224", {}, image_size=None, methods=("grad_cam",)), "none suits VisionTransformer"),
        (trial("resnet18", {"layers": [1, 1]}), "cannot be built with"),
    ],
)
def test_what_cannot_be_is_one_sentence_that_begins_with_the_key(asked: Trial, said: str):
    (sentence,) = tried(asked)
    assert said in sentence and "\n" not in sentence
    assert sentence.startswith(("recipe.", "model.", "attention", "attribution."))


MAE, DINO = "vit_base_patch16_224.mae", "vit_base_patch16_224.dino"


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ({"init": {"weights": MAE}}, True),
        ({"init": {"weights": "mine"}}, True),
        ({"init": {"weights": MAE}, "recipe": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}, False),
        ({"init": {"weights": MAE}, "model": {"name": DINO}}, False),
        ({"init": {"weights": "vit_base_patch16_224.augreg_in21k"}}, False),
        ({"init": {"weights": "resnet18.tv_in1k"}, "model": {"name": "cifar_resnet18"}}, False),
    ],
    ids=["untagged", "own", "told", "alike", "same", "other family"],
)
def test_pixels_that_are_not_as_the_weights_have_seen_them_are_refused(
    tmp_path: Path, keys: dict[str, Any], wrong: bool
):
    made = plan(tmp_path, {"a": entry(**{"model": {"name": "vit_base_patch16_224"}, **keys})})
    mine = {"mine": WeightsOverride(file="mine.pth", model=DINO)}
    found = tried(trial_of(next(e for e in made.experiments if e.name == "a"), mine))
    sentence = r"init\.weights = .*: has seen pixels less \(0\.485, .* gives it pixels less \(0\.5, "
    assert bool(found) is wrong and all(re.match(sentence, each) for each in found)


@pytest.mark.parametrize(
    "asked",
    [
        trial(freeze=("backbone",), is_cached=True),
        trial(methods=("attention_rollout", "grad_cam")),
        trial("vit_tiny_patch16_224", {"img_size": 32, "depth": 2}, attention={"blocks": [0, 1]}),
        trial("diffusion_unet", {"image_size": 16, "channels": [16, 32], "groups": 8}, task="generation"),
        trial("retinanet_resnet18", {"widths": [8, 8, 8, 8]}, task="detection"),
        trial("cifar_resnet18_attention", {"widths": [8, 8, 8, 16]}, attention={"of": "nodes"}),
    ],
)
def test_what_can_be_is_passed_over(asked: Trial):
    assert tried(asked) == []


def test_answers_of_another_process_come_in_order():
    assert [bool(answer) for answer in in_a_process([trial(), trial(freeze=("x",)), trial()])] == [False, True, False]


def test_only_what_is_new_is_tried_and_each_experiment_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    own = entry(recipe={"freeze": ["layer1"]})
    made = plan(tmp_path, {"a": own, "b": own, "c": entry(model={"name": "resnet34"})})
    asked: list[str] = []

    def answer(trials):
        asked.extend(each.model.name for each in trials)
        return [["recipe.freeze: wrong"] if each.model.name == "resnet18" else [] for each in trials]

    with pytest.raises(UserErrors) as caught:
        check_trials(made, tmp_path, answer)
    assert asked == ["resnet18", "resnet34"]
    assert [sentence.split(": ")[1] for sentence in caught.value.mistakes] == [
        "experiments.a.recipe.freeze",
        "experiments.b.recipe.freeze",
    ]
    save_trials(made, tmp_path)
    asked.clear()
    check_trials(made, tmp_path, answer)
    assert asked == []
    changed = plan(tmp_path, {"a": own, "b": entry(recipe={"freeze": ["backbone"]})})
    with pytest.raises(UserError):
        check_trials(changed, tmp_path, answer)
    assert asked == ["resnet18"]
    PASSED.write_text("damaged")
    check_trials(plan(tmp_path, {"c": entry(model={"name": "resnet34"})}), tmp_path, answer)
    assert asked == ["resnet18", "resnet34"]
