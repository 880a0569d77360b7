"""Attention and attribution of an experiment, as study files, presets and a person ask for them."""

from pathlib import Path

import pytest
import yaml

from florilegium.config.experiment import Experiment
from florilegium.core.errors import UserError
from florilegium.plan.plan import Plan
from florilegium.plan.project import load_plan

ATTENTION = """
title: A study
document: nowhere
experiments:
  common:
    abstract: true
    data: {dataset: roses}
    recipe: {epochs: 2, lr: 0.1}
    model: {name: vit_base_patch16_224}
  plain:
    base: common
  seen:
    base: common
    attention: {head: 1}
    arms:
      corrected: {}
      closer: {attention: {images: 7}}
"""
ATTRIBUTION = """
title: A study
document: nowhere
experiments:
  plain:
    data: {dataset: roses}
    recipe: {epochs: 2, lr: 0.1}
    model: {name: resnet18}
    arms:
      corrected: {}
      seen: {attribution: {images: 64}}
"""


def with_attention(plan: Plan) -> dict[str, Experiment]:
    return {e.key: e for e in plan.experiments if e.attention}


def with_attribution(plan: Plan) -> dict[str, Experiment]:
    return {e.key: e for e in plan.experiments if e.attribution}


@pytest.fixture
def make(tmp_path: Path):
    """A function that writes a small project and loads its plan."""
    for folder in ("studies", "presets"):
        (tmp_path / "workflow" / folder).mkdir(parents=True)
    roses = "roses: {layout: folders, folder: pictures, images: {train: 40, test: 12}}"
    (tmp_path / "workflow/datasets.yaml").write_text(roses)

    def load(config: str = "", study: str = ATTENTION, preset: str = "{}") -> Plan:
        (tmp_path / "workflow/studies/bloom.yaml").write_text(study)
        rest = yaml.safe_load(preset)
        chosen = {"title": "small", "seeds": [0, 1], "studies": {"bloom": rest}}
        (tmp_path / "workflow/presets/small.yaml").write_text(yaml.safe_dump(chosen))
        return load_plan(tmp_path, {"preset": "small", **(yaml.safe_load(config) or {})})

    return load


@pytest.fixture
def attributed(make):
    """A function that loads the plan with the attribution that is asked of `plain`."""

    def load(asked: str = "", preset: str = "{}") -> Plan:
        config = f"{{experiments: {{bloom/plain: {{attribution: {asked}}}}}}}" if asked else ""
        return make(config, ATTRIBUTION, preset)

    return load


# Attention


def test_attention_is_recorded_where_a_study_asks_for_it(make):
    seen = with_attention(make())
    assert list(seen) == ["bloom/seen/corrected", "bloom/seen/closer"]
    first, second = (e.attention for e in seen.values())
    assert (first.blocks, first.head, first.images, first.shown) == ((0, 3, 6, 9), 1, 100, 4)
    assert (second.head, second.images) == (1, 7)


@pytest.mark.parametrize("several", ["all: {}", "experiments: {{'[ps]*': {}}}"])
def test_attention_that_a_preset_changes_for_several_is_asked_of_none(make, several: str):
    plan = make(preset=several.format("{attention: {blocks: [0, 1]}}"))
    assert [e.attention.blocks for e in with_attention(plan).values()] == [(0, 1)] * 2
    assert plan.find("bloom", "plain", "corrected").attention is None


@pytest.mark.parametrize("asked", ["{}", "{shown: 2}"])
def test_a_preset_or_a_person_can_ask_for_attention(make, asked: str):
    change = f"{{bloom/plain: {{attention: {asked}}}}}"
    assert "bloom/plain/corrected" in with_attention(make(f"experiments: {change}"))
    preset = f"experiments: {{plain: {{attention: {asked}}}}}"
    assert "bloom/plain/corrected" in with_attention(make(preset=preset))


def test_a_training_does_not_depend_on_attention(make):
    plan = make()
    assert plan.find("bloom", "seen", "corrected").spec() == plan.find("bloom", "plain", "corrected").spec()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            "{attention: {block: [0]}}",
            r"config.yaml: experiments.bloom/plain.attention: unknown key 'block', did you mean 'blocks'",
        ),
        ("{attention: {blocks: []}}", r"config.yaml: experiments.bloom/plain.attention.blocks = \[\]"),
        (
            "{attention: {of: nodes, head: 1}}",
            r"config.yaml: experiments.bloom/plain.attention: blocks, head: of = nodes draws all heads",
        ),
        ("{attention: {images: 0}}", r"config.yaml: experiments.bloom/plain.attention.images = 0"),
        ("{attention: {blocks: [-1]}}", r"attention.blocks.0 = -1"),
        (
            "{attention: {}, model: {name: vit_base_patch16_224, arguments: {depth: 4}}}",
            r"experiments.bloom/plain: attention.blocks asks for block 9, and the network has 4 blocks; "
            r"they count from 0, so name blocks up to 3",
        ),
        (
            "{attention: {head: 3}, model: {name: vit_base_patch16_224, arguments: {num_heads: 3}}}",
            r"experiments.bloom/plain: attention.head asks for head 3, and the network has 3 heads",
        ),
    ],
)
def test_mistakes_in_attention_are_named_in_a_sentence(make, change: str, sentence: str):
    with pytest.raises(UserError, match=sentence):
        make(f"experiments: {{bloom/plain: {change}}}")


# Attribution


def test_an_arm_asks_for_attribution_alone(attributed):
    plan = attributed()
    assert list(with_attribution(plan)) == ["bloom/plain/seen"]
    assert plan.find("bloom", "plain", "seen").spec() == plan.find("bloom", "plain", "corrected").spec()
    entries = {entry["arm"]: entry["attribution"] for entry in plan.description("bloom")["entries"]}
    assert entries["corrected"] is None and entries["seen"]["images"] == 64


def test_a_preset_sets_the_size_of_attribution_and_a_person_asks_for_more(attributed):
    (found,) = with_attribution(attributed(preset="{all: {attribution: {shown: 2}}}")).values()
    assert (found.attribution.shown, found.attribution.images, found.attribution.figures) == (2, 64, 2)
    every = with_attribution(attributed("{names: [3, a/b.png]}")).values()
    assert [e.attribution.figures for e in every] == [2, 2]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("{method: [saliency]}", r"attribution: unknown key 'method', did you mean 'methods'"),
        ("{methods: [gradcam]}", r"attribution.methods.0 = gradcam: must be one of saliency"),
        ("{methods: []}", r"attribution.methods = \[\]"),
        ("{methods: [saliency, saliency]}", r"attribution.methods: holds 'saliency' twice"),
        ("{names: [3, 3]}", r"attribution.names: holds 3 twice"),
        ("{images: 2, shown: 4}", r"attribution.shown: 4 images cannot be shown of 2"),
        ("{steps: 0}", r"attribution.steps = 0"),
        (
            "{names: [3, 12]}",
            r"bloom/plain.attribution.names asks for image 12, and roses has 12 test images; .* up to 11",
        ),
    ],
)
def test_mistakes_in_attribution_are_named_in_a_sentence(attributed, asked: str, sentence: str):
    with pytest.raises(UserError, match=sentence):
        attributed(asked)
