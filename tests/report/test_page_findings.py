"""The headlines of a study: what its tables show, and no more than that."""

import json
from pathlib import Path

from florilegium.report.comparison import tabulate
from florilegium.report.findings import findings
from florilegium.report.runs import read_study
from florilegium.report.study import Study, read
from tests.helpers import report
from tests.report.test_comparison import compared


def test_many_gains_share_a_headline(tmp_path: Path) -> None:
    description = report.norms()
    root = report.write_norms(tmp_path, description)
    found = findings(read(Study, json.dumps(description)), *compared(root, description), [])
    assert [f.subject for f in found if "gain" in f.subject] == ["gain by transfer (8 pairs)"]


def test_findings_hold_back_where_no_effect_is_shown_and_say_what_would_have_been(tmp_path: Path) -> None:
    a = report.entry("scratch", seeds=[0])
    b = report.entry("from102_clean", role="transfer", seeds=[0], baseline=report.against("scratch"))
    for of, accuracy in ((a, 0.60), (b, 0.61)):
        report.write_run(tmp_path, of, 0, accuracy=accuracy)
    description = report.study([a, b])
    table, differences = compared(tmp_path, description)
    found = list(findings(read(Study, json.dumps(description)), table, differences, []))
    detectable = f"{100 * differences['detectable'].iloc[0]:.1f} points"
    assert f"The difference is not significant: one of {detectable} would be" in found[0].sentence
    assert found[0].subject.startswith("gain by transfer")


def test_what_most_generated_images_do_is_a_finding_of_each_generator(tmp_path: Path) -> None:
    share, real = "data.generated.share", report.entry("real", values={"data.generated.share": 0.0})
    made = [
        report.entry(name, f"added{at}", values={share: at / 100}, baseline=report.against("real"))
        for name in ("diffusion", "acgan")
        for at in (25, 100)
    ]
    for of, accuracy in zip((real, *made), (0.8, 0.79, 0.72, 0.78, 0.75), strict=True):
        for seed in of["seeds"]:
            report.write_run(tmp_path, of, seed, accuracy=accuracy)
    description = report.study([real, *made])
    table, differences = compared(tmp_path, description)
    found = findings(read(Study, json.dumps(description)), table, differences, [])
    said = [finding for finding in found if "by 100 % generated images" in finding.subject]
    assert len(said) == 2 and all(finding.headline.startswith("−") for finding in said)
    assert not [finding for finding in found if "25 %" in finding.subject]


def test_test_pictures_that_a_set_trains_on_are_a_finding(tmp_path: Path) -> None:
    scratch = report.entry("scratch", seeds=[0])
    report.write_run(tmp_path, scratch, 0, accuracy=0.6)
    description = report.study([scratch])
    table, differences = compared(tmp_path, description)
    name = scratch["dataset"]
    audit = {"a": name, "b": name, "n_a": 60_000, "n_dropped": 341, "n_exposed": {"test": 999}}
    for shown in (1, 0):
        summary = audit | {"across_splits": {"train/test": {"pairs": 2 * shown, "images": shown}}}
        found = findings(read(Study, json.dumps(description)), table, differences, [summary])
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
    said = {f.subject: f.sentence for f in findings(description, tables.comparison, tables.differences, audits)}
    assert "shows 30 test and 20 validation pictures" in said["flattery by a leak (flowers17)"]
    assert "shows 7 test and 5 validation pictures" in said["flattery by what a hash does not see (flowers17)"]
    main = tables.comparison[tables.comparison["metric"] == "top1"].set_index("arm")["note"]
    assert "shows 7 test" in main["hash_clean"] and "shows 0 test" in main["corrected"]
