"""Every network of the `paper` preset can be built and frozen as its experiment says, on a device without memory."""

from pathlib import Path

import pytest
import torch

from florilegium.config.experiment import Experiment
from florilegium.core.fingerprint import canonical
from florilegium.models import registry
from florilegium.models.freeze import freeze
from florilegium.plan.project import load_plan

PROJECT = Path(__file__).resolve().parents[2]


def networks() -> dict[str, Experiment]:
    """One experiment for each network and what is frozen of it."""
    found: dict[str, Experiment] = {}
    for e in load_plan(PROJECT, {"preset": "paper"}).experiments:
        held = (e.recipe.freeze, e.recipe.freeze_blocks)
        found.setdefault(canonical([e.task, e.model.model_dump(mode="json"), held]), e)
    return found


@pytest.mark.parametrize("e", [pytest.param(e, id=e.key) for e in networks().values()])
def test_a_network_of_the_paper_preset_is_built_and_has_something_to_learn(e: Experiment):
    with torch.device("meta"):
        network = registry.build(e.model, 200)
    assert all(p.is_meta for p in network.parameters())
    freeze(network, e.recipe)
    assert any(p.requires_grad for p in network.parameters())
