"""The headlines of a study: what its tables show, and no more than that."""

import json
import math
from pathlib import Path

import pandas as pd

from florilegium.report.comparison import tabulate
from florilegium.report.findings import findings, most_important
from florilegium.report.runs import read_study
from florilegium.report.study import Study, read
from tests.helpers import report


def test_the_claims_are_counted_by_verdict(tmp_path: Path) -> None:
    study = read(Study, json.dumps(report.study([report.entry("net")])))
    verdicts = ["supported", "supported (mini)", "refuted (mini)", "undecided", "not run", "not run (mini)"]
    claims = pd.DataFrame({"verdict": verdicts})
    (found,) = findings(study, claims, pd.DataFrame({"verdict": []}), [], {})
    assert (found.headline, found.subject) == ("2 of 4", "claims supported")
    assert found.sentence == "1 refuted, 1 undecided; 2 more cannot be tested in this preset."
    (none,) = findings(study, claims.iloc[4:], pd.DataFrame({"verdict": []}), [], {})
    assert (none.headline, none.subject) == ("No claim", "tested in this preset") and "All 2 of" in none.sentence
    assert not list(findings(study, claims.iloc[:0], pd.DataFrame({"verdict": []}), [], {}))


def test_test_pictures_that_a_set_trains_on_are_a_finding(tmp_path: Path) -> None:
    scratch = report.entry("scratch", seeds=[0])
    report.write_run(tmp_path, scratch, 0, accuracy=0.6)
    study = read(Study, json.dumps(report.study([scratch])))
    tables = tabulate(study, read_study(tmp_path, study), {})
    name = scratch["dataset"]
    audit = {"a": name, "b": name, "n_a": 60_000, "n_dropped": 341, "n_exposed": {"test": 999}}
    for shown in (1, 0):
        summary = audit | {"across_splits": {"train/test": {"pairs": 2 * shown, "images": shown}}}
        found = findings(study, tables.claims, tables.comparison, [summary], {name: "Oxford 17"})
        said = [finding for finding in found if "its own training split" in finding.subject]
        assert [finding.headline for finding in said] == ["1 test picture"] * shown
        assert all(finding.subject.startswith("of “Oxford 17” ") for finding in said)


def test_an_arm_that_is_cleaned_by_hash_is_told_with_what_its_pretraining_still_shows(tmp_path: Path) -> None:
    clean = report.entry("from102_clean", role="transfer", cleaned={"flowers102": "all"})
    beside = {"role": "transfer", "baseline": report.against("from102_clean")}
    leaky = report.entry("from102_leaky", "leaky", **beside, cleaned={"flowers102": "nothing"})
    by_hash = report.entry("from102_hash_clean", "hash_clean", **beside, cleaned={"flowers102": "hash"})
    for of, accuracy in ((clean, 0.8), (by_hash, 0.84), (leaky, 0.9)):
        for seed in of["seeds"]:
            report.write_run(tmp_path, of, seed, accuracy=accuracy)
    description = read(Study, json.dumps(report.study([clean, by_hash, leaky])))
    counts = {"nothing": {"test": 30, "val": 20}, "hash": {"test": 7, "val": 5}, "all": {"test": 0, "val": 0}}
    other = {"n_a": 900, "n_dropped": 50, "n_exposed": {}}
    audits = [{"a": "flowers102", "b": "flowers17", "n_left": counts, **other}]
    tables = tabulate(description, read_study(tmp_path, description), {}, audits)
    main = tables.comparison[tables.comparison["metric"] == "top1"].set_index("arm")["note"]
    assert "shows 7 test" in main["hash_clean"] and "shows 0 test" in main["corrected"]


def test_the_surest_verdicts_come_first_and_every_study_before_any_has_two() -> None:
    columns = {
        "metric": "top1", "measure": "difference", "at_least": 0.0, "at_most": math.nan, "ci_low": 0.01, "ci_high": 0.3,
        "published_low": math.nan, "published_high": math.nan,
    }  # fmt: skip
    told = [
        ("a", "flowers", "supported", 1e-9, 0.10),
        ("b", "flowers", "supported", 1e-9, 0.20),
        ("c", "flowers", "undecided", 0.2, 0.30),
        ("d", "norms", "refuted (mini)", 0.04, -0.05),
        ("e", "heads", "not run", math.nan, math.nan),
        ("f", "heads", "supported", math.nan, 0.1),
    ]
    names = ["claim", "study", "verdict", "p_adjusted", "mean"]
    table = pd.DataFrame([dict(zip(names, row, strict=True)) | columns for row in told])
    table["says"] = "Claim " + table["claim"]
    titles = {"flowers": "Study 1", "norms": "Study 3", "heads": "Study 4"}
    found = most_important({name: table[table["study"] == name] for name in titles}, titles)
    assert [of.subject for of in found] == ["Claim b", "Claim d", "Claim f"]
    assert found[0].headline == "Supported" and found[1].headline == "Refuted (mini)"
    assert found[0].sentence == "Study 1. Claimed: higher; ours: +20.0 [+1.0, +30.0] points, p adjusted < 0.001."
    assert "p adjusted" not in found[2].sentence
