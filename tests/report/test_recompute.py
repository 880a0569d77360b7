"""Documents, their tables and the README's results follow from the committed references alone."""

import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from florilegium.commands.recompute import DOCUMENTS, README, recompute
from florilegium.core.errors import UserError
from florilegium.core.files import read_json
from florilegium.core.receipts import write_receipt
from florilegium.figures.registry import plots_of
from florilegium.report.claim_texts import claims_markdown
from florilegium.report.evidence import live
from florilegium.report.reference import write_reference
from tests.helpers.kept import HARDWARE, KEPT, LEAK, RESULTS, ROOT, TRAIN, command, csv_of, write_readme


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
