"""Own folders and files are looked for before anything runs, and only those that are used."""

from pathlib import Path

import pytest

from florilegium.config.data import Init
from florilegium.config.datasets import DatasetOverride
from florilegium.config.weights import WeightsOverride
from florilegium.core.errors import UserError
from florilegium.plan.sources import check_file, check_sources
from tests.plan.test_references import entry, plan


def refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(project)
    with pytest.raises(UserError) as caught:
        check_sources(plan(project, {"a": entry()}), lambda keys: "config.yaml")
    return str(caught.value)


def test_a_folder_must_be_there_and_hold_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "pictures"
    assert "roses.folder = pictures: there is no such folder" in refused(tmp_path, monkeypatch)
    folder.write_text("a file")
    assert "pictures: is a file; give a folder" in refused(tmp_path, monkeypatch)
    folder.unlink()
    folder.symlink_to(tmp_path / "nowhere")
    assert "is a link to nothing" in refused(tmp_path, monkeypatch)
    folder.unlink()
    (folder / "daisy").mkdir(parents=True)
    (folder / "daisy" / ".hidden").write_text("")
    assert "pictures: holds no file" in refused(tmp_path, monkeypatch)
    (folder / "circle").symlink_to(folder)
    assert "folder = pictures: pictures/circle: this link leads to a folder" in refused(tmp_path, monkeypatch)
    (folder / "circle").unlink()
    (folder / "daisy" / "1.jpg").write_text("as good as any")
    check_sources(plan(tmp_path, {"a": entry()}), lambda keys: "config.yaml")


def test_what_nobody_uses_is_not_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    check_sources(plan(tmp_path, {"a": entry(data={"dataset": "many"})}), lambda keys: "config.yaml")


def test_a_path_may_begin_with_the_home_folder_or_be_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """All that reads it later reads the path: the file of a change in it is seen."""
    monkeypatch.setenv("HOME", str(tmp_path))
    mine = tmp_path / "my net.pth"
    for typed in ("~/my net.pth", mine.as_uri(), mine.as_uri().replace("file", "FILE")):
        assert Init(file=typed).file == mine.as_posix()
        assert WeightsOverride(file=typed).paths == {"weights.pth": mine}
        override = DatasetOverride.model_validate({"files": {"a.tgz": {"path": typed}}})
        assert override.paths == {"a.tgz": mine}
    assert Init(file="~nobody-of-that-name/a.pth").file == "~nobody-of-that-name/a.pth"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere.pth", "there is no such file; mend the path"),
        ("folder", "is a folder; give the file in it"),
        ("empty.pth", "is empty"),
        ("", "is empty; give the path"),
        ("https://example.org/a.pth", "is an address"),
        ("right.pth/below", "there is no such file"),
        ("a" * 300, "cannot be looked at"),
        ("a\0b", "cannot be looked at"),
        ("round", "cannot be looked at"),
        ("file:///nowhere/a.pth", "there is no such file"),
    ],
)
def test_a_file_must_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, said: str):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.pth").touch()
    (tmp_path / "right.pth").write_text("weights")
    (tmp_path / "round").symlink_to("round")
    check_file("right.pth", "here")
    check_file((tmp_path / "right.pth").as_uri(), "here")
    with pytest.raises(UserError, match=said) as caught:
        check_file(path, "here")
    assert str(caught.value).startswith("here") and "\n" not in str(caught.value)
