"""The verdict on each kind of claim, by values that are computed by other means."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from florilegium.report.comparison import StudyTables, tabulate
from florilegium.report.runs import read_study
from florilegium.report.study import Study, read
from tests.helpers import report

A, B, C = "a/corrected", "b/corrected", "c/corrected"
H200 = {"device": "NVIDIA H200"}


def tables(root: Path, entries: list[dict[str, Any]], *claims: dict[str, Any], **changes: Any) -> StudyTables:
    study = read(Study, json.dumps(report.study(entries, claims=list(claims), **changes)))
    return tabulate(study, read_study(root, study), {})


def runs(root: Path, name: str, *seeds: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An arm with a run for each of `seeds`, which say what `report.write_run` is told."""
    of = report.entry(name, seeds=list(range(len(seeds))), **changes)
    for seed, told in enumerate(seeds):
        report.write_run(root, of, seed, **{"accuracy": 0.8, "n_test": 1000, **told})
    return of


def accurate(root: Path, name: str, *accuracies: float, **changes: Any) -> dict[str, Any]:
    return runs(root, name, *({"accuracy": accuracy} for accuracy in accuracies), **changes)


def costing(root: Path, name: str, *costs: dict[str, Any]) -> dict[str, Any]:
    return runs(root, name, *({"cost": H200 | cost} for cost in costs))


def only(found: StudyTables) -> Any:
    (row,) = found.claims.itertuples()
    return row


# Two arms, on their main metric


def test_a_difference_is_tested_as_the_table_of_differences_tests_it(tmp_path: Path) -> None:
    better, worse = (
        accurate(tmp_path, "a", 0.80, 0.81, 0.82, baseline=report.against("b")),
        accurate(tmp_path, "b", 0.70, 0.71, 0.73),
    )
    found = tables(tmp_path, [better, worse], report.claim("better", A, B, at_least=0.0))
    row, difference = only(found), found.differences.iloc[0]
    assert row.mean == pytest.approx(0.81 - 0.7133, abs=1e-3)
    for ours, theirs in (("mean", "difference"), *((name, name) for name in ("ci_low", "ci_high", "p_value"))):
        assert getattr(row, ours) == difference[theirs]
    assert row.p_adjusted == difference["p_adjusted"] == row.p_value  # one test: the claim's is the same
    assert (row.verdict, row.n_seeds, row.n_test, row.measure) == ("supported", 3, 1000, "difference")
    turned = only(tables(tmp_path, [better, worse], report.claim("worse", B, A, at_least=0.0)))
    assert turned.verdict == "refuted" and turned.mean == -row.mean
    assert turned.p_adjusted == row.p_adjusted


@pytest.mark.parametrize("seeds", [1, 3])
def test_p_is_of_the_bound_that_is_claimed(tmp_path: Path, seeds: int) -> None:
    """A bound at the end of the 95 % interval has p = 0.05, whatever the interval is made from."""
    accuracies = {"a": (0.80, 0.81, 0.83), "b": (0.70, 0.72, 0.71)}
    entries = [accurate(tmp_path, name, *of[:seeds]) for name, of in accuracies.items()]
    low = only(tables(tmp_path, entries, report.claim("better", A, B, at_least=0.0))).ci_low
    bounds = {low: None, low - 0.01: "supported", low + 0.01: "undecided", 0.5: "refuted"}
    found = {at: only(tables(tmp_path, entries, report.claim("c", A, B, at_least=at))) for at in bounds}
    assert found[low].p_value == pytest.approx(0.05, rel=1e-4)
    assert [found[at].verdict for at in bounds if at != low] == [verdict for verdict in bounds.values() if verdict]


@pytest.mark.parametrize(
    ("margin", "other", "verdict"),
    [(0.05, 0.80, "supported"), (0.002, 0.80, "undecided"), (0.05, 0.60, "refuted"), (0.3, 0.60, "supported")],
)
def test_equal_within_a_margin_holds_where_both_bounds_are_excluded(
    tmp_path: Path, margin: float, other: float, verdict: str
) -> None:
    entries = [accurate(tmp_path, "a", 0.80, 0.801, 0.802), accurate(tmp_path, "b", other, other, other + 0.002)]
    row = only(tables(tmp_path, entries, report.claim("alike", A, B, at_least=-margin, at_most=margin)))
    assert row.verdict == verdict
    assert row.detectable > 0 and row.n_seeds_needed > 0


def test_p_is_adjusted_for_the_tests_of_the_study_and_of_its_claims(tmp_path: Path) -> None:
    """Holm by hand: two tests of the table, and two of claims that the table does not have."""
    entries = [
        accurate(tmp_path, "a", 0.80, 0.81, 0.82, baseline=report.against("c")),
        accurate(tmp_path, "b", 0.76, 0.78, 0.79, baseline=report.against("c")),
        accurate(tmp_path, "c", 0.74, 0.77, 0.75),
    ]
    claims = [
        report.claim("known", C, A, at_most=0.0),
        report.claim("new", A, B, at_least=0.0),
        report.claim("by_three_points", A, C, at_least=0.03),
        report.claim("untested", lacks="nothing tests it"),
    ]
    found = tables(tmp_path, entries, *claims)
    rows = found.claims.set_index("claim")
    p = [*found.differences["p_value"], rows.loc["new", "p_value"], rows.loc["by_three_points", "p_value"]]
    adjusted, most = {}, 0.0
    for place, value in enumerate(sorted(p)):
        most = max(most, min(1.0, value * (len(p) - place)))
        adjusted[value] = most
    assert len(p) == 4
    for difference in found.differences.itertuples():
        assert difference.p_adjusted == pytest.approx(adjusted[difference.p_value])
    for name in ("known", "new", "by_three_points"):
        assert rows.loc[name, "p_adjusted"] == pytest.approx(adjusted[rows.loc[name, "p_value"]]), name


def test_one_seed_speaks_of_these_two_networks_alone(tmp_path: Path) -> None:
    entries = [accurate(tmp_path, "a", 0.9), accurate(tmp_path, "b", 0.6)]
    row = only(tables(tmp_path, entries, report.claim("better", A, B, at_least=0.0)))
    assert row.verdict == "supported" and "with one seed, this holds for these two networks alone" in row.note


# Two arms, on other metrics


def test_a_ratio_is_a_mean_over_the_seeds_in_common_with_students_interval(tmp_path: Path) -> None:
    memory, sizes = "peak_memory_bytes", {"a": (300, 310, 320), "b": (100, 100, 101)}
    entries = [costing(tmp_path, name, *({memory: size} for size in of)) for name, of in sizes.items()]
    row = only(tables(tmp_path, entries, report.claim("memory", A, B, metric=memory, at_least=3.0, at_most=4.0)))
    ratios = [3.0, 3.1, 320 / 101]
    low, high = stats.t.interval(0.95, 2, np.mean(ratios), stats.sem(ratios))
    assert (row.mean, row.ci_low, row.ci_high) == pytest.approx((np.mean(ratios), low, high))
    assert row.p_value == pytest.approx(stats.ttest_1samp(ratios, 3.0).pvalue)  # of the nearer bound
    assert (row.measure, row.verdict, row.n_seeds) == ("ratio", "undecided", 3)
    assert "on NVIDIA H200 in bf16" in row.note
    double = only(tables(tmp_path, entries, report.claim("double", A, B, metric=memory, at_least=2.0)))
    assert double.verdict == "supported" and double.p_value < row.p_value


def test_what_is_no_test_score_is_compared_seed_by_seed(tmp_path: Path) -> None:
    """Overfitting: 12, 10 and 14 points against 2, 1 and 3."""
    gaps = {"a": (0.12, 0.10, 0.14), "b": (0.02, 0.01, 0.03)}
    entries = [runs(tmp_path, name, *({"sizes": {"train_top1": 0.8 + gap}} for gap in of)) for name, of in gaps.items()]
    row = only(tables(tmp_path, entries, report.claim("more", A, B, metric="generalisation_gap", at_least=0.0)))
    by_hand = stats.ttest_rel(gaps["a"], gaps["b"])
    assert row.mean == pytest.approx(0.1) and row.p_value == pytest.approx(by_hand.pvalue)
    assert (row.ci_low, row.ci_high) == pytest.approx(tuple(by_hand.confidence_interval()))
    assert row.verdict == "supported" and pd.isna(row.n_test)


def test_the_seeds_that_would_decide_it_have_a_power_of_four_in_five(tmp_path: Path) -> None:
    """By scipy's noncentral t, of the distance from the claimed bound and not from zero."""
    ours, bound = (30.0, 33.0, 36.0), 3.1
    entries = [costing(tmp_path, "a", *({"seconds_per_epoch": s} for s in ours))]
    entries.append(costing(tmp_path, "b", *[{"seconds_per_epoch": 10.0}] * 3))
    row = only(tables(tmp_path, entries, report.claim("slower", A, B, metric="seconds_per_epoch", at_least=bound)))
    effect, scatter = np.mean(ours) / 10 - bound, np.std(ours, ddof=1) / 10

    def power(n: int) -> float:
        return float(stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, effect / (scatter / math.sqrt(n))))

    n = int(row.n_seeds_needed)
    assert row.verdict == "undecided" and power(n) >= 0.8 > power(n - 1)


@pytest.mark.parametrize(("bound", "verdict"), [(3.0, "supported"), (4.5, "refuted")])
def test_sizes_are_the_same_in_every_run(tmp_path: Path, bound: float, verdict: str) -> None:
    entries = [runs(tmp_path, name, *[{"sizes": {"params": n}}] * 2) for name, n in (("a", 80), ("b", 20))]
    row = only(tables(tmp_path, entries, report.claim("larger", A, B, metric="params", at_least=bound)))
    assert (row.mean, row.ci_low, row.ci_high, row.verdict) == (4.0, 4.0, 4.0, verdict)
    assert math.isnan(row.p_adjusted)


@pytest.mark.parametrize(("metric", "verdict"), [("params", "not run (mini)"), ("minutes", "not run (mini)")])
def test_what_a_network_takes_is_not_claimed_of_another_one(tmp_path: Path, metric: str, verdict: str) -> None:
    other = {"departures": [{"kind": "network", "words": "network: ViT, 4 blocks of 64 for ViT-B/16"}]}
    entries = [accurate(tmp_path, "a", 0.8, 0.81, **other), accurate(tmp_path, "b", 0.6, 0.61)]
    for arms in ((A, B), (B, A)):
        claims = [
            report.claim("more", *arms, metric=metric, at_least=1.0),
            report.claim("better", *arms, at_least=-1.0),
        ]
        rows = tables(tmp_path, entries, *claims).claims.set_index("claim")
        assert rows["verdict"].tolist() == [verdict, "supported (mini)"]
        assert rows.loc["more", "note"] == "it is about the published networks and image sizes, and others are run"
        assert rows.loc["better", "p_value"] == rows.loc["better", "p_adjusted"]  # no other test


@pytest.mark.parametrize(
    ("metric", "costs", "said"),
    [
        ("peak_memory_bytes", {"device": "cpu"}, "memory is compared on GPUs alone"),
        ("seconds_per_epoch", H200, "all seeds agree, which tells nothing of others"),
    ],
)
def test_what_cannot_be_compared_says_why(tmp_path: Path, metric: str, costs: dict[str, Any], said: str) -> None:
    entries = [runs(tmp_path, name, {"cost": costs}, {"cost": costs}) for name in ("a", "b")]
    row = only(tables(tmp_path, entries, report.claim("less", A, B, metric=metric, at_most=1.0)))
    assert said in row.note
    assert row.verdict == ("not run" if "memory" in metric else "undecided")


def test_times_of_two_machines_are_not_compared(tmp_path: Path) -> None:
    entries = [runs(tmp_path, name, {"cost": {"device": device}}) for name, device in (("a", "cpu"), ("b", "cuda"))]
    row = only(tables(tmp_path, entries, report.claim("faster", A, B, metric="minutes", at_most=1.0)))
    assert row.verdict == "not run" and "more than one kind of machine" in row.note


def test_an_arm_that_always_diverges_decides_nothing(tmp_path: Path) -> None:
    entries = [accurate(tmp_path, "a", 0.8, 0.8), runs(tmp_path, "b", {"diverged": True}, {"diverged": True})]
    better = report.claim("better", A, B, at_least=0.0)
    often = report.claim("often", B, metric="divergence_rate", at_least=0.3)
    rows = tables(tmp_path, entries, better, often).claims.set_index("claim")
    assert rows.loc["better", "verdict"] == "undecided"
    assert "every run of b/corrected diverged" in rows.loc["better", "note"]
    assert rows.loc["often", "mean"] == 1.0 and rows.loc["often", "verdict"] == "supported"


# Several comparisons


def test_an_order_holds_where_each_step_does_and_shows_the_least_sure_one(tmp_path: Path) -> None:
    entries = [accurate(tmp_path, name, v, v + 0.01, v + 0.02) for name, v in (("a", 0.90), ("b", 0.60), ("c", 0.50))]
    row = only(tables(tmp_path, entries, report.claim("order", A, B, C, at_least=0.0)))
    assert (row.verdict, row.arm, row.baseline) == ("supported", B, C)
    assert (row.n_comparisons, row.n_run) == (2, 2)
    assert "2 of 2 comparisons run: 2 supported" in row.note
    turned = only(tables(tmp_path, entries, report.claim("order", A, C, B, at_least=0.0)))
    assert (turned.verdict, turned.arm, turned.baseline) == ("refuted", C, B)
    level = only(tables(tmp_path, entries, report.claim("order", A, B, C, at_least=0.09)))
    assert (level.verdict, level.arm) == ("undecided", B)


def test_what_a_preset_leaves_out_is_said_and_the_verdict_has_its_name(tmp_path: Path) -> None:
    entries = [accurate(tmp_path, name, v, v, v + 0.01) for name, v in (("a", 0.9), ("b", 0.6))]
    missing = {"n_steps": 3, "lacks": "this preset leaves out c/corrected"}
    row = only(tables(tmp_path, entries, report.claim("everywhere", A, B, at_least=0.0, **missing)))
    assert (row.verdict, row.n_comparisons, row.n_run) == ("supported (mini)", 3, 1)
    assert row.note.startswith("this preset leaves out c/corrected | 1 of 3 comparisons run")
    gone = {**report.claim("gone", at_least=0.0, **missing), "steps": []}
    row = only(tables(tmp_path, entries, gone))
    assert (row.verdict, row.note) == ("not run", "this preset leaves out c/corrected")
    row = only(tables(tmp_path, entries, {**report.claim("idle", lacks="no data"), "n_steps": 0}))
    assert (row.verdict, row.note) == ("not run", "no data")


# One arm


@pytest.mark.parametrize(("bound", "verdict"), [(0.02, "supported"), (0.05, "undecided"), (0.2, "refuted")])
def test_a_bound_of_one_arm_is_decided_by_its_interval(tmp_path: Path, bound: float, verdict: str) -> None:
    gaps = (0.05, 0.06, 0.055)
    of = runs(tmp_path, "a", *({"sizes": {"train_top1": 0.8 + gap}} for gap in gaps))
    row = only(tables(tmp_path, [of], report.claim("overfits", A, metric="generalisation_gap", at_least=bound)))
    low, high = stats.t.interval(0.95, 2, np.mean(gaps), stats.sem(gaps))
    assert (row.ci_low, row.ci_high) == pytest.approx((low, high)) and low < 0.05 < high
    assert (row.verdict, row.measure) == (verdict, "value") and math.isnan(row.p_value)


def test_no_crash_of_five_is_not_seldom_yet(tmp_path: Path) -> None:
    of = runs(tmp_path, "a", *[{}] * 5)
    claims = [report.claim(f"at_most_{b}", A, metric="divergence_rate", at_most=b) for b in (0.1, 0.5)]
    rows = tables(tmp_path, [of], *claims).claims
    assert rows["ci_high"].iloc[0] == pytest.approx(stats.binomtest(0, 5).proportion_ci(method="wilson").high)
    assert rows["verdict"].tolist() == ["undecided", "supported"]


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.79, 0.81, "supported"), (0.9, 0.9, "refuted"), (0.5, 0.6, "refuted")]
)
def test_a_published_value_is_claimed_where_no_bound_is(tmp_path: Path, low: float, high: float, verdict: str) -> None:
    """Of two of one metric, the one whose source the claim names."""
    two = [report.figure("top1", low, high) | {"source": "section 4"}, report.figure("top1", 0.0, 1.0)]
    of = accurate(tmp_path, "a", 0.80, 0.80, 0.81, published=two)
    row = only(tables(tmp_path, [of], report.claim("reaches", A)))
    assert (row.published_low, row.published_high, row.verdict) == (low, high, verdict)


def test_a_published_value_is_not_held_against_something_else(tmp_path: Path) -> None:
    words = "image_size: 64 for 224"
    published = [report.figure("top1", 0.9, 0.9), report.figure("minutes", 20, 20)]
    smaller = {"published": published, "departures": [{"kind": "image_size", "words": words}]}
    entries = [accurate(tmp_path, "a", 0.8, 0.8, **smaller), accurate(tmp_path, "b", 0.6, 0.61, published=published)]
    claims = [
        report.claim("reaches", A),
        report.claim("in_minutes", B, metric="minutes"),
        report.claim("better", A, B, at_least=0.0),
    ]
    rows = tables(tmp_path, entries, *claims).claims.set_index("claim")
    assert rows["verdict"].tolist() == ["not run (mini)", "not run", "supported (mini)"]
    assert "what is run is not what was published" in rows.loc["reaches", "note"]
    assert "the hardware decides it" in rows.loc["in_minutes", "note"]
    assert rows.loc["reaches", "differs"] == rows.loc["better", "differs"] == words


def test_what_was_printed_of_two_arms_stands_beside_their_difference(tmp_path: Path) -> None:
    printed = [{"published": [report.figure("top1", *ends)]} for ends in ((0.69, 0.70), (0.665, 0.665))]
    entries = [accurate(tmp_path, name, 0.8, 0.8, **of) for name, of in zip("ab", printed, strict=True)]
    row = only(tables(tmp_path, entries, report.claim("better", A, B, at_least=0.0)))
    assert (row.published_low, row.published_high) == pytest.approx((0.025, 0.035))


def test_every_verdict_of_a_demo_says_that_it_is_the_demos(tmp_path: Path) -> None:
    entries = [accurate(tmp_path, "a", 0.9, 0.9), accurate(tmp_path, "b", 0.6, 0.61)]
    claims = [report.claim("better", A, B, at_least=0.0), report.claim("idle", lacks="no data")]
    found = tables(tmp_path, entries, *claims, preset="demo", rendered=True).claims
    assert found["verdict"].tolist() == ["supported (demo)", "not run (demo)"]
