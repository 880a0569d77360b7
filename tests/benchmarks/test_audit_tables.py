"""What the documents say of the audit is what was measured."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    names = {path.stem for path in FOLDER.glob("*.py")} - sys.modules.keys()
    module = __import__("audit_tables")
    for name in names:
        sys.modules.pop(name, None)
    return module


def test_the_document_shows_the_committed_figures(tables: ModuleType) -> None:
    recall, apart = (json.loads(path.read_text(encoding="utf-8")) for path in (tables.RECALL, tables.APART))
    text = tables.DOCUMENT.read_text(encoding="utf-8")
    assert tables.replaced(text, "\n\n".join(tables.tables(recall, apart))) == text


def test_a_pair_that_a_person_saw_to_be_true_is_not_false(tables: ModuleType) -> None:
    ways = {"hash": 40, "whole": 3, "crops": 5}
    recall = {
        "n": 200,
        "n_a": 1000,
        "n_b": 2000,
        "hardware": "a machine",
        "changes": [
            {"kind": "crop", "strength": "50 %", **{way: {"found": found, "wrong": 1} for way, found in ways.items()}}
        ],
    }
    apart = {
        "sets": {"streets": {"comparisons": 2_000_000, "called": ways, "true": {"hash": 3, "whole": 3, "crops": 4}}}
    }
    _, found, _, false = tables.tables(recall, apart)
    assert found.splitlines()[-1].split("|")[1:-1] == [" crop ", " 50 % ", " 2 ", " 2 ", " 20 "]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in false.splitlines()[2:]]
    assert cells[0] == ["the changed ones above", "2,000,000", "–", "1", "1", "1", "0.5"]
    assert cells[1] == ["streets", "2,000,000", "4", "1", "0", "37", "0.5"]


def test_the_crop_step_grows_with_the_pictures_and_not_with_the_pairs() -> None:
    found = json.loads((FOLDER / "results" / "audit_scale-epyc-2-cores.json").read_text(encoding="utf-8"))
    first, *_, last = found["sizes"]
    grown = last["n"] / first["n"]
    assert last["n"] == 100_000
    for step in ("sharing", "geometry"):
        key = f"processor_seconds_{step}"
        assert last[key] < 2 * grown * first[key]  # the pairs are `grown` ** 2 as many
    for size in found["sizes"]:
        assert size["planted_agreeing"] == size["agreeing"] == size["planted"]
