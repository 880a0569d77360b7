"""Evidence that is kept: what is written of a finished run, and that every committed number follows from it alone."""

import contextlib
import io
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from florilegium.__main__ import command_line
from florilegium.commands.recompute import CLOSING, DOCUMENTS, OPENING, README, ROWS, recompute
from florilegium.config.base import read_yaml
from florilegium.core.errors import UserError
from florilegium.core.files import digest, read_json
from florilegium.core.receipts import write_receipt
from florilegium.figures.registry import KINDS, plots_of
from florilegium.plan.project import load_plan
from florilegium.report import reference
from florilegium.report.answers import Answers, pack, read_answers
from florilegium.report.arms import Arms
from florilegium.report.claim_texts import claims_markdown
from florilegium.report.evidence import check_answers, live, read_reference
from florilegium.report.page import document
from florilegium.report.reference import folder_name, write_reference
from tests.helpers import detection, report
from tests.helpers.page import AUDIT, plots_by_study

ROOT = Path(__file__).parents[2]
HARDWARE = "2 cores of an AMD EPYC"
RESULTS = Path("results/mini")
KEPT = Path("results/reference/mini-laptop")
LEAK = "from102_leaky/leaky", "from102_clean/corrected"
ADDRESS = "https://example.org/a/b"
TRAIN: dict[str, Any] = {
    "stage": "train",
    "spec": {"lr": 0.1},
    "inputs": [],
    "started": 0.0,
    "model": {"name": "resnet18"},
}


def flowers() -> dict[str, Any]:
    arms = ("scratch/corrected", "from102_clean/corrected", "from102_leaky/leaky")
    claims = [report.claim("leaks_flatter", *LEAK, at_least=0.0), report.claim("lost", lacks="nothing tests it")]
    return report.study([e for e in report.flowers() if f"{e['experiment']}/{e['arm']}" in arms], claims=claims)


def finders() -> dict[str, Any]:
    entries = [
        detection.entry("r18"),
        detection.entry("r34", baseline={"experiment": "r18", "arm": "corrected"}, dataset="scenes"),
    ]
    return report.study(entries, study="detection", title="Study 5: boxes")


def write_receipts(study: Path) -> None:
    """A receipt of each run like those that a training writes, the first with a fact that tells of this machine."""
    for number, metrics in enumerate(sorted(study.rglob("metrics.json"))):
        files = [path for path in metrics.parent.iterdir() if path.name != "receipt.json"]
        said = f"slow: read from /home/somebody/archives/x.tar, see {ADDRESS}" if number == 0 else ""
        where = metrics.with_name("receipt.json")
        write_receipt(where, code="c0de", outputs=files, said=said, device="cpu", **TRAIN)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a finished preset of a study of classifiers and one of detectors, and its reference."""
    root = tmp_path_factory.mktemp("project")
    with contextlib.chdir(root):
        scenes = detection.write_scenes(Path("resources/scenes"))
        report.write_study(RESULTS / "flowers", flowers())
        for of in finders()["entries"]:
            for seed in of["seeds"]:
                detection.write_run(RESULTS / "detection", of, seed, scenes)
        for name in ("flowers", "detection"):
            write_receipts(RESULTS / name)
        for dataset, classes in (("flowers17", report.CLASSES), ("scenes", detection.CLASSES)):
            report.write_images(Path("resources"), dataset, classes)
        summary = RESULTS / "audit/flowers102__flowers17/summary.json"
        summary.parent.mkdir(parents=True)
        summary.write_text(json.dumps(AUDIT))
        source = {"title": "Oxford 17", "citation": "Nilsback", "terms": "research", "homepage": ADDRESS}
        page = {
            "preset": "mini", "title": "mini", "note": "64-pixel images", 
            "studies": {"flowers": flowers(), "detection": finders()},
            "datasets": {"flowers17": source, "scenes": source}, "audits": [["flowers102", "flowers17"]],
        }  # fmt: skip
        (RESULTS / "report.html").write_text("<p>")
        write_receipt(
            RESULTS / "report.receipt.json", stage="page", spec=page, code="c0de", inputs=[],
            outputs=[RESULTS / "report.html"], started=0.0,
        )  # fmt: skip
        write_reference(live(RESULTS, HARDWARE), KEPT, "c0de")
    return root


@pytest.fixture
def here(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project to spoil, as the working directory."""
    shutil.copytree(project, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["florilegium", *map(str, arguments)])
    return command_line()


def csv_of(table: pd.DataFrame) -> str:
    return table.to_csv(index=False)


def write_readme(here: Path, reference: str = KEPT.name) -> None:
    """A README with an empty block, and the data file of its references."""
    blocks = [{"reference": reference, "heading": "Flowers."}]
    (here / ROWS).parent.mkdir(parents=True, exist_ok=True)
    (here / ROWS).write_text(yaml.safe_dump({"blocks": blocks}))
    (here / README).write_text(f"# Mine\n\n{OPENING}\nold\n{CLOSING}\n\nThe rest.\n")


# What is kept


def test_hits_are_those_of_the_predictions_packed_or_not(project: Path) -> None:
    """By other means: predictions read line by line, sorted, compared as texts."""
    folders = sorted((project / RESULTS / "flowers").glob("*/*/seed*"))
    assert len(folders) == 9
    for folder in folders:
        lines = [line.split(",") for line in (folder / "predictions.csv").read_text().splitlines()[1:]]
        right = [target == prediction for _, target, prediction, _ in sorted(lines)]
        packed = read_answers(project / KEPT / folder.relative_to(project / RESULTS))
        whole = read_answers(folder)
        assert packed.right.tolist() == whole.right.tolist() == right and packed.images == whole.images
        assert packed.by_class == whole.by_class and packed.reliability.error == pytest.approx(whole.reliability.error)
        assert np.mean(right) == read_json(folder / "metrics.json")["top1"]


def test_classes_are_texts_and_the_order_is_that_of_names(tmp_path: Path) -> None:
    """A class called NA, and numbers with zeros before them, are what they are called."""
    text = "image,target,prediction,probability\nb/10.png,NA,NA,1\nb/9.png,01,1,1\na/2.png,None,None,1\n"
    (tmp_path / "predictions.csv").write_text(text)
    answers = read_answers(tmp_path)
    assert answers.right.tolist() == [True, True, False]
    assert answers.by_class == {"NA": (1, 1), "01": (1, 0), "None": (1, 1)}
    pack(answers, tmp_path / "hits.json")
    (tmp_path / "predictions.csv").unlink()
    packed = read_answers(tmp_path)
    assert packed.images == answers.images and packed.right.tolist() == answers.right.tolist()
    assert packed.by_class == answers.by_class


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 340])
def test_any_number_of_images_is_packed(tmp_path: Path, n: int) -> None:
    right = np.random.default_rng(n).random(n) < 0.5
    pack(Answers("names", right, {}), tmp_path / "hits.json")
    assert read_answers(tmp_path).right.tolist() == right.tolist()


def test_arms_of_other_images_are_not_compared(here: Path) -> None:
    runs = read_reference(KEPT).runs["flowers"]
    arm, baseline = (tuple(name.split("/")) for name in LEAK)
    assert Arms(runs).paired(arm, baseline) is not None
    path = runs[baseline][0].folder / "hits.json"
    path.write_text(json.dumps({**read_json(path), "images": "other names"}))
    runs[baseline][0] = replace(runs[baseline][0])  # what was read is read once
    with pytest.raises(UserError, match="tested on different images"):
        Arms(runs).paired(arm, baseline)


def test_a_reference_holds_what_it_should_and_nothing_of_this_machine(project: Path) -> None:
    run = project / KEPT / "flowers/scratch/corrected/seed0"
    always = {"metrics.json", "history.csv", "cost.json", "receipt.json"}
    assert {path.name for path in run.iterdir()} == always | {"hits.json"}
    found = project / KEPT / "detection/r18/corrected/seed0"
    assert {path.name for path in found.iterdir()} == always | {"detection.json", "matches.npz"}
    for name in ("metrics.json", "history.csv", "cost.json", "detection.json", "matches.npz"):
        live_file = project / RESULTS / found.relative_to(project / KEPT) / name
        assert digest(found / name) == digest(live_file)
    texts = [p.read_text() for p in (project / KEPT).rglob("*") if p.suffix in (".json", ".csv")]
    assert not [text for text in texts if "/home" in text or "somebody" in text or str(project) in text]
    assert sum("slow: read from x.tar, see " + ADDRESS in text for text in texts) == 2
    assert read_json(project / KEPT / "flowers/study.json")["preset_note"] == "64-pixel images"


def test_tables_from_a_reference_are_those_of_the_live_run(project: Path) -> None:
    with contextlib.chdir(project):
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


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "{}", '{"images": "a", "n": 9, "right": "/w=="}'),
        '{"images": "a", "n": 0, "right": "", "by_class": [1]}',
        '{"images": "a", "n": 0, "right": "", "reliability": [1]}',
    ],
)
def test_cut_bits_are_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "hits.json").write_text(content)
    with pytest.raises(UserError, match=r"hits.json: is cut, or no record of which images were right"):
        read_answers(tmp_path)
    (tmp_path / "hits.json").unlink()
    with pytest.raises(UserError, match=r"hits.json: there is no such file, nor predictions.csv"):
        read_answers(tmp_path)


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


def test_documents_and_readme_are_recomputed_from_references_alone(here: Path, monkeypatch, capsys) -> None:
    write_readme(here)
    shutil.rmtree(RESULTS)
    shutil.rmtree("resources")
    assert command(monkeypatch, "recompute") == 0
    text = Path(DOCUMENTS, f"{KEPT.name}.md").read_text()
    linked = set(re.findall(r"\]\((mini-laptop/[^)]*\.png)\)", text))
    drawn = {p.relative_to(DOCUMENTS).as_posix() for p in Path(DOCUMENTS).rglob("*.png")}
    assert linked == drawn and {"mini-laptop/detection/figures/errors.png"} < drawn
    assert not [name for name in drawn if "samples" in name or "confusion" in name]
    for said in (
        "Measured on",
        "64-pixel images.",
        "| ResNet-18 from clean Oxford 102 |",
        "| commit |",
        "Same picture",
    ):
        assert said in text
    assert Path(DOCUMENTS, KEPT.name, "flowers/differences.csv").is_file()
    assert capsys.readouterr().out.count("changed") == 2
    command(monkeypatch, "recompute")
    assert "changed" not in capsys.readouterr().out


def diverge(run: Path) -> None:
    """Make a run that counts for nothing of a finished one."""
    metrics = read_json(run / "metrics.json")
    (run / "metrics.json").write_text(json.dumps({**metrics, "diverged": True}))
    files = [path for path in run.iterdir() if path.name != "receipt.json"]
    write_receipt(run / "receipt.json", code="c0de", outputs=files, **TRAIN)


@pytest.mark.parametrize("seeds", [(0, 1, 2), (0, 1)])
def test_a_row_of_the_readme_says_what_was_measured(here: Path, seeds: tuple[int, ...]) -> None:
    """By other means: both means, and so their difference, are over the seeds in common."""
    write_readme(here)
    for seed in {0, 1, 2} - set(seeds):
        diverge(RESULTS / "flowers" / LEAK[0] / f"seed{seed}")
    write_reference(live(RESULTS, HARDWARE), KEPT, "c0de")
    text = recompute(here).texts[README]
    assert text.startswith("# Mine\n") and text.endswith("\n\nThe rest.\n") and "old" not in text
    (row,) = [line for line in text.splitlines() if line.startswith("| Leaks flatter.")]
    assert "Of 2 claims: 1 supported, 1 not run." in text
    arms = [[read_json(RESULTS / "flowers" / a / f"seed{seed}/metrics.json") for seed in seeds] for a in LEAK]
    means = [100 * np.mean([of["top1"] for of in arm]) for arm in arms]
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[2:4] == ["test top-1", "higher"] and cells[5] == "supported"
    assert cells[4].startswith(f"{means[0] - means[1]:+.1f} [") and cells[4].endswith("] points")
    assert cells[9] == str(len(seeds))


def test_a_block_of_no_reference_is_one_sentence(here: Path) -> None:
    write_readme(here, "mini-laptp")
    with pytest.raises(UserError, match=r"readme\.yaml: unknown reference 'mini-laptp', did you mean 'mini-laptop'"):
        recompute(here)


def test_a_reference_is_held_against_the_claims_of_today(here: Path) -> None:
    """Those of the study file, if the project has one: an arm that was measured, and one that was left out."""
    write_readme(here)
    claims = [
        {"name": "now", "says": "It leaks now.", "source": "p", "arms": list(LEAK), "at_least": 0.0},
        {"name": "gone", "says": "It is gone.", "source": "p", "arms": ["scratch50"], "at_least": 0.9},
    ]
    names = ("scratch", "scratch50", "from102_clean", "from102_leaky")
    experiments = {name: {"arms": {"leaky": {}} if name == "from102_leaky" else {}} for name in names}
    path = here / "workflow/studies/flowers.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump({"title": "t", "document": "d", "experiments": experiments, "claims": claims}))
    text = recompute(here).texts[README]
    assert (
        "| It leaks now. |" in text and "Leaks flatter" not in text and "Of 2 claims: 1 supported, 1 not run." in text
    )
    claims[0]["arms"] = ["from102_leeky/leaky", LEAK[1]]
    path.write_text(yaml.safe_dump({"title": "t", "document": "d", "experiments": experiments, "claims": claims}))
    with pytest.raises(UserError, match=r"studies/flowers.yaml: claims.now.arms: unknown experiment 'from102_leeky'"):
        recompute(here)


def test_a_readme_without_its_comments_is_one_sentence(here: Path) -> None:
    write_readme(here)
    (here / README).write_text("# Mine\n")
    with pytest.raises(UserError, match=r"README.md: must hold one line"):
        recompute(here)


# What is committed


def test_readme_and_documents_are_what_the_references_say() -> None:
    for path, text in recompute(ROOT).texts.items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, f"{path}: run `florilegium recompute`"


def test_tables_beside_the_documents_are_what_the_references_say() -> None:
    for name, evidence in recompute(ROOT).references.items():
        gathered = pd.read_csv(ROOT / DOCUMENTS / name / "claims.csv")
        claims = [(evidence.page.studies[study], tables.claims) for study, tables in evidence.tables.items()]
        assert (ROOT / DOCUMENTS / name / "claims.md").read_text(encoding="utf-8") == claims_markdown(claims)
        for study, tables in evidence.tables.items():
            by_file = tables.by_file()
            folder = ROOT / DOCUMENTS / name / study
            assert {path.name for path in folder.glob("*.csv")} == set(by_file)
            of_study = gathered[gathered["study"] == study].reset_index(drop=True)
            pd.testing.assert_frame_equal(of_study, pd.read_csv(folder / "claims.csv"), check_dtype=False)
            for file, table in by_file.items():
                expected, found = pd.read_csv(io.StringIO(csv_of(table))), pd.read_csv(folder / file)
                pd.testing.assert_frame_equal(found, expected, rtol=1e-8, check_dtype=False)
            plots = {f"{figure.name}.png" for figure in plots_of(evidence.page.studies[study])}
            assert {path.name for path in folder.rglob("*.png")} == plots


def test_references_are_small_enough_for_git() -> None:
    files = [path for path in (ROOT / "results/reference").rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in files) < 10 * 2**20


def test_the_leak_that_the_readme_tells_is_the_one_of_the_audit() -> None:
    audits = ROOT / "results/reference/mini-epyc-2-cores/audit"
    across, inside = (
        read_json(audits / name / "summary.json") for name in ("oxford102__oxford17", "oxford17__oxford17")
    )
    exposed = across["n_exposed"]
    every, judged = sum(exposed.values()), exposed["val"] + exposed["test"]
    told = " ".join((ROOT / README).read_text(encoding="utf-8").split())
    assert f"shows {every} again, {100 * every / across['n_b']:.0f} %; {judged} of them" in told
    assert f"{across['n_dropped']} photographs were dropped" in told
    assert f"Inside Oxford 17, {inside['n_dropped']} doubles" in told
