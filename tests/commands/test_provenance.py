"""`provenance` and `verify` on a small project of receipts: what they say, and that they never crash."""

import sys
from pathlib import Path

import pytest

from florilegium.__main__ import command_line
from florilegium.core.errors import UserError
from florilegium.core.receipts import git_state, write_receipt

ARMS = ("a/corrected", "b/corrected", "c/corrected")
RESULTS = Path("results/demo/flowers")
LISTING, PIXELS = Path("resources/set/files.json"), Path("resources/set/pixels8.npy")
ABSENT = (
    "resources/downloads/set/set.zip: is no longer there, so that only the files that were made of it are verified\n"
)
COMPARISON = RESULTS / "comparison.csv"
ENTRIES = [
    {"experiment": name, "arm": "corrected", "baseline": baseline}
    for name, baseline in (("a", None), ("b", {"experiment": "a", "arm": "corrected"}), ("c", None))
]


def make(
    path: Path, stage: str, inputs: list[Path], spec: object, receipt: str = "", text: str = "", **facts: object
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or f"{stage} {path}")
    where = path.with_name(receipt) if receipt else path.with_suffix(".receipt.json")
    write_receipt(where, stage=stage, spec=spec, code="c0de", inputs=inputs, outputs=[path], started=0.0, **facts)
    return path


def train(arm: str, seed: int) -> Path:
    recipe = {"data": {"dataset": "set"}, "model": {"name": "resnet18"}, "recipe": {"lr": 0.05}}
    path = RESULTS / arm / f"seed{seed}" / "metrics.json"
    return make(path, "train", [PIXELS], recipe, "receipt.json", seed=seed, device="a device")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    git_state.cache_clear()  # another test may have asked in another folder
    archive = {"file": "set.zip", "from": "https://example.org/set.zip", "sha256": "ab" * 32, "bytes": 1234}
    make(LISTING, "fetch", [], {"dataset": {"layout": "folders"}}, origin=[archive])
    make(PIXELS, "pack", [LISTING], {"layout": "folders"})
    runs = [train(arm, seed) for arm in ARMS for seed in (0, 1)]
    receipts = [run.with_name("receipt.json") for run in runs]
    make(COMPARISON, "compare", [*runs, *receipts], {"study": "flowers", "entries": ENTRIES})
    return tmp_path


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["florilegium", *map(str, arguments)])
    return command_line()


def test_a_run_is_explained_down_to_the_archive(project, monkeypatch, capsys):
    metrics = RESULTS / "a/corrected/seed0/metrics.json"
    assert command(monkeypatch, "provenance", metrics) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == metrics.as_posix()
    assert lines[1].strip() == "train: data set, model resnet18, lr 0.05"
    assert lines[2].endswith(" s on a device, code c0de")
    assert lines[3].strip().startswith("commit unknown (no repository), ") and "python 3." in lines[3]
    assert [line.strip() for line in lines if "resources" in line] == [PIXELS.as_posix(), LISTING.as_posix()]
    assert lines[-1].strip() == ("from set.zip (1,234 bytes, sha256 abababababababab) of https://example.org/set.zip")


def test_explain_is_another_name_of_provenance(project, monkeypatch, capsys):
    said = []
    for name in ("provenance", "explain"):
        assert command(monkeypatch, name, PIXELS) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != ""


def test_the_runs_of_a_comparison_are_told_by_arm(project, monkeypatch, capsys):
    command(monkeypatch, "provenance", COMPARISON)
    said = capsys.readouterr().out
    for arm in ARMS:
        assert said.count(f"  {RESULTS.as_posix()}/{arm}, seeds 0, 1: metrics.json\n") == 1
    assert said.count(f"{PIXELS}\n") == 1 and said.count(f"{PIXELS.as_posix()}, see above") == 2
    assert said.count("commit") == 1
    assert len(said.splitlines()) < 25


def test_a_row_is_told_with_its_baseline(project, monkeypatch, capsys):
    command(monkeypatch, "provenance", COMPARISON, "b/corrected")
    said = capsys.readouterr().out
    assert "/a/corrected, seeds 0, 1" in said and "/b/corrected, seeds" in said and "/c/" not in said
    with pytest.raises(UserError, match="unknown row 'b/corected', did you mean 'b/corrected'"):
        command(monkeypatch, "provenance", COMPARISON, "b/corected")
    with pytest.raises(UserError, match="is no receipt of a comparison"):
        command(monkeypatch, "provenance", PIXELS, "b/corrected")


def test_what_does_not_fit_is_explained_too(project, monkeypatch, capsys):
    metrics = RESULTS / "a/corrected/seed0/metrics.json"
    metrics.write_text("edited")
    command(monkeypatch, "provenance", metrics)
    assert "! this is not the file that was made" in capsys.readouterr().out.splitlines()[1]
    make(PIXELS, "pack", [LISTING], {"layout": "folders"}, text="made anew")
    command(monkeypatch, "provenance", metrics)
    assert f"! another version of it was used then: {PIXELS.as_posix()}" in capsys.readouterr().out
    PIXELS.unlink()
    PIXELS.with_suffix(".receipt.json").unlink()
    command(monkeypatch, "provenance", metrics)
    assert f"{PIXELS.as_posix()} (missing, in no receipt)" in capsys.readouterr().out


def test_a_file_that_is_in_no_receipt_is_told_in_a_sentence(project, monkeypatch):
    Path("results/notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"results/notes.txt: no receipt names this file"):
        command(monkeypatch, "provenance", "results/notes.txt")
    with pytest.raises(UserError, match="there is no such file"):
        command(monkeypatch, "provenance", "results/nothing.csv")


@pytest.mark.parametrize("path", ["results", "results/demo/flowers/comparison.csv"])
def test_all_fits(project, monkeypatch, capsys, path):
    assert command(monkeypatch, "verify", path) == 0
    assert capsys.readouterr().out == f"{ABSENT}15 files of 9 receipts fit\n"


def test_a_project_is_verified_from_anywhere(project, monkeypatch, capsys):
    monkeypatch.chdir("/")
    assert command(monkeypatch, "verify", project / "results/demo") == 0
    assert command(monkeypatch, "provenance", project / PIXELS) == 0


def changed() -> None:
    (RESULTS / "a/corrected/seed1/metrics.json").write_text("edited")


def missing() -> None:
    (RESULTS / "a/corrected/seed1/metrics.json").unlink()


def made_anew() -> None:
    make(LISTING, "fetch", [], {}, text="other files")


def unreadable() -> None:
    Path("resources/set/pixels8.receipt.json").write_text('{"stage": "pack"}')


@pytest.mark.parametrize(
    "spoil, said",
    [
        (changed, "seed1/metrics.json: has changed since results/demo/flowers/a/corrected/seed1/receipt.json"),
        (missing, "seed1/metrics.json: is missing since"),
        (made_anew, "resources/set/pixels8.npy: made from another version of resources/set/files.json"),
        (unreadable, "resources/set/pixels8.receipt.json: is no receipt that can be read"),
    ],
)
def test_what_does_not_fit_is_named(project, monkeypatch, capsys, spoil, said):
    spoil()
    assert command(monkeypatch, "verify", "results") == 1
    assert said in capsys.readouterr().err


def test_a_change_is_told_once_however_many_read_it(project, monkeypatch, capsys):
    PIXELS.write_text("edited")
    assert command(monkeypatch, "verify", "results") == 1
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 1
    assert told.out == f"{ABSENT}14 of 15 files of 9 receipts fit\n"


def test_a_run_that_was_made_anew_leaves_the_comparison_behind(project, monkeypatch, capsys):
    train("a/corrected", 0)  # its receipt tells another time
    assert command(monkeypatch, "verify", "results/demo/flowers/comparison.csv") == 1
    assert "comparison.csv: made from another version of" in capsys.readouterr().err


def test_files_that_no_receipt_names_are_listed(project, monkeypatch, capsys):
    Path("results/demo/old.png").write_text("old")
    Path("results/README.md").write_text("what the folder holds")
    assert command(monkeypatch, "verify", "results") == 0
    out = capsys.readouterr().out
    assert "results/demo/old.png: no receipt names this file" in out and "README" not in out


def test_bad_input_is_a_sentence(project, monkeypatch):
    Path("results/empty").mkdir()
    with pytest.raises(UserError, match="results/empty: there is no receipt for it"):
        command(monkeypatch, "verify", "results/empty")
    with pytest.raises(UserError, match="is neither below results/ nor below resources/"):
        command(monkeypatch, "verify", "/usr")
