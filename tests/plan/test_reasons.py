"""Reasons for people: what changed and nothing else, whatever Snakemake holds."""

import sys

import pytest

from florilegium.core.fingerprint import canonical, short_hash
from florilegium.plan import reasons
from florilegium.plan.reasons import compare, shorten

CODE, OTHER_CODE = short_hash("code"), short_hash("other code")
SPEC = {"data": {"dataset": "demo17", "clean": ["demo17"]}, "recipe": {"lr": 0.01, "epochs": 16}, "init": None}


def changed(**recipe: object) -> dict:
    return {**SPEC, "recipe": {**SPEC["recipe"], **recipe}}


def texts(*values: object) -> set[str]:
    return {repr(canonical(value) if isinstance(value, dict) else value) for value in values}


@pytest.mark.parametrize(
    "old, new, said",
    [
        (texts(SPEC), texts(changed(lr=0.02)), "recipe.lr: 0.01 → 0.02"),
        (texts(SPEC, CODE), texts(changed(lr=0.02), OTHER_CODE), "recipe.lr: 0.01 → 0.02; code of the stage"),
        (texts(CODE), texts(OTHER_CODE), "code of the stage"),
        (texts(SPEC), texts(changed(ema=0.9)), "recipe.ema: new, 0.9"),
        (texts(changed(ema=0.9)), texts(SPEC), "recipe.ema: gone, was 0.9"),
        (texts(SPEC), texts({**SPEC, "init": {"weights": "slim"}}), 'init: null → {"weights": "slim"}'),
        (texts([0, 1]), texts([0, 1, 2]), "[0, 1] → [0, 1, 2]"),
        (texts("auto"), texts("cpu"), "auto → cpu"),
        (texts("auto"), set(), "no longer auto"),
        (texts(""), texts({"versions": {"torch": "2.15.0"}}), 'versions: new, {"torch": "2.15.0"}'),
        ({"<an object>"}, {"<another>"}, "<an object> → <another>"),
    ],
)
def test_only_what_differs_is_told(old, new, said):
    assert compare(old, new) == said


def test_changed_files_are_told(monkeypatch):
    before, now = "files:0123456789abcdef", "files:fedcba9876543210"
    assert compare(texts(before), texts(now)) == "files of your own have changed"
    monkeypatch.setitem(reasons.CHANGED_FILES, now, "files below mine changed: 1 new (photo {edited}.png)")
    said = "files below mine changed: 1 new (photo {edited}.png)"
    assert compare(texts(before), texts(now)) == said
    assert compare(texts(before, SPEC), texts(now, changed(lr=0.02))) == f"{said}; recipe.lr: 0.01 → 0.02"


def test_documents_are_held_against_the_one_that_is_like_them():
    before = texts(SPEC, {"versions": {"torch": "2.14.0"}})
    now = texts(changed(epochs=8), {"versions": {"torch": "2.15.0"}})
    assert compare(before, now) == "recipe.epochs: 16 → 8; versions.torch: 2.14.0 → 2.15.0"


def test_outputs_of_different_ages_tell_all_their_changes():
    assert compare(texts(SPEC, changed(lr=0.03)), texts(changed(lr=0.02))) == (
        "recipe.lr: 0.01 → 0.02; recipe.lr: 0.03 → 0.02"
    )


def test_members_of_a_list_are_known_by_their_names():
    arms = [{"experiment": "a", "arm": "x", "lr": 1.0}, {"experiment": "b", "arm": "x", "lr": 1.0}]
    more = [{"experiment": "new", "arm": "x", "lr": 1.0}, *arms[:1], {**arms[1], "lr": 2.0}]
    said = compare(texts({"entries": arms}), texts({"entries": more}))
    assert said.startswith("entries.b/x.lr: 1.0 → 2.0; entries.new/x: new, {")


def test_four_changes_are_told_and_the_others_counted():
    old, new = ({"recipe": dict.fromkeys("abcdef", value)} for value in (1, 2))
    assert compare(texts(old), texts(new)).endswith("recipe.d: 1 → 2 and 2 more")


def test_long_values_are_cut_where_they_begin_to_differ():
    start = "a note that goes on and on and on for more than the width of a line, and ends "
    said = compare(texts({"note": start + "well"}), texts({"note": start + "badly"}))
    assert said == "note: …well → …badly"
    options = ["--dropped", "results/demo/audit/a__b/dropped.csv", "results/demo/audit/a__a/dropped.csv"]
    assert compare(texts(options), texts([*options, "--pairs"])) == "+ --pairs"


def test_lists_of_files_are_cut():
    files = ", ".join(f"results/demo/{i}/metrics.json" for i in range(9))
    said = shorten(f"Updated input files: {files}; Set of input files has changed since last execution")
    assert said == ("Updated input files: 9 in results/demo; Set of input files has changed since last execution")
    said = shorten(f"Missing output files: z.csv, {files}")
    assert said == "Missing output files: results/demo/0/metrics.json and 9 more"
    assert shorten("Missing output files: a, b") == "Missing output files: a, b"
    assert shorten("Forced execution") == "Forced execution"


class Stub:
    only_old, only_new = texts(SPEC), texts(changed(lr=0.02))

    def __str__(self) -> str:
        return "its own words"


def test_another_version_of_snakemake_keeps_its_own_words(monkeypatch):
    kind = type("Change", (Stub,), {})
    reasons.replace_text(kind, lambda change, own: compare(change.only_old, change.only_new))
    assert str(kind()) == "recipe.lr: 0.01 → 0.02"
    reasons.replace_text(kind, lambda change, own: change.no_such_attribute)
    assert str(kind()) == "recipe.lr: 0.01 → 0.02"
    monkeypatch.setitem(sys.modules, "snakemake.persistence", None)
    reasons.install()


def test_a_terminal_without_arrows_gets_plain_characters(monkeypatch):
    class Old:
        encoding = "ascii"

    monkeypatch.setattr(sys, "stderr", Old())
    assert reasons.printable("lr: 1 → 2…") == "lr: 1 -> 2..."
