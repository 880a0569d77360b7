"""Names and numbers as people read them."""

import json
import math

import pytest
import report_world as world

from florilegium.report.study import Study, labels, read
from florilegium.report.tables import number, p_value, points


def test_labels_are_unique_and_name_the_split() -> None:
    entries = [
        world.entry(f"{e['experiment']}_split{k}", e["arm"], title=e["title"])
        for k in (1, 2)
        for e in world.flowers()
    ]
    names = labels(read(Study, json.dumps(world.study(entries))))
    assert len(set(names.values())) == len(entries)
    assert names[("scratch_split2", "corrected")] == "ResNet-18 from scratch, split\u00a02"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0004, "< 0.001"), (0.0312, "0.031"), (1.0, "1.000"), (math.nan, "–")]
)
def test_p_values(value: float, text: str) -> None:
    assert p_value(value) == text


def test_points_are_signed() -> None:
    assert (points(0.0412), points(-0.0412)) == ("+4.1", "−4.1")


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("params", 303_895_752, "304\u00a0M"), ("checkpoint_bytes", 1_215_583_008, "1.13\u00a0GiB"),
        ("macs", 999.0, "999.0"), ("minutes", 171.13, "171.1"), ("minutes", 0.034, "0.034"), ("divergence_rate", 0.2, "20.0"),
    ],
)  # fmt: skip
def test_amounts_are_written_in_units_of_their_size(metric: str, value: float, text: str) -> None:
    assert number(metric, value) == text
