"""What stages are asked for holds what they use, and nothing that is only read by people."""

import os
from pathlib import Path

import pytest

from florilegium.config.base import read_yaml
from florilegium.config.weights import Weights
from florilegium.plan.paths import Paths
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
    for litter in (".DS_Store", "._one.png", "Thumbs.db", "__MACOSX/._one.png"):
        (picture.parent / litter).parent.mkdir(exist_ok=True)
        (picture.parent / litter).touch()
    assert marks() == first
    picture.write_text("another")
    assert [a == b for a, b in zip(first, marks(), strict=True)] == [False, True, True]
    archive.write_text("another")
    assert [a == b for a, b in zip(first, marks(), strict=True)] == [False, False, True]


def test_first_weights_of_ones_own_have_a_mark_and_are_no_input(tmp_path: Path):
    """Whatever their name and time; those that the workflow makes are an input."""
    own = tmp_path / "mine {x}.safetensors"
    own.write_bytes(b"weights")

    def started(file: str) -> tuple[str, bool]:
        change = {"flowers/resnet18_scratch": {"init": {"file": file}}}
        found = specs(preset="demo", experiments=change)
        e = found.plan.find("flowers", "resnet18_scratch", "corrected")
        options = Paths(found.plan).training_options(e)
        assert options[options.index("--init") + 1] == file
        return found.first_weights(e).text, "init" in Paths(found.plan).training_inputs(e, (0,))

    first, is_input = started(str(own))
    assert first and not is_input
    os.utime(own, (0, 2**33))
    assert started(str(own))[0] == first
    own.write_bytes(b"Weights")
    assert started(str(own))[0] not in (first, "")
    assert started("results/mini/a/b/c/seed0/checkpoint.safetensors") == ("", True)


def test_what_decoding_depends_on():
    found = specs(corrupt_images="skip", pictures={"ground": "Navy"})
    how = {"ground": "#000080", "max_megapixels": 250.0}
    assert found.reading("cifar10") == {
        "layout": found.plan.datasets["cifar10"].layout,
        "corrupt": "skip",
        "pictures": how,
    }
    assert found.boxed("608-1024-least") == {
        "short_side": 608,
        "long_side": 1024,
        "padding": "least",
        "corrupt": "skip",
        "pictures": how,
    }
    assert found.audit()["pictures"] == how
    assert "pictures" not in found.annotations("voc5") and "pictures" not in found.table("cifar10")


def test_a_page_has_the_credits_of_the_weights_that_are_used():
    started = {"flowers/resnet18_scratch": {"init": {"weights": "efficientnet-lite0"}}}
    plan = specs(experiments=started).plan
    lite = Weights(model="x", timm="x", title="EfficientNet-Lite0 from ImageNet", citation="M. Tan", terms="Apache-2.0")
    credits = Specs(plan, {"efficientnet-lite0": lite, "resnet18.a1_in1k": lite}).page({})["weights"]
    assert list(credits) == ["efficientnet-lite0"]
    assert credits["efficientnet-lite0"] == {
        "title": lite.title,
        "citation": "M. Tan",
        "terms": "Apache-2.0",
        "homepage": "",
    }
