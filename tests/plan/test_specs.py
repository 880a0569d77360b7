"""What stages are asked for holds what they use, and nothing that is only read by people."""

from pathlib import Path

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


def test_files_of_ones_own_are_inputs(tmp_path: Path):
    picture = tmp_path / "roses" / "one.png"
    picture.parent.mkdir()
    for litter in (".DS_Store", "roses/._one.png", "roses/Thumbs.db", "__MACOSX/roses/._one.png"):
        (tmp_path / litter).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / litter).touch()
    picture.touch()
    archive = {"path": str(tmp_path / "17flowers.tgz")}
    found = specs(
        own_datasets={"mine": {"layout": "folders", "folder": str(tmp_path)}},
        datasets={"oxford17": {"files": {"17flowers.tgz": archive, "datasplits.mat": "absent"}}},
    )
    assert found.local_files("mine") == [str(picture)]  # what systems leave there runs nothing again
    assert found.local_files("oxford17") == [archive["path"]]
    assert found.local_files("oxford102") == []


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
