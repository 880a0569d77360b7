"""The headlines of a study: what its tables show, and no more than that."""

import json
from pathlib import Path

import pandas as pd

from florilegium.report.comparison import tabulate
from florilegium.report.findings import findings
from florilegium.report.runs import read_study
from florilegium.report.study import Study, read
from tests.helpers import report


def test_the_claims_are_counted_by_verdict(tmp_path: Path) -> None:
    study = read(Study, json.dumps(report.study([report.entry("net")])))
    verdicts = ["supported", "supported (mini)", "refuted (mini)", "undecided", "not run", "not run (mini)"]
    claims = pd.DataFrame({"verdict": verdicts})
    (found,) = findings(study, claims, pd.DataFrame({"verdict": []}), [])
    assert (found.headline, found.subject) == ("2 of 4", "claims supported")
    assert found.sentence == "1 refuted, 1 undecided; 2 more cannot be tested in this preset."
    assert not list(findings(study, claims.iloc[:0], pd.DataFrame({"verdict": []}), []))


def test_test_pictures_that_a_set_trains_on_are_a_finding(tmp_path: Path) -> None:
    scratch = report.entry("scratch", seeds=[0])
    report.write_run(tmp_path, scratch, 0, accuracy=0.6)
    study = read(Study, json.dumps(report.study([scratch])))
    tables = tabulate(study, read_study(tmp_path, study), {})
    name = scratch["dataset"]
    audit = {"a": name, "b": name, "n_a": 60_000, "n_dropped": 341, "n_exposed": {"test": 999}}
    for shown in (1, 0):
        summary = audit | {"across_splits": {"train/test": {"pairs": 2 * shown, "images": shown}}}
        found = findings(study, tables.claims, tables.comparison, [summary])
        said = [finding for finding in found if "its own training split" in finding.subject]
        assert [finding.headline for finding in said] == ["1 test picture"] * shown


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
