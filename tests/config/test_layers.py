"""Configuration in layers: joined as Snakemake joins it, and with the file of every key."""

from pathlib import Path
from typing import Any

import pytest
from snakemake.utils import update_config

from florilegium.config.layers import Configuration, Layer, read_configuration
from florilegium.core.errors import UserErrors

BELOW = {"preset": "demo", "seeds": [0], "audit": {"radius": 3, "dihedral": True}, "experiments": {"a/b": {"skip": 1}}}
ABOVE: list[dict[str, Any]] = [
    {"preset": "mini"},
    {"audit": {"radius": 5}},
    {"audit": None},
    {"seeds": {"a": 1}},
    {"experiments": {"a/b": {"recipe": {"lr": 1}}, "c/d": {}}},
    {},
]


@pytest.mark.parametrize("above", ABOVE)
def test_layers_are_joined_as_snakemake_joins_them(above: dict[str, Any]):
    expected: dict[str, Any] = {}
    for values in (BELOW, above):
        update_config(expected, values)
    assert dict(Configuration([Layer("below", BELOW), Layer("above", above)])) == expected


def test_the_file_of_a_key_is_the_last_that_sets_it():
    joined = Configuration([Layer("config.yaml", BELOW), Layer("b.yaml", {"audit": {"radius": 5}}), Layer("c", {})])
    assert joined.where(["audit", "radius"]) == "b.yaml"
    assert joined.where(["audit", "dihedral"]) == "config.yaml"
    assert joined.where(["seeds", 0]) == "config.yaml"
    assert joined.where(["audit", "unset"]) == "b.yaml"
    assert joined.where(["unset"]) == "config.yaml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("preset: demo\nseeds: [0]\n")
    (tmp_path / "b.yaml").write_text("seeds: [1]\n")
    (tmp_path / "c.json").write_text('{"seeds": [2], "audit": {"pixel_threshold": 1e-3}}')
    return tmp_path


def test_later_files_and_the_command_line_go_before_earlier_ones(folder: Path):
    files = [folder / "b.yaml", folder / "c.json"]
    assert dict(read_configuration(folder)) == {"preset": "demo", "seeds": [0]}
    joined = read_configuration(folder, files, {"audit": {"radius": "4"}})
    assert dict(joined) == {"preset": "demo", "seeds": [2], "audit": {"pixel_threshold": 1e-3, "radius": 4}}
    assert [joined.where([key]) for key in ("preset", "seeds", "audit")] == ["config.yaml", "c.json", "--config"]
    assert dict(read_configuration(folder, files[:1], replace=True)) == {"seeds": [1]}
    (folder / "config.yaml").unlink()
    assert dict(read_configuration(folder, files[:1])) == {"seeds": [1]}


def test_every_file_that_cannot_be_read_is_told(folder: Path):
    (folder / "config.yaml").write_text("seeds: [0\n")
    (folder / "b.yaml").write_text("- a\n")
    with pytest.raises(UserErrors) as told:
        read_configuration(folder, [folder / "b.yaml", folder / "no.yaml"], {"experiments": {"lr:1": ""}})
    files = [sentence.partition(":")[0] for sentence in told.value.mistakes]
    assert files == ["config.yaml line 2", "b.yaml", "no.yaml", "--config"]
