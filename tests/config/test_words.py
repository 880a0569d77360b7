"""What is wrong with a value is said in words of YAML, and every hint is a form that YAML reads as it should."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from florilegium.config.base import parse
from florilegium.config.json_schema import FILES
from florilegium.config.words import number_form, shown
from florilegium.core.errors import UserError, UserErrors
from tests.config.test_mistakes import FOREIGN

WRITTEN: dict[str, float] = {
    "1e4": 1e4, "1e-4": 1e-4, "1E-4": 1e-4, "+1e4": 1e4, "-1e4": -1e4, "1e+4": 1e4, "2.5e3": 2500.0, ".5e3": 500.0,
    "5.e3": 5000.0, "1e04": 1e4, "1,000": 1000, "1,234,567": 1234567, "1,000.5": 1000.5, "0,5": 0.5, ",5": 0.5,
    "50%": 0.5, "12.5 %": 0.125, "1/3": 1 / 3, "1 / 4": 0.25, "0.1": 0.1, "'0.1'": 0.1, " 3 ": 3, "08": 8, "0o17": 15,
    "10^-4": 1e-4, "10**3": 1000, "3*10^-5": 3e-5, "3 x 10^2": 300, "1_000.5": 1000.5,
    "−3": -3, "١٢": 12, "1e-07": 1e-7,
}  # fmt: skip


@pytest.mark.parametrize("text", WRITTEN)
def test_the_hint_for_a_number_is_read_as_that_number(text: str):
    form = number_form(text)
    assert form is not None
    read = yaml.safe_load(f"key: {form}")["key"]
    assert isinstance(read, int | float) and read == pytest.approx(WRITTEN[text], rel=1e-12)


@pytest.mark.parametrize("text", [text for text in WRITTEN if WRITTEN[text] == int(WRITTEN[text])])
def test_the_hint_for_a_whole_number_is_whole(text: str):
    assert number_form(text, whole=True) == str(int(WRITTEN[text]))


def test_the_hint_of_the_manual_keeps_the_digits():
    assert (number_form("1e4"), number_form("1e-4"), number_form("2.5E3")) == ("1.0e+4", "1.0e-4", "2.5e+3")


@pytest.mark.parametrize("text", ["abc", "", "-", "1/0", "1,00,", "inf", "nan", "1e999", "1.2.3", "%", "0x", "e4"])
def test_what_is_no_number_has_no_hint(text: str):
    assert number_form(text) is None


@pytest.mark.parametrize("text", ["0.5", "1e4"])
def test_a_whole_number_has_no_hint_that_is_none(text: str):
    assert number_form(text, whole=True) == (None if text == "0.5" else "10000")


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (None, "null"), ([1, "a"], "[1, a]"), ({"a": 1.0}, "{a: 1.0}"), ("0.1", "'0.1'"), ("yes", "'yes'"),
     ("a: b", "'a: b'"), (float("inf"), ".inf"), ("x" * 100, "x" * 59 + "…"), ("a\nb", "'a b'"), ("ü", "ü")],
)  # fmt: skip
def test_a_value_is_shown_as_yaml_writes_it(value: Any, text: str):
    assert shown(value) == text


# Every key of every file

ODD = [None, True, 1.5, -1, 10**30, float("inf"), float("nan"), "abc", "", "1e4", [], [None], [[]], {}, {"x y": 1}]


def keys(schema: dict[str, Any], whole: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all keys of a JSON schema, `*` for an entry of any name and `0` for a value of a list."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from keys(whole["$defs"][name], whole, path)
    for part in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from keys(part, whole, path)
    for key, below in schema.get("properties", {}).items():
        yield (*path, key)
        yield from keys(below, whole, (*path, key))
    entries = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
    for name, parts in (("entry", entries), ("0", [schema.get("items")])):
        for below in (part for part in parts if isinstance(part, dict)):
            yield (*path, name)
            yield from keys(below, whole, (*path, name))


def nested(path: tuple[str, ...], value: Any) -> Any:
    for key in reversed(path):
        value = [value] if key == "0" else {key: value}
    return value


@pytest.mark.parametrize("name", FILES)
def test_every_key_says_what_is_wrong_with_every_odd_value_in_plain_words(name: str):
    model = FILES[name]
    schema = model.model_json_schema()
    paths = sorted(set(keys(schema, schema)))
    assert len(paths) > 10
    n_refused = 0
    for path in paths:
        for value in ODD:
            try:
                parse(model, nested(path, value), "f.yaml")
            except UserError as error:
                sentences = error.mistakes if isinstance(error, UserErrors) else [str(error)]
                for sentence in sentences:
                    n_refused += 1
                    assert sentence.startswith("f.yaml: ") and len(sentence) < 2500, sentence
                    plain = re.sub(r"\(known: [^)]*\)", "", sentence)
                    assert not FOREIGN.search(plain) and "another value" not in plain, sentence
    assert n_refused > 100
