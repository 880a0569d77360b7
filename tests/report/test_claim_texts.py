"""A study's claims as people read them, in tables and on the page."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from florilegium.config.figures import PlotChoice
from florilegium.report.claim_texts import claimed, figure_of, mark, not_run, ours, readable, write_claims
from florilegium.report.claims import COLUMNS
from florilegium.report.study import Study, read
from tests.helpers import report

TIMES = {"measure": "ratio", "metric": "minutes"}
MINUS = "\u2212"
BLANK = dict.fromkeys(COLUMNS, math.nan) | {
    "claim": "c", "study": "flowers", "says": "It is so.", "source": "page 1", "arm": "a/corrected", "baseline": "",
    "metric": "top1", "measure": "difference", "verdict": "supported", "preset": "mini", "differs": "", "note": "",
    "n_seeds": 3, "n_test": 340, "n_comparisons": 1, "n_run": 1,
}  # fmt: skip


def row(**values: Any) -> Any:
    (found,) = pd.DataFrame([BLANK | values]).itertuples()
    return found


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"at_least": 0.0}, "higher"),
        ({"at_most": 0.0}, "lower"),
        ({"at_least": 0.03}, "at least +3.0 points"),
        ({"at_least": -0.01, "at_most": 0.01}, f"{MINUS}1.0 to +1.0 points"),
        ({"at_least": 0.0, "published_low": 0.032, "published_high": 0.032}, "higher (printed: +3.2 points)"),
        ({**TIMES, "at_most": 1.0}, "lower"),
        ({**TIMES, "at_least": 3.0, "at_most": 4.0}, "3.00 to 4.00 times"),
        ({"measure": "value", "published_low": 0.985, "published_high": 0.995}, "98.5 to 99.5\u00a0%"),
        ({"measure": "value", "metric": "first_epoch_at_99_percent", "at_most": 10.0}, "at most 10.0"),
    ],
)
def test_what_is_claimed_is_said_in_the_unit_of_its_metric(values: dict[str, Any], said: str) -> None:
    assert claimed(row(**values)) == said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mean": 0.157, "ci_low": 0.099, "ci_high": 0.215}, "+15.7 [+9.9, +21.5] points"),
        (
            {"mean": 2.04, "ci_low": 1.8, "ci_high": 2.3, "measure": "ratio", "metric": "minutes"},
            "2.04 [1.80, 2.30] times",
        ),
        ({"mean": 4.0, "ci_low": 4.0, "ci_high": 4.0, "measure": "ratio", "metric": "params"}, "4.00 times"),
        ({"mean": 0.9, "ci_low": 0.88, "ci_high": 0.92, "measure": "value"}, "90.0 [88.0, 92.0]\u00a0%"),
        ({"mean": -0.01}, f"{MINUS}1.0 points"),
        ({}, "–"),
    ],
)
def test_what_was_measured_has_its_interval_and_unit(values: dict[str, Any], said: str) -> None:
    assert ours(row(**values)) == said


def test_a_drawing_keeps_order_and_scale() -> None:
    """Zero, three points and the mean at equal steps, the claimed range open to the right."""
    found = mark(row(mean=0.06, ci_low=0.03, ci_high=0.09, at_least=0.0, published_low=0.03, published_high=0.03))
    assert found is not None and found.neutral == found.band[0] and found.band[1] == 1
    assert found.printed == (found.interval[0],) * 2
    step = found.interval[0] - found.neutral
    assert step > 0.2 and found.mean - found.interval[0] == pytest.approx(step) == found.interval[1] - found.mean
    assert found.said == "claimed: higher (printed: +3.0 points); ours: +6.0 [+3.0, +9.0] points"
    assert mark(row()) is None


class Drawn(NamedTuple):
    """A plot of a study."""

    name: str
    arms: tuple[tuple[str, str], ...]
    metrics: tuple[str, ...] = ()
    lacks: str = ""
    question: str = "Which?"

    @property
    def choice(self) -> PlotChoice | None:
        names = {"name": self.name, "title": self.question, "arms": self.arms}
        return PlotChoice(kind="bars", metrics=self.metrics, **names) if self.metrics else None


def test_a_claim_links_the_figure_that_shows_its_arms_and_best_its_metric() -> None:
    both = (("a", "corrected"), ("b", "corrected"))
    plots = [Drawn("one", both[:1]), Drawn("left_out", both, lacks="one arm"), Drawn("both", both)]
    found = figure_of(row(baseline="b/corrected"), plots)
    assert found is not None and found.name == "both"
    found = figure_of(row(baseline="b/corrected", metric="minutes"), [*plots, Drawn("times", both, ("minutes",))])
    assert found is not None and found.name == "times"
    assert figure_of(row(baseline="c/corrected"), plots) is None and figure_of(row(arm=""), plots) is None


def test_tables_split_what_has_a_verdict_from_what_has_none(tmp_path: Path) -> None:
    claims = pd.DataFrame(
        [
            BLANK | {"p_adjusted": 0.0004, "detectable": 0.081, "n_seeds_needed": 2.0, "at_least": 0.0, "mean": 0.1},
            BLANK | {"verdict": "undecided (mini)", "n_run": 1, "n_comparisons": 7, "n_seeds_needed": math.inf},
            BLANK | {"verdict": "not run", "says": "Nobody|knows.", "note": "no data", "differs": "; ".join("abcdef")},
        ],
        columns=COLUMNS,
    )
    (_, rows), (_, rest) = readable(claims), not_run(claims)
    assert rows[0] == (
        "It is so.", "test top-1", "higher", "+10.0 points", "supported", "1",
        "< 0.001", "8.1 points", "3", "2", "340", "–",
    )  # fmt: skip
    assert rows[1][4:6] == ("undecided (mini)", "1 of 7") and "more images" in rows[1]
    assert rest == [("Nobody|knows.", "not run", "no data; not as published: a; b; c; d and 2 more")]
    study = read(Study, json.dumps(report.study([report.entry("a")], preset="demo", rendered=True)))
    files = write_claims([(study, claims)], tmp_path)
    assert [path.name for path in files] == ["claims.csv", "claims.md"]
    text = files[1].read_text(encoding="utf-8")
    assert text.startswith("# Claims (demo)\n\n**DEMO**: ") and "Nobody\\|knows." in text
    assert "1 supported, 1 undecided, 1 not run." in text
    assert list(pd.read_csv(files[0])) == COLUMNS
