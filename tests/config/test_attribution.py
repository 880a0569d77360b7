"""Which experiments have their answers explained, as study files and presets say it."""

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
  plain:
    data: {dataset: roses}
    recipe: {epochs: 2, lr: 0.1}
    model: {name: resnet18}
    arms:
      corrected: {}
      seen: {attribution: {images: 64}}
"""


def with_attribution(plan: Plan) -> dict[str, Experiment]:
    return {e.key: e for e in plan.experiments if e.attribution}


@pytest.fixture
def make(tmp_path: Path):
    """A function that writes a small project and loads its plan."""
    for folder in ("studies", "presets"):
        (tmp_path / "workflow" / folder).mkdir(parents=True)
    (tmp_path / "workflow/datasets.yaml").write_text(
        "roses: {layout: folders, folder: pictures, images: {train: 40, test: 12}}"
    )
    (tmp_path / "workflow/studies/bloom.yaml").write_text(STUDY)

    def load(asked: str = "", preset: str = "{}") -> Plan:
        chosen = {"title": "small", "seeds": [0], "studies": {"bloom": yaml.safe_load(preset)}}
        (tmp_path / "workflow/presets/small.yaml").write_text(yaml.safe_dump(chosen))
        changes = {"bloom/plain": {"attribution": yaml.safe_load(asked)}} if asked else {}
        return load_plan(tmp_path, {"preset": "small", "experiments": changes})

    return load


def test_an_arm_asks_for_it_alone(make):
    plan = make()
    assert list(with_attribution(plan)) == ["bloom/plain/seen"]
    assert plan.find("bloom", "plain", "seen").spec() == plan.find("bloom", "plain", "corrected").spec()
    entries = {entry["arm"]: entry["attribution"] for entry in plan.description("bloom")["entries"]}
    assert entries["corrected"] is None and entries["seen"]["images"] == 64


def test_a_preset_sets_its_size_and_a_person_asks_for_more(make):
    (found,) = with_attribution(make(preset="{all: {attribution: {shown: 2}}}")).values()
    assert (found.attribution.shown, found.attribution.images, found.attribution.figures) == (2, 64, 2)
    every = with_attribution(make("{names: [3, a/b.png]}")).values()
    assert [e.attribution.figures for e in every] == [2, 2]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("{method: [saliency]}", r"attribution: unknown key 'method', did you mean 'methods'"),
        ("{methods: [gradcam]}", r"attribution: methods.0 = 'gradcam': input should be 'saliency'"),
        ("{methods: []}", r"attribution: methods = \[\]"),
        ("{methods: [saliency, saliency]}", r"attribution: methods: holds 'saliency' twice"),
        ("{names: [3, 3]}", r"attribution: names: holds 3 twice"),
        ("{images: 2, shown: 4}", r"attribution: shown: 4 images cannot be shown of 2"),
        ("{steps: 0}", r"attribution: steps = 0"),
        (
            "{names: [3, 12]}",
            r"bloom/plain/corrected: attribution.names asks for image 12, and roses has 12 test images; .* up to 11",
        ),
    ],
)
def test_mistakes_are_told_in_a_sentence(make, asked: str, sentence: str):
    with pytest.raises(UserError, match=sentence):
        make(asked)
