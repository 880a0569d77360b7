"""The evidence of a preset: its runs and audits, from `results/<preset>` or from a reference in `results/reference`.

Both have the same layout, so the same code makes tables, plots and documents from either. A reference has one
bit for each test image (right or wrong, see `report.runs`) instead of predictions, and neither weights nor pictures.
"""

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from florilegium.config.metrics import SCORING
from florilegium.core.errors import UserError
from florilegium.core.files import digest, read_json
from florilegium.core.lineage import open_ledger
from florilegium.core.outputs import RECEIPT
from florilegium.core.receipts import read_receipt
from florilegium.core.verification import verify
from florilegium.report.average_precision import coco_scores
from florilegium.report.comparison import StudyTables, tabulate
from florilegium.report.generated import generated
from florilegium.report.runs import Run, read_study
from florilegium.report.study import Key, Page, Study, read
from florilegium.report.tables import EMPTY

RECORD, STUDY = "reference.json", "study.json"
SAME = 1e-6  # scores that differ by less are equal: they were rounded to float32
PAGE_RECEIPT = "report.receipt.json"


@dataclass(frozen=True)
class Evidence:
    """The source of tables, plots and documents."""

    page: Page  # the description of the preset's report, its studies included
    root: Path  # the folder that holds `<study>/<experiment>/<arm>/seed<seed>` and `audit`
    images: Mapping[str, Path]  # `images.json` of each data set in use, by data set
    hardware: str = ""  # of the runs, in words; documents need it
    date: str = ""  # of the runs, ISO 8601; documents need it

    @cached_property
    def runs(self) -> dict[str, dict[Key, list[Run]]]:
        """The finished runs of each study, by arm."""
        return {name: read_study(self.root / name, study) for name, study in self.page.in_order()}

    def every_run(self) -> Iterator[tuple[Study, Run]]:
        for name, of_study in self.runs.items():
            yield from ((self.page.studies[name], run) for of_arm in of_study.values() for run in of_arm)

    @cached_property
    def tables(self) -> dict[str, StudyTables]:
        """The tables of each study, computed from its runs."""
        tables = {
            name: tabulate(study, self.runs[name], self.summaries, self.audits) for name, study in self.page.in_order()
        }
        for name, study in self.page.in_order():
            if study.makes_images():
                tables[name] = replace(tables[name], generated=generated(study, self.runs[name]))
        return tables

    @cached_property
    def summaries(self) -> dict[str, dict[str, Any]]:
        """The content of each `images.json`, by data set."""
        return {name: read_json(path) for name, path in sorted(self.images.items())}

    @cached_property
    def audits(self) -> list[dict[str, Any]]:
        """The summaries of the leak audits."""
        return [read_json(path) for path in audit_files(self.page, self.root)]


def audit_files(page: Page, root: Path) -> list[Path]:
    return [root / "audit" / f"{a}__{b}" / "summary.json" for a, b in page.audits]


def live(results: Path, hardware: str) -> Evidence:
    """The evidence of a preset that was run to its end; `resources` lies beside `results`.

    Raises:
        UserError: it has no report yet.
    """
    receipt = results / PAGE_RECEIPT
    if not receipt.is_file():
        raise UserError(f"{receipt}: there is no such file; run the preset to its end first")
    page = read(Page, json.dumps(read_receipt(receipt)["spec"]))
    resources = results.absolute().parent.parent / "resources"
    return Evidence(
        page=page,
        root=results,
        images={name: resources / name / "images.json" for name in page.datasets},
        hardware=hardware,
        date=datetime.date.fromtimestamp(receipt.stat().st_mtime).isoformat(),
    )


def read_reference(folder: Path) -> Evidence:
    """The evidence of a reference, after each of its files was checked against its receipt.

    Raises:
        UserError: a file has changed, is missing, or is not named in the receipt; or a run's own receipt names other
            metrics than those beside it.
    """
    if not (folder / RECEIPT).is_file():
        raise UserError(f"{folder}: holds no {RECEIPT}, so it is no complete reference; write it again")
    check(folder)
    record = read_json(folder / RECORD)
    studies = {name: read_json(folder / name / STUDY) for name in record["studies"]}
    page = read(Page, json.dumps({**record["page"], "studies": studies}), where=str(folder / RECORD))
    evidence = Evidence(
        page=page,
        root=folder,
        images={name: folder / "images" / f"{name}.json" for name in page.datasets},
        hardware=record["hardware"],
        date=record["date"],
    )
    for _, run in evidence.every_run():
        check_run(run)
    return evidence


def check(folder: Path) -> None:
    """Raise `UserError` for the first file below a reference that does not fit its receipt, or is in none."""
    ledger, start = open_ledger(folder)
    if ledger.maker(f"{start}/{RECEIPT}") is None and not ledger.unreadable:
        remedy = "give this one its old name, or write it again"
        raise UserError(f"{folder / RECEIPT}: names files of another folder; {remedy}")
    result = verify(ledger, start)
    refuse(folder, result.faults + [f"{name}: no receipt names this file" for name in result.unnamed])


def refuse(folder: Path, faults: Sequence[str]) -> None:
    """Raise `UserError` for the first of the faults below `folder`, if there are any."""
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise UserError(f"{faults[0]}{more}; `python -m florilegium verify {folder.as_posix()}` lists all")


def check_run(run: Run) -> None:
    """Raise `UserError` where a run's own receipt names another version of a file beside it, or where its answers give
    another score than its metrics say."""
    outputs = run.receipt()["outputs"]
    recorded = {name.rpartition("/")[2]: of["sha256"] for name, of in outputs.items()}
    for path in sorted(run.folder.iterdir()):
        if path.name in recorded and recorded[path.name] != digest(path):
            raise UserError(f"{path}: is not the file that {RECEIPT} beside it names; take both from the same run")
    check_answers(run)


def check_answers(run: Run) -> None:
    """Raise `UserError` where the answers of a run do not give the main score that its metrics say."""
    main = SCORING[run.task].main
    if run.task == "classification":
        ours: float | None = float(run.answers.right.mean())
    elif run.task == "detection":
        ours = coco_scores(run.matches())[main]
    else:
        return
    recorded = run.metrics[main]
    if (ours is None) != (recorded is None) or (ours is not None and abs(ours - recorded) > SAME):
        scores = f"its answers give {main} = {ours}, and metrics.json says {recorded}"
        raise UserError(f"{run.folder}: {scores}; take both from the same run")


def provenance(runs: Iterable[Run]) -> list[tuple[str, str]]:
    """Pairs of a fact and its value, from receipts and costs; where runs differ, every value."""
    runs = list(runs)
    receipts = [run.receipt() for run in runs]
    packages = sorted({name for receipt in receipts for name in receipt["versions"]})
    values = {
        "commit": [_commit(receipt["git"]) for receipt in receipts],
        "device": [str(run.cost()["device"]) for run in runs],
        **{name: [str(receipt["versions"].get(name, "absent")) for receipt in receipts] for name in packages},
    }
    facts = [(name, " · ".join(sorted(set(of_runs))) or EMPTY) for name, of_runs in values.items()]
    return [("runs", str(len(runs))), *facts]


def _commit(git: Mapping[str, Any]) -> str:
    if git["commit"] is None:
        return "no repository"
    return f"{git['commit'][:12]}{', edited since' if git['dirty'] else ''}"
