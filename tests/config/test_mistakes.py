"""Every mistake of the table ends in the one sentence that stands beside it, and what is harmless in none."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from florilegium.plan import remarks
from tests.helpers.mistakes import make_project, told

CASES = yaml.safe_load(Path(__file__).with_name("mistakes.yaml").read_text(encoding="utf-8"))
FOREIGN = re.compile(  # words of libraries and of Python
    r"\b(input should|valid (integer|number|string|tuple|list|dictionary|boolean)|instance of|pydantic|NoneType|"
    r"dict|tuple|str|bool|int|None|True|False|OrderedDict|datetime|Traceback)\b"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("mistakes"))
    assert told(folder, {"write": "preset: demo"}) == ([], [])
    return folder


def called(case: dict[str, Any]) -> str:
    written = case.get("put") or case.get("write") or next(iter(case.keys() & {"folder", "missing"}), "empty")
    return f"{case.get('in', 'config.yaml')}: {written}"[:90]


@pytest.mark.parametrize("case", CASES, ids=called)
def test_it_is_told_in_one_sentence(project: Path, monkeypatch: pytest.MonkeyPatch, case: dict[str, Any]):
    monkeypatch.chdir(project)
    monkeypatch.setattr(remarks, "gpu_wanted", lambda device: device == "cuda")  # of a machine without a GPU
    mistakes, said = told(project, case)
    assert not [sentence for sentence in mistakes if FOREIGN.search(sentence)]
    if "says" not in case:
        assert (mistakes, said) == ([], case.get("notes", []))
        return
    assert len(mistakes) == 1, mistakes
    expected = case["says"]
    if expected.endswith("…"):
        assert mistakes[0].startswith(expected.removesuffix("…"))
    else:
        assert mistakes[0] == expected


def test_the_table_is_long_and_says_everything_once():
    assert len(CASES) >= 140
    keys = [repr(sorted((key, value) for key, value in case.items() if key != "says")) for case in CASES]
    assert len(set(keys)) == len(keys)
