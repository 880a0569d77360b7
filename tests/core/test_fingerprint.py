"""The code hash sees real changes in what is reached, and nothing else; and what is cached changes none."""

from importlib.metadata import version
from pathlib import Path

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
    fingerprint.package_code.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    forget()

    def write(**changes: str) -> str:
        for name, text in {**FILES, **{k.replace("__", "/") + ".py": v for k, v in changes.items()}}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        forget()
        return fingerprint.code_hash("florilegium.stage")

    yield write
    forget()


def test_cosmetics_change_nothing(package):
    cosmetic = '"""Deeper."""\n\n# why\nconstant  =  1\n\n\ndef unused():\n    """Other words."""\n'
    assert package(deep=cosmetic) == package()


def test_a_docstring_that_is_new_or_gone_changes_nothing(package):
    assert package(deep="constant = 1\n\n\ndef unused():\n    pass\n") == package()
    same = ("def main():\n    pass\n", "def main():\n    'Text.'\n")
    assert package(stage=same[0]) == package(stage=same[1])


def test_a_constant_deep_below_counts(package):
    assert package(deep=FILES["deep.py"].replace("= 1", "= 2")) != package()


def test_a_definition_that_is_not_reached_does_not_count(package):
    assert package(deep=FILES["deep.py"].replace('"""Says something."""', "return 1")) == package()


def test_a_module_that_is_not_reached_does_not_count(package):
    assert package(other="x = 2\n") == package()


def test_a_root_counts_as_a_whole(package):
    assert package(stage=FILES["stage.py"] + "\n\ndef unused():\n    return 1\n") != package()
    program = "\n\nif __name__ == '__main__':\n    main({})\n"
    assert package(stage=FILES["stage.py"] + program.format(1)) != package(stage=FILES["stage.py"] + program.format(2))


def test_a_module_that_a_root_imports_and_passes_on_is_no_part_of_it(package):
    stage = "from florilegium import deep\n\n\ndef main():\n    return deep.constant\n"
    assert package(stage=stage) == package(stage=stage, deep="constant = 1\n\n\ndef unused():\n    return 1\n")


def test_further_roots_count(package):
    package()
    alone = fingerprint.code_hash("florilegium.stage")
    assert fingerprint.code_hash("florilegium.stage", "florilegium.other") != alone


def test_a_root_may_be_one_definition(package):
    two = "def one():\n    return 1\n\n\ndef two():\n    return {}\n"

    def hashes() -> list[str]:
        return [fingerprint.code_hash("florilegium.stage", f"florilegium.other:{name}") for name in ("one", "two")]

    package(other=two.format(1))
    before = hashes()
    package(other=two.format(2))
    after = hashes()
    assert before[0] == after[0] and before[1] != after[1]


@pytest.mark.parametrize(
    ("root", "error", "message"),
    [
        ("florilegium.none", ModuleNotFoundError, "florilegium.none is not a module of florilegium"),
        ("json", ModuleNotFoundError, "json is not a module of florilegium"),
        ("florilegium.other:y", AttributeError, "florilegium.other does not define y"),
    ],
)
def test_a_root_that_is_not_there_is_an_error(package, root: str, error: type[Exception], message: str):
    package()
    with pytest.raises(error, match=message):
        fingerprint.code_hash(root)


def test_what_is_saved_is_the_same_and_goes_by_the_text(package, monkeypatch):
    before, changed = package(), package(deep="constant = 2\n")
    fingerprint.save_code_cache()
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "read_module", None)  # no file is read again
        assert package(deep="constant = 2\n") == changed
        # What a function of it reaches was not asked for, and follows from the parts that are saved.
        assert fingerprint.code_hash("florilegium.room.helper") not in (before, changed)
        with pytest.raises(TypeError):
            package(deep="constant = 3\n")
    assert package() == before != changed


def test_nothing_is_written_until_it_is_asked_for(package, tmp_path: Path):
    package()
    fingerprint.package_versions("florilegium.stage")
    assert not fingerprint.CACHE.exists()
    fingerprint.save_code_cache()
    saved = fingerprint.CACHE.stat().st_mtime_ns
    package()
    fingerprint.save_code_cache()
    assert fingerprint.CACHE.stat().st_mtime_ns == saved


@pytest.mark.parametrize("text", ["{", "{}", "[1]", '{"a": ["b"]}', "[{}, {}, {}]"])
def test_a_cache_that_is_damaged_or_of_another_version_is_not_missed(package, text: str):
    before = package()
    fingerprint.CACHE.parent.mkdir()
    fingerprint.CACHE.write_text(text)
    assert package() == before


def test_the_cache_forgets_what_is_no_longer_there(package):
    package()
    fingerprint.save_code_cache()
    package(deep="constant = 2\n")
    fingerprint.save_code_cache()
    size = fingerprint.CACHE.stat().st_size
    for number in range(3, 6):
        package(deep=f"constant = {number}\n")
        fingerprint.save_code_cache()
    assert fingerprint.CACHE.stat().st_size == size


def test_packages_that_are_used_have_versions(package):
    deep = "import json\nimport numpy\nconstant = 1\nimport torch\n\n\n"
    deep += "def draw():\n    from PIL import Image\n\n\ndef count():\n    numpy.sum\n"
    package(deep=deep, other="import scipy\n\nscipy.show_config()\n")
    assert fingerprint.package_versions("florilegium.stage") == {}
    numpy, pillow, scipy = ({name: version(name)} for name in ("numpy", "pillow", "scipy"))
    assert fingerprint.package_versions("florilegium.deep:draw") == pillow
    assert fingerprint.package_versions("florilegium.deep") == numpy | pillow
    assert fingerprint.package_versions("florilegium.deep:count", "florilegium.other") == numpy | scipy


def test_canonical_json_knows_no_key_order():
    assert fingerprint.canonical({"b": 1.0e-1, "a": [1]}) == fingerprint.canonical({"a": [1], "b": 0.1})
