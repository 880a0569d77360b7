"""`python -m florilegium start`: what a person reads, and that a mistake leaves nothing behind."""

import argparse
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from florilegium.commands import start
from florilegium.config.data import DataUse, DetectionData, Model
from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError
from florilegium.own import cost
from tests.helpers.annotated import write
from tests.helpers.boxed import CPU, TINY
from tests.own.test_found import boxed, classes


@pytest.fixture
def home(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    shutil.copytree(project / "workflow", folder / "workflow")
    shutil.copy(project / "config.yaml", folder)
    monkeypatch.chdir(folder)
    return folder


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    start.add_parser(parser.add_subparsers())
    args = parser.parse_args(["start", *map(str, arguments)])
    return args.run(args)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of a training step takes a tenth of a second here."""
    monkeypatch.setattr(cost, "seconds_per_picture", lambda *_: 0.1)


def test_it_says_what_it_found_wrote_and_what_it_will_take(
    home: Path, tmp_path: Path, timed: None, capsys: pytest.CaptureFixture[str]
):
    write(tmp_path / "leaves", classes("a", "b", count=20))
    assert run(tmp_path / "leaves") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "leaves: 40 pictures of 2 classes: 28 train, 6 val, 6 test" in lines[0]
    assert lines[2:4] == ["own/leaves/config.yaml: written", "own/leaves/leaves.yaml: written"]
    # 28 pictures, 40 and 12 epochs, 3 seeds; a quarter more for all that is no step: 4368 * 0.1 * 1.25 s
    assert lines[4].startswith("6 trainings see 4,368 pictures: about 9 min of one processor core here")
    assert "NVIDIA H200" in lines[5]
    assert lines[6] == "next: snakemake --cores all all --configfile own/leaves/config.yaml"
    run(tmp_path / "leaves")
    assert capsys.readouterr().out.count("is there already, and stays as it is") == 2


def test_boxes_are_told_as_well(home: Path, tmp_path: Path, timed: None, capsys: pytest.CaptureFixture[str]):
    write(tmp_path / "street", boxed())
    assert run(tmp_path / "street" / "all.json", "--name", "street") == 0
    assert "6 trainings see 672 pictures" in capsys.readouterr().out  # 7 pictures, 24 and 8 epochs, 3 seeds


@pytest.mark.parametrize(
    ("name", "arguments", "data"),
    [
        ("resnet18", {"channels": [4, 4, 8, 8]}, DataUse(dataset="leaves")),
        ("retinanet_resnet18", TINY, DetectionData(dataset="street", short_side=32, long_side=64)),
    ],
)
def test_a_step_is_timed_of_either_kind(name: str, arguments: dict, data: DataUse | DetectionData):
    arm = SimpleNamespace(
        data=data, model=Model(name=name, arguments=arguments), recipe=Recipe(epochs=1, image_size=32)
    )
    assert 0 < cost.seconds_per_picture(arm, 2, CPU) < 10


def test_a_study_that_was_emptied_since_costs_nothing(
    home: Path, tmp_path: Path, timed: None, capsys: pytest.CaptureFixture[str]
):
    write(tmp_path / "leaves", classes("a", "b"))
    run(tmp_path / "leaves")
    config = home / "own/leaves/config.yaml"
    config.write_text(config.read_text().replace("studies: [leaves]", "studies: [flowers]"))
    capsys.readouterr()
    assert run(tmp_path / "leaves") == 0
    assert "trainings see" not in capsys.readouterr().out and "studies: [flowers]" in config.read_text()


@pytest.mark.parametrize("given", ["missing", "home", "."])
def test_a_mistake_leaves_nothing_behind(home: Path, tmp_path: Path, given: str):
    before = sorted(home.iterdir())
    with pytest.raises(UserError):
        run(tmp_path / given)
    assert sorted(home.iterdir()) == before


def test_outside_a_project_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="is no folder of the project"):
        run(tmp_path)
