"""The files that `start` writes, and their names: what a person finds in them, and keeps."""

import shutil
from pathlib import Path

import pytest
import yaml

from florilegium.core.errors import UserError
from florilegium.own.files import write
from florilegium.own.found import Found, find
from florilegium.own.names import chosen_name
from florilegium.plan.project import load_plan
from tests.helpers.annotated import write as write_pictures
from tests.own.test_found import PROJECT, boxed, classes

NAMES = {
    "leaves": "leaves",
    "Blätter {2} 'q'": "Blaetter_2_q",
    "日本": "pictures",
    "train": "my_train",
    "flowers": "my_flowers",
    "All": "All",
    "all": "my_all",
    "demo17": "my_demo17",
    "weights": "my_weights",
    "a__b": "a_b",
    ".hidden": "hidden",
    "x" * 99: "x" * 60,
}


@pytest.mark.parametrize(("folder", "name"), NAMES.items())
def test_a_study_is_called_as_the_folder_in_plain_letters(folder: str, name: str, project: Path):
    assert chosen_name(Path("somewhere", folder), None, project) == name


@pytest.mark.parametrize("name", ["all", "flowers", "a b", "a__b", "../x", "", "plot_page"])
def test_a_name_that_means_something_else_is_refused(name: str, project: Path):
    with pytest.raises(UserError, match=r"--name .*: .*; give another name"):
        chosen_name(Path("leaves"), name, project)


@pytest.fixture
def found(tmp_path: Path) -> Found:
    write_pictures(tmp_path / "ü {x} \x7f" / "'q\"", classes("a", "b", count=20))
    return find(tmp_path / "ü {x} \x7f" / "'q\"", PROJECT)


@pytest.fixture
def home(project: Path, tmp_path: Path) -> Path:
    """A project's folder without its code."""
    shutil.copytree(project / "workflow", tmp_path / "home" / "workflow")
    shutil.copy(project / "config.yaml", tmp_path / "home")
    return tmp_path / "home"


def planned(home: Path, written_config: Path) -> list[tuple[str, tuple[int, ...], str]]:
    """Each arm of the plan with its seeds, and what it starts from."""
    config = yaml.safe_load((home / written_config).read_text(encoding="utf-8"))
    return [(e.key, e.seeds, e.init.weights if e.init else "") for e in load_plan(home, config).experiments]


def test_the_study_is_scratch_against_pretrained_with_three_seeds_and_an_audit(home: Path, found: Found):
    written = write(found, "leaves", home)
    assert planned(home, written.config) == [
        ("leaves/scratch/corrected", (0, 1, 2), ""),
        ("leaves/pretrained/corrected", (0, 1, 2), "efficientnet-lite0"),
    ]
    config = yaml.safe_load((home / written.config).read_text(encoding="utf-8"))
    assert config["own_datasets"]["leaves"]["folder"] == str(found.folder)
    plan = load_plan(home, config)
    assert plan.audits() == [("leaves", "leaves")] and all(e.data.clean == ("leaves",) for e in plan.experiments)
    assert plan.experiments[1].baseline is not None and plan.experiments[1].baseline.experiment == "scratch"


def test_boxes_get_a_detector(home: Path, tmp_path: Path):
    write_pictures(tmp_path / "street", boxed())
    written = write(find(tmp_path / "street" / "all.json", PROJECT), "street", home)
    assert [key for key, _, _ in planned(home, written.config)] == [
        "street/scratch/corrected",
        "street/pretrained/corrected",
    ]


def test_a_folder_inside_the_project_is_named_from_there(home: Path):
    write_pictures(home / "photos", classes("a", "b"))
    written = write(find(home / "photos", home / "src"), "photos", home)
    assert yaml.safe_load((home / written.config).read_text())["own_datasets"]["photos"]["folder"] == "photos"


def test_what_is_there_stays_as_it_is_and_what_is_gone_comes_back(home: Path, found: Found):
    written = write(found, "leaves", home)
    assert set(written.new) == {written.config, written.study}
    (home / written.config).write_text((home / written.config).read_text() + "seeds: [7]\n")
    edited = (home / written.config).read_bytes()
    (home / written.study).unlink()
    assert write(found, "leaves", home).new == (written.study,)
    assert (home / written.config).read_bytes() == edited
    assert write(found, "leaves", home).new == ()


def test_another_folder_of_the_same_name_changes_nothing(home: Path, found: Found, tmp_path: Path):
    written = write(found, "leaves", home)
    before = (home / written.config).read_bytes()
    write_pictures(tmp_path / "other", classes("c", "d"))
    with pytest.raises(UserError, match=r"is that of another folder, .*; give this one another name: --name"):
        write(find(tmp_path / "other", PROJECT), "leaves", home)
    assert (home / written.config).read_bytes() == before
