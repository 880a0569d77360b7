"""What stages are asked for holds what they use, and nothing that is only read by people."""

from pathlib import Path

import pytest

from florilegium.config.base import read_yaml
from florilegium.plan.plan import Plan
from florilegium.plan.project import load_plan
from florilegium.plan.specs import DESCRIPTIVE, Specs

PROJECT = Path(__file__).resolve().parents[2]


def specs(**config: object) -> Specs:
    plan: Plan = load_plan(PROJECT, {**read_yaml(PROJECT / "config.yaml"), "preset": "paper", **config})
    return Specs(plan, {})


def test_words_for_readers_are_in_no_spec():
    found = specs()
    assert found.plan.datasets["oxford17"].citation
    for spec in (found.download("oxford17"), found.table("oxford17_split2"), found.annotations("voc5")):
        assert not DESCRIPTIVE.keys() & spec["dataset"].keys()


def test_a_mirror_is_of_the_download_alone():
    found = specs()
    downloaded, listed = found.download("oxford17"), found.table("oxford17_split2")
    assert all("urls" in file for file in downloaded["dataset"]["files"])
    assert not any({"urls", "md5", "sha256"} & file.keys() for file in listed["dataset"]["files"])
    assert listed["split"] == 2 and found.table("oxford102")["split"] is None


def test_files_of_ones_own_have_a_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    picture, archive = tmp_path / "roses" / "one {x}.png", tmp_path / "17flowers.tgz"
    for path in (picture, archive):
        path.parent.mkdir(exist_ok=True)
        path.touch()

    def marks() -> list[str]:
        """Of each plan anew."""
        found = specs(
            own_datasets={"mine": {"layout": "folders", "folder": str(picture.parent)}},
            datasets={"oxford17": {"files": {"17flowers.tgz": {"path": str(archive)}, "datasplits.mat": "absent"}}},
        )
        return [found.mark("datasets", name).text for name in ("mine", "oxford17", "oxford102")]

    first = marks()
    assert first[2] == "" != first[0] != first[1] != "" and marks() == first
    picture.write_text("another")
    assert [a == b for a, b in zip(first, marks(), strict=True)] == [False, True, True]
    archive.write_text("another")
    assert [a == b for a, b in zip(first, marks(), strict=True)] == [False, False, True]


def test_what_decoding_depends_on():
    found = specs(corrupt_images="skip")
    assert found.reading("cifar10") == {"layout": found.plan.datasets["cifar10"].layout, "corrupt": "skip"}
    assert found.boxed("608-1024-least") == {
        "short_side": 608,
        "long_side": 1024,
        "padding": "least",
        "corrupt": "skip",
    }
