"""Write a reference: the part of a finished preset that its numbers are made from, small enough for git.

`results/reference/<preset>-<hardware>/` holds `reference.json` (hardware, date, versions, the page's title),
`receipt.json` (the sha256 of every file), the summaries of data sets and audits, and of each study its `study.json` and
its runs: `metrics.json`, `history.csv`, `cost.json`, the receipt, and whether each test image was right, with counts by
class and by probability.
"""

import re
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

from florilegium.core.errors import UserError
from florilegium.core.files import read_json, replacing, write_json
from florilegium.core.lineage import open_ledger
from florilegium.core.outputs import RECEIPT
from florilegium.core.receipts import without_folders, write_receipt
from florilegium.core.verification import verify
from florilegium.report.answers import PACKED, PREDICTIONS, pack
from florilegium.report.evidence import RECORD, STUDY, Evidence, audit_files, provenance, refuse
from florilegium.report.runs import RUN_FILES, Run

ANSWERS = {"classification": (PREDICTIONS,), "detection": ("detection.json", "matches.npz"), "generation": ()}
SAMPLES = ("cost.json", "judge.json")  # of each set of generated images
LIMIT = 10 * 2**20  # bytes of all references together


class Size(NamedTuple):
    """The size of a study in a reference."""

    study: str
    n_runs: int
    n_bytes: int


def folder_name(preset: str, hardware: str) -> str:
    """`<preset>-<hardware>`, the hardware in letters and digits: `demo-2-cores-of-an-amd-epyc`."""
    return "-".join([preset, *re.findall(r"[a-z0-9.]+", hardware.lower())])


def write_reference(evidence: Evidence, out: Path, code: str) -> list[Size]:
    """Write the reference of a finished preset to `out`, in place of an older one; returns the size of each study.

    Raises:
        UserError: a receipt of the preset does not fit its files, a run is not finished, or all references would be too
            large for git.
    """
    if not out.absolute().is_relative_to(Path.cwd()):
        remedy = "write it below results/reference and copy it from there"
        raise UserError(f"--out {out}: lies outside this folder, and a receipt names no others; {remedy}")
    started = time.time()
    _check_live(evidence)
    with replacing(out) as fresh:
        sizes = [_study(evidence, name, fresh / name) for name, _ in evidence.page.in_order()]
        for name, summary in evidence.summaries.items():
            write_json(fresh / "images" / f"{name}.json", without_folders(summary))
        for path in audit_files(evidence.page, evidence.root):
            write_json(fresh / path.relative_to(evidence.root), without_folders(read_json(path)))
        write_json(fresh / RECORD, _record(evidence))
        _check_size(fresh, out)
    write_receipt(
        out / RECEIPT,
        stage="reference",
        spec={"preset": evidence.page.preset, "hardware": evidence.hardware},
        code=code,
        inputs=[],  # not in the reference: the runs' own receipts name them
        outputs=files_below(out),
        started=started,
    )
    return sizes


def _check_live(evidence: Evidence) -> None:
    """Raise `UserError` unless every receipt fits, every run is there, and its own receipt names the copied files."""
    ledger, start = open_ledger(evidence.root)
    refuse(evidence.root, verify(ledger, start).faults)
    for name, study in evidence.page.in_order():
        for entry in study.entries:
            there = {run.seed for run in evidence.runs[name][entry.key]}
            missing = [seed for seed in entry.seeds if seed not in there]
            if missing:
                place = evidence.root / name / entry.experiment / entry.arm / f"seed{missing[0]}"
                raise UserError(f"{place}: there is no finished run; run the preset to its end first")
    for study, run in evidence.every_run():
        for file in _files(run):
            name = file.absolute().relative_to(ledger.root).as_posix()
            maker = ledger.maker(name)
            if maker is None or maker.name.rpartition("/")[0] != name.rpartition("/")[0]:
                raise UserError(f"{file}: no receipt beside it names this file of {study.study}; make the run again")


def _files(run: Run) -> list[Path]:
    """The files of a run that belong to a reference, without its receipt."""
    answers = [run.folder / name for name in ANSWERS[run.task]]
    return [run.folder / name for name in RUN_FILES] + [path for path in answers if path.is_file()]


def _study(evidence: Evidence, name: str, out: Path) -> Size:
    study = evidence.page.studies[name]
    write_json(out / STUDY, without_folders(study.model_dump(mode="json")))
    runs = [run for of_arm in evidence.runs[name].values() for run in of_arm]
    for run in runs:
        _run(run, out / run.folder.relative_to(evidence.root / name))
    return Size(name, len(runs), sum(path.stat().st_size for path in files_below(out)))


def _run(run: Run, out: Path) -> None:
    out.mkdir(parents=True)
    for path in _files(run):
        if path.name == PREDICTIONS:
            pack(run.answers, out / PACKED)
        else:
            shutil.copyfile(path, out / path.name)
    write_json(out / RECEIPT, without_folders(run.receipt()))
    for path in sorted((run.folder / "samples").glob("*/*")):
        if path.name in SAMPLES:
            write_json(out / path.relative_to(run.folder), without_folders(read_json(path)))


def _record(evidence: Evidence) -> dict[str, Any]:
    """`reference.json`: hardware and date, with every version of code and packages, so that a mixture is seen."""
    return {
        "hardware": evidence.hardware,
        "date": evidence.date,
        "code": _code(evidence),
        "made_by": dict(provenance(run for _, run in evidence.every_run())),
        "studies": [name for name, _ in evidence.page.in_order()],
        "page": without_folders(evidence.page.model_dump(mode="json", exclude={"studies"})),
    }


def _code(evidence: Evidence) -> dict[str, list[str]]:
    """The hashes of the code by task and network: a training's code is its stage and the family of its network."""
    hashes: dict[str, set[str]] = {}
    for _, run in evidence.every_run():
        receipt = run.receipt()
        hashes.setdefault(f"{run.task} {receipt['model']['name']}", set()).add(receipt["code"])
    return {network: sorted(of_network) for network, of_network in sorted(hashes.items())}


def mixture(record: dict[str, Any]) -> str:
    """A sentence when runs of one task and network are of more than one version of the code, else empty."""
    mixed = "; ".join(f"{network} {', '.join(codes)}" for network, codes in record["code"].items() if len(codes) > 1)
    return f"the runs are of several versions of the code ({mixed}); the record names them" if mixed else ""


def _check_size(fresh: Path, out: Path) -> None:
    others = [path for path in out.parent.glob("[!.]*") if path.is_dir() and path.name != out.name]
    n_bytes = sum(path.stat().st_size for folder in (*others, fresh) for path in files_below(folder))
    if n_bytes > LIMIT:
        sizes = f"{n_bytes / 2**20:.1f} MiB, and {LIMIT >> 20} MiB are the most that is committed"
        raise UserError(f"{out}: all references would take {sizes}; remove an older one, or keep fewer studies")


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
