"""Which experiments have their attention looked at, and with what, as study files and presets say it."""

from pathlib import Path

import pytest
import yaml

from florilegium.config.experiment import Experiment
from florilegium.core.errors import UserError
from florilegium.plan.plan import Plan
from florilegium.plan.project import load_plan

STUDY = """
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


def with_attention(plan: Plan) -> dict[str, Experiment]:
    return {e.key: e for e in plan.experiments if e.attention}


@pytest.fixture
def make(tmp_path: Path):
    """A function that writes a small project and loads its plan."""
    for folder in ("studies", "presets"):
        (tmp_path / "workflow" / folder).mkdir(parents=True)
    (tmp_path / "workflow/datasets.yaml").write_text("roses: {layout: folders, folder: pictures}")

    def load(config: str = "", study: str = STUDY, preset: str = "{}") -> Plan:
        (tmp_path / "workflow/studies/bloom.yaml").write_text(study)
        rest = yaml.safe_load(preset)
        chosen = {"title": "small", "seeds": [0, 1], "studies": {"bloom": rest}}
        (tmp_path / "workflow/presets/small.yaml").write_text(yaml.safe_dump(chosen))
        return load_plan(tmp_path, {"preset": "small", **(yaml.safe_load(config) or {})})

    return load


def test_it_is_looked_at_where_a_study_asks_for_it(make):
    seen = with_attention(make())
    assert list(seen) == ["bloom/seen/corrected", "bloom/seen/closer"]
    first, second = (e.attention for e in seen.values())
    assert (first.blocks, first.head, first.images, first.shown) == ((0, 3, 6, 9), 1, 100, 4)
    assert (second.head, second.images) == (1, 7)


@pytest.mark.parametrize("several", ["all: {}", "experiments: {{'[ps]*': {}}}"])
def test_what_a_preset_changes_for_several_asks_for_nothing(make, several: str):
    plan = make(preset=several.format("{attention: {blocks: [0, 1]}}"))
    assert [e.attention.blocks for e in with_attention(plan).values()] == [(0, 1)] * 2
    assert plan.find("bloom", "plain", "corrected").attention is None


@pytest.mark.parametrize("asked", ["{}", "{shown: 2}"])
def test_a_preset_or_a_person_can_ask_for_it(make, asked: str):
    change = f"{{bloom/plain: {{attention: {asked}}}}}"
    assert "bloom/plain/corrected" in with_attention(make(f"experiments: {change}"))
    preset = f"experiments: {{plain: {{attention: {asked}}}}}"
    assert "bloom/plain/corrected" in with_attention(make(preset=preset))


def test_a_training_does_not_depend_on_it(make):
    plan = make()
    assert plan.find("bloom", "seen", "corrected").spec() == plan.find("bloom", "plain", "corrected").spec()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            "{attention: {block: [0]}}",
            r"config.yaml: bloom/plain/corrected: attention: unknown key 'block', did you mean 'blocks'",
        ),
        ("{attention: {blocks: []}}", r"config.yaml: bloom/plain/corrected: attention: blocks = \[\]"),
        (
            "{attention: {of: nodes, head: 1}}",
            r"config.yaml: bloom/plain/corrected: attention: blocks, head: of = nodes draws all heads",
        ),
        ("{attention: {images: 0}}", r"config.yaml: bloom/plain/corrected: attention: images = 0"),
        ("{attention: {blocks: [-1]}}", r"attention: blocks.0 = -1"),
        (
            "{attention: {}, model: {name: vit_base_patch16_224, arguments: {depth: 4}}}",
            r"bloom/plain/corrected: attention.blocks asks for block 9, and the network has 4 blocks; "
            r"they count from 0, so name blocks up to 3",
        ),
        (
            "{attention: {head: 3}, model: {name: vit_base_patch16_224, arguments: {num_heads: 3}}}",
            r"bloom/plain/corrected: attention.head asks for head 3, and the network has 3 heads",
        ),
    ],
)
def test_mistakes_are_told_in_a_sentence(make, change: str, sentence: str):
    with pytest.raises(UserError, match=sentence):
        make(f"experiments: {{bloom/plain: {change}}}")
