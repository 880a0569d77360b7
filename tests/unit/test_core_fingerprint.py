"""The code hash sees real changes anywhere in the import closure, and nothing else."""

from importlib.metadata import version

import pytest

from florilegium.core import fingerprint

FILES = {
    "stage.py": '"""Doc."""\nfrom florilegium.room.helper import value\n\n\ndef main():\n    return value\n',
    "room/__init__.py": "",
    "room/helper.py": "from florilegium.deep import constant\n\nvalue = constant + 1\n",
    "deep.py": '"""Deep."""\n\nconstant = 1\n\n\ndef unused():\n    """Says something."""\n',
    "other.py": "x = 1\n",
}


def forget() -> None:
    """As a new process knows nothing."""
    for name in ("code_hash", "_closure", "_imports", "_imported", "_facts", "_remembered"):
        getattr(fingerprint, name).cache_clear()
    fingerprint._in_use.clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)

    def write(**changes: str) -> str:
        for name, text in {**FILES, **{k.replace("__", "/") + ".py": v for k, v in changes.items()}}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        forget()
        return fingerprint.code_hash("florilegium.stage")

    return write


def test_cosmetics_change_nothing(package):
    cosmetic = '"""Deeper."""\n\n# why\nconstant  =  1\n\n\ndef unused():\n    """Other words."""\n'
    assert package(deep=cosmetic) == package()


def test_a_docstring_that_is_new_or_gone_changes_nothing(package):
    assert package(deep="constant = 1\n\n\ndef unused():\n    pass\n") == package()


def test_a_constant_deep_below_counts(package):
    assert package(deep=FILES["deep.py"].replace("= 1", "= 2")) != package()


def test_a_module_that_is_not_reached_does_not_count(package):
    assert package(other="x = 2\n") == package()


def test_further_roots_count(package):
    package()
    alone = fingerprint.code_hash("florilegium.stage")
    assert fingerprint.code_hash("florilegium.stage", "florilegium.other") != alone


def test_what_is_remembered_is_the_same_and_goes_by_the_text(package, monkeypatch):
    before, changed = package(), package(deep="constant = 2\n")
    fingerprint.remember()
    monkeypatch.setattr(fingerprint.ast, "dump", None)  # nothing is looked at again
    assert package(deep="constant = 2\n") == changed
    monkeypatch.undo()
    forget()
    assert before != changed


def test_a_damaged_memory_is_not_missed(package, tmp_path):
    before = package()
    fingerprint.MEMORY.parent.mkdir()
    fingerprint.MEMORY.write_text("{")
    assert package() == before


def test_packages_that_are_reached_have_versions(package):
    package(deep="import json\n\n\ndef draw():\n    from PIL import Image\n", other="import torch\n")
    assert fingerprint.package_versions("florilegium.stage") == {"pillow": version("pillow")}
    both = fingerprint.package_versions("florilegium.stage", "florilegium.other")
    assert both == {"pillow": version("pillow"), "torch": version("torch")}


def test_canonical_json_knows_no_key_order():
    assert fingerprint.canonical({"b": 1.0e-1, "a": [1]}) == fingerprint.canonical({"a": [1], "b": 0.1})
