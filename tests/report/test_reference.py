"""Evidence that is kept: what is written of a finished run, and that every committed number follows from it alone."""

import contextlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from florilegium.config.base import read_yaml
from florilegium.core.errors import UserError
from florilegium.core.files import digest, read_json
from florilegium.core.receipts import write_receipt
from florilegium.figures.registry import KINDS
from florilegium.plan.project import load_plan
from florilegium.report import reference
from florilegium.report.answers import read_answers
from florilegium.report.arms import Arms
from florilegium.report.evidence import check_answers, live, read_reference
from florilegium.report.page import document
from florilegium.report.reference import folder_name, write_reference
from tests.helpers.kept import ADDRESS, HARDWARE, KEPT, LEAK, RESULTS, ROOT, TRAIN, command, csv_of
from tests.helpers.page import plots_by_study

# What is kept


def test_hits_are_those_of_the_predictions_packed_or_not(kept_project: Path) -> None:
    """By other means: predictions read line by line, sorted, compared as texts."""
    folders = sorted((kept_project / RESULTS / "flowers").glob("*/*/seed*"))
    assert len(folders) == 9
    for folder in folders:
        lines = [line.split(",") for line in (folder / "predictions.csv").read_text().splitlines()[1:]]
        right = [target == prediction for _, target, prediction, _ in sorted(lines)]
        packed = read_answers(kept_project / KEPT / folder.relative_to(kept_project / RESULTS))
        whole = read_answers(folder)
        assert packed.right.tolist() == whole.right.tolist() == right and packed.images == whole.images
        assert packed.by_class == whole.by_class and packed.reliability.error == pytest.approx(whole.reliability.error)
        assert np.mean(right) == read_json(folder / "metrics.json")["top1"]


def test_arms_of_other_images_are_not_compared(here: Path) -> None:
    runs = read_reference(KEPT).runs["flowers"]
    arm, baseline = (tuple(name.split("/")) for name in LEAK)
    assert Arms(runs).paired(arm, baseline) is not None
    path = runs[baseline][0].folder / "hits.json"
    path.write_text(json.dumps({**read_json(path), "images": "other names"}))
    runs[baseline][0] = replace(runs[baseline][0])  # what was read is read once
    with pytest.raises(UserError, match="tested on different images"):
        Arms(runs).paired(arm, baseline)


def test_a_reference_holds_what_it_should_and_nothing_of_this_machine(kept_project: Path) -> None:
    run = kept_project / KEPT / "flowers/scratch/corrected/seed0"
    always = {"metrics.json", "history.csv", "cost.json", "receipt.json"}
    assert {path.name for path in run.iterdir()} == always | {"hits.json"}
    found = kept_project / KEPT / "detection/r18/corrected/seed0"
    assert {path.name for path in found.iterdir()} == always | {"detection.json", "matches.npz"}
    for name in ("metrics.json", "history.csv", "cost.json", "detection.json", "matches.npz"):
        live_file = kept_project / RESULTS / found.relative_to(kept_project / KEPT) / name
        assert digest(found / name) == digest(live_file)
    texts = [p.read_text() for p in (kept_project / KEPT).rglob("*") if p.suffix in (".json", ".csv")]
    assert not [text for text in texts if "/home" in text or "somebody" in text or str(kept_project) in text]
    assert sum("slow: read from x.tar, see " + ADDRESS in text for text in texts) == 2
    assert read_json(kept_project / KEPT / "flowers/study.json")["preset_note"] == "64-pixel images"


def test_tables_from_a_reference_are_those_of_the_live_run(kept_project: Path) -> None:
    with contextlib.chdir(kept_project):
        ours, theirs = read_reference(KEPT).tables, live(RESULTS, HARDWARE).tables
        assert list(ours) == ["flowers", "detection"]
        for study in ours:
            for name, table in ours[study].by_file().items():
                assert len(table) or name == "claims.csv"
                assert csv_of(table) == csv_of(theirs[study].by_file()[name]), name
        texts = [document(of, plots_by_study(of.page), "x") for of in (read_reference(KEPT), live(RESULTS, HARDWARE))]
        assert texts[0] == texts[1]


def test_every_figure_is_drawn_from_a_reference_or_known_to_need_more() -> None:
    pictures = {
        "samples",
        "generated",
        "detections",
        "misses",
        "attention_rollout",
        "attention_nodes",
        "attribution_maps",
    }
    more = {
        "calibration",
        "by_class",
        "confusion",
        "attribution_scores",
        *(f"attention_{name}" for name in ("maps", "depth", "heads", "change")),
    }
    assert {name for name, kind in KINDS.items() if "pictures" in kind.reads} == pictures
    assert {name for name, kind in KINDS.items() if kind.reads} == pictures | more


def test_a_reference_is_verified_with_all_other_results(here: Path, monkeypatch, capsys) -> None:
    """Its runs' receipts name files of the live run: they are made again, or gone, and that is no fault of the
    reference."""
    shutil.rmtree(RESULTS)
    assert command(monkeypatch, "verify", "results") == 0
    said = capsys.readouterr().out
    assert "no receipt" not in said and said.endswith("files of 1 receipts fit\n")
    (KEPT / "flowers/scratch/corrected/seed0/cost.json").write_text("{}")
    assert command(monkeypatch, "verify", "results") == 1


# What is refused


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["metrics.json", "history.csv", "hits.json", "receipt.json", "../../../study.json"])
def test_a_flipped_byte_is_named(here: Path, name: str) -> None:
    path = KEPT / "flowers/scratch/corrected/seed1" / name
    flip(path)
    with pytest.raises(UserError, match=rf"{path.resolve().name}: (has changed since {KEPT}/|is no receipt)"):
        read_reference(KEPT)


def test_a_missing_file_and_one_too_many_are_named(here: Path) -> None:
    path = KEPT / "flowers/scratch/corrected/seed1/hits.json"
    content = path.read_text()
    path.unlink()
    with pytest.raises(UserError, match=r"seed1/hits.json: is missing"):
        read_reference(KEPT)
    path.write_text(content)
    shutil.copytree(path.parent, path.parent.with_name("seed3"))
    with pytest.raises(UserError, match=r"seed3/cost.json: no receipt names this file"):
        read_reference(KEPT)


def test_a_reference_under_another_name_or_with_a_cut_receipt_is_one_sentence(here: Path) -> None:
    moved = KEPT.rename(KEPT.with_name("other"))
    with pytest.raises(UserError, match=r"other/receipt.json: names files of another folder; give this one its old"):
        read_reference(moved)
    moved.rename(KEPT)
    (KEPT / "receipt.json").write_text('{"outputs": ')
    with pytest.raises(UserError, match=r"mini-laptop/receipt.json: is no receipt that can be read"):
        read_reference(KEPT)


def test_metrics_of_another_run_are_named_though_the_sums_are_right(here: Path) -> None:
    """The whole receipt is made anew, so that only the run's own receipt tells."""
    seed0, seed1 = (KEPT / f"flowers/scratch/corrected/seed{seed}/metrics.json" for seed in (0, 1))
    shutil.copyfile(seed0, seed1)
    files = [path for path in KEPT.rglob("*") if path.is_file() and path != KEPT / "receipt.json"]
    write_receipt(KEPT / "receipt.json", stage="reference", spec={}, code="", inputs=[], outputs=files, started=0)
    with pytest.raises(UserError, match=rf"{seed1}: is not the file that receipt.json beside it names"):
        read_reference(KEPT)


@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv"])
def test_a_live_run_that_does_not_fit_its_receipt_is_refused(here: Path, name: str) -> None:
    old = digest(KEPT / "receipt.json")
    flip(RESULTS / "flowers/scratch/corrected/seed1" / name)
    with pytest.raises(UserError, match=rf"scratch/corrected/seed1/{name}: has changed since"):
        write_reference(live(RESULTS, HARDWARE), KEPT, "c0de")
    assert digest(KEPT / "receipt.json") == old


def test_a_run_that_is_not_there_or_has_no_receipt_is_refused(here: Path) -> None:
    run = RESULTS / "detection/r34/corrected/seed2"
    (run / "receipt.json").write_text((run.with_name("seed1") / "receipt.json").read_text())
    with pytest.raises(UserError, match=r"seed2/metrics.json: no receipt beside it names this file"):
        write_reference(live(RESULTS, HARDWARE), KEPT, "c0de")
    shutil.rmtree(run)
    with pytest.raises(UserError, match="seed2: there is no finished run"):
        write_reference(live(RESULTS, HARDWARE), KEPT, "c0de")
    (RESULTS / "report.receipt.json").unlink()
    with pytest.raises(UserError, match=r"report.receipt.json: there is no such file; run the preset"):
        live(RESULTS, HARDWARE)


def test_what_is_too_large_for_git_is_refused(here: Path, monkeypatch) -> None:
    monkeypatch.setattr(reference, "LIMIT", 2**16)
    with pytest.raises(UserError, match=r"would take 0.2 MiB, and 0 MiB"):
        write_reference(live(RESULTS, HARDWARE), KEPT, "c0de")
    assert read_reference(KEPT)


@pytest.mark.parametrize("run", ["flowers/scratch/corrected/seed0", "detection/r18/corrected/seed0"])
def test_answers_of_another_run_are_named(here: Path, run: str) -> None:
    """As if they had been copied from another seed, and its receipt with them."""
    study, folder = run.partition("/")[0], KEPT / run
    (found,) = (r for of_arm in read_reference(KEPT).runs[study].values() for r in of_arm if r.folder == folder)
    check_answers(found)
    main = "top1" if study == "flowers" else "AP"
    found.metrics[main] += 1 / 340
    with pytest.raises(UserError, match=f"its answers give {main} = .*, and metrics.json says"):
        check_answers(found)


def test_a_reference_outside_this_folder_is_refused(here: Path) -> None:
    """Its receipt could not say where its files lie."""
    with pytest.raises(UserError, match="lies outside this folder"):
        write_reference(live(RESULTS, HARDWARE), here.parent / "elsewhere", "c0de")
    assert not (here.parent / "elsewhere").exists()


def test_no_preset_takes_the_name_of_the_references(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config.yaml: preset: results/reference holds what is committed"):
        load_plan(ROOT, {**read_yaml(ROOT / "config.yaml"), "preset": "reference"})


# The commands


def test_the_command_writes_a_reference_and_tells_its_size(here: Path, monkeypatch, capsys) -> None:
    run = RESULTS / "flowers/scratch/corrected/seed0"
    files = [path for path in run.iterdir() if path.name != "receipt.json"]
    write_receipt(run / "receipt.json", code="0ther", outputs=files, device="cpu", **TRAIN)
    assert command(monkeypatch, "reference", RESULTS, "--hardware", "2 cores of an AMD EPYC (Zen 3)") == 0
    said = capsys.readouterr().out
    assert re.search(r"flowers: 9 runs, \d+ KiB, [\d,]+ bytes a run", said)
    assert "several versions of the code (classification resnet18 0ther, c0de); the record names them" in said
    out = Path("results/reference/mini-2-cores-of-an-amd-epyc-zen-3")
    assert read_reference(out).hardware == "2 cores of an AMD EPYC (Zen 3)"
    code = {"classification resnet18": ["0ther", "c0de"], "detection resnet18": ["c0de"]}
    assert read_json(out / "reference.json")["code"] == code
    assert folder_name("demo", "One H200") == "demo-one-h200"
