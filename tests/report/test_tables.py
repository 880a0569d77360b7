"""Names and numbers as people read them."""

import json
import math

import pytest

from florilegium.report.study import Entry, Study, labels, read
from florilegium.report.tables import number, p_value, points
from tests.helpers import report


def test_labels_are_unique_and_name_the_split() -> None:
    entries = [
        report.entry(f"{e['experiment']}_split{k}", e["arm"], title=e["title"])
        for k in (1, 2)
        for e in report.flowers()
    ]
    names = labels(read(Study, json.dumps(report.study(entries))))
    assert len(set(names.values())) == len(entries)
    assert names[("scratch_split2", "corrected")] == "ResNet-18 from scratch, split\u00a02"


@pytest.mark.parametrize(("value", "text"), [(0.0004, "< 0.001"), (0.0312, "0.031"), (1.0, "1.000"), (math.nan, "–")])
def test_p_values(value: float, text: str) -> None:
    assert p_value(value) == text


def test_points_are_signed() -> None:
    assert (points(0.0412), points(-0.0412)) == ("+4.1", "−4.1")


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("params", 303_895_752, "304\u00a0M"), ("checkpoint_bytes", 1_215_583_008, "1.13\u00a0GiB"),
        ("macs", 999.0, "999.0"), ("minutes", 171.13, "171.1"), ("minutes", 0.034, "0.034"),
        ("divergence_rate", 0.2, "20.0"),
    ],
)  # fmt: skip
def test_amounts_are_written_in_units_of_their_size(metric: str, value: float, text: str) -> None:
    assert number(metric, value) == text


def test_older_descriptions_tell_their_split_by_the_name_and_an_unknown_rate_by_nought() -> None:
    old = report.entry("vit_split2", lr=0.0)
    entry = Entry.model_validate(old, strict=False)
    assert (entry.split, entry.unsplit_name, entry.lr) == (2, "vit", None)
    named = Entry.model_validate({**old, "split": None, "lr": None}, strict=False)
    assert (named.split, named.unsplit_name) == (None, "vit_split2")


def test_rates_are_of_arms_whose_baseline_has_one() -> None:
    beside = {"role": "rate", "baseline": {"experiment": "vit", "arm": "corrected"}}
    fast = report.entry("vit", "fast", lr=0.03, lr_factor=3.0, **beside)
    slow = report.entry("vit", "slow", lr=0.003, lr_factor=0.3, **beside)

    def rates(lr: float | None) -> list[list[float]]:
        study = read(Study, json.dumps(report.study([report.entry("vit", lr=lr), fast, slow])))
        return [[entry.rate for entry in family] for family in study.rates()]

    assert rates(0.01) == [[0.003, 0.01, 0.03]]
    assert rates(None) == []


def test_a_negative_fraction_has_the_minus_of_all_others() -> None:
    assert number("generalisation_gap", -0.004) == "−0.4"
