"""A training that takes its rate from a finder follows it, and not the other way round."""

import shutil
from pathlib import Path

import pytest

from florilegium.figures import style
from tests.workflow.conftest import configure, copy_project, narrow, planned, source
from tests.workflow.test_reruns import below, edit, finish

STUDY = "results/demo/techniques/"
EXPERIMENT = f"{STUDY}resnet18_finder/corrected/"
FINDERS = tuple(f"{EXPERIMENT}seed{seed}/finder/" for seed in (0, 1))
TRAININGS = tuple(f"{EXPERIMENT}seed{seed}/metrics.json" for seed in (0, 1))


@pytest.fixture(scope="module")
def demo(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(project, tmp_path_factory.mktemp("finder") / "demo")
    return narrow(folder, "techniques")


@pytest.fixture(scope="module")
def everything(demo: Path) -> set[str]:
    return finish(demo)


@pytest.fixture
def copy(demo: Path, everything: set[str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(demo, tmp_path / "copy"))


def change(copy: Path, **recipe: object) -> set[str]:
    """The outputs of the study that are due after a change of the recipe, reports left out."""
    configure(copy, experiments={"techniques/resnet18_finder": {"recipe": recipe}})
    return below(planned(copy, "all"), f"{STUDY}resnet")


def test_what_both_use_reruns_both_and_no_other_experiment(copy: Path, everything: set[str]):
    assert change(copy, weight_decay=2.0e-3) == below(everything, EXPERIMENT)


def test_what_a_finder_does_not_use_leaves_it_alone(copy: Path):
    due = change(copy, epochs=7)
    assert below(due, *TRAININGS) == set(TRAININGS)
    assert not below(due, *FINDERS)


def test_what_the_finder_alone_uses_reruns_it_and_what_follows(copy: Path, everything: set[str]):
    due = change(copy, finder_steps=40)
    assert below(due, *FINDERS) == below(everything, *FINDERS)
    assert below(due, *TRAININGS) == set(TRAININGS)


def test_another_look_draws_the_finder_again_and_trains_nothing(copy: Path):
    edit(source(copy, style), "WIDTH = 9.0", "WIDTH = 9.0 + 1")
    pictures = {f"{finder}finder.{kind}" for finder in FINDERS for kind in ("png", "receipt.json")}
    due = planned(copy, "all")
    assert below(due, EXPERIMENT) == pictures
    assert not {name for name in due if name.endswith("metrics.json")}
