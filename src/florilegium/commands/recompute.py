"""Write documents, their tables and plots, and the README's results from the committed references.

The claims that references are held against are those of today's study files: evidence is measured once, and a claim
may be put better later.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from florilegium.config.base import Name, Strict, parse, read_yaml
from florilegium.config.study import StudyFile
from florilegium.core.errors import UserError, unknown
from florilegium.core.files import replacing, write_text
from florilegium.core.receipts import REFERENCE
from florilegium.figures.draw import draw
from florilegium.figures.material import Material
from florilegium.figures.registry import left_out, plots_of
from florilegium.plan.claims import choose_claims
from florilegium.plan.entries import LoadedStudy
from florilegium.plan.project_files import built_in_studies
from florilegium.report.claim_texts import is_decided, readable, said, write_claims
from florilegium.report.evidence import Evidence, provenance, read_reference
from florilegium.report.page import document
from florilegium.report.tables import markdown_table

README, DOCUMENTS, ROWS = "README.md", "docs/results", "docs/results/readme.yaml"
OPENING = "<!-- results: `python -m florilegium recompute` writes what follows -->"
CLOSING = "<!-- end of results -->"
VERSIONS = ("commit", "python", "torch")  # of all that a reference's document lists
DESCRIPTION = """\
Read every reference below results/reference, check it against its receipt, and write from it the document
docs/results/<reference>.md with its tables and plots, and the README's block of results: the studies' claims, by the
references that docs/results/readme.yaml names. Run it in the project's folder."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("recompute", help=__doc__, description=DESCRIPTION)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the texts, tables and plots; prints the names of the texts that changed."""
    recomputed = recompute(Path())
    for path in write(recomputed, Path()):
        print(f"{path}: changed")
    print(f"recomputed from {', '.join(recomputed.references)}")
    return 0


class Recomputed(NamedTuple):
    """The references of a project, by the name of their folder, and the texts made from them, by their path in it."""

    references: Mapping[str, Evidence]
    texts: Mapping[str, str]


def recompute(project: Path) -> Recomputed:
    """Read each reference below `project`, compute its tables, and write its texts into memory.

    Raises:
        UserError: there is no reference, one does not fit its receipt, or the README's block names another.
    """
    folders = sorted(path for path in (project / "results" / REFERENCE).glob("[!.]*") if path.is_dir())
    if not folders:
        raise UserError(
            f"results/{REFERENCE}: there is no reference; `python -m florilegium reference results/demo` writes one"
        )
    references = {folder.name: _with_claims(read_reference(folder), project) for folder in folders}
    texts = {}
    for name, evidence in references.items():
        plots = {key: [*plots_of(study), *left_out(study)] for key, study in evidence.page.studies.items()}
        texts[f"{DOCUMENTS}/{name}.md"] = document(evidence, plots, name)
    blocks = parse(Blocks, read_yaml(project / ROWS), str(project / ROWS)).blocks
    parts = [part for block in blocks for part in _block(block, references)]
    texts[README] = _replaced((project / README).read_text(encoding="utf-8"), "\n\n".join(parts))
    return Recomputed(references, texts)


def write(recomputed: Recomputed, project: Path) -> list[str]:
    """Write texts, tables and plots; returns the paths below the project of the texts that changed."""
    changed = []
    for path, text in recomputed.texts.items():
        file = project / path
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            changed.append(path)
        write_text(file, text)
    for name, evidence in recomputed.references.items():
        with replacing(project / DOCUMENTS / name) as fresh:
            write_claims([(evidence.page.studies[study], t.claims) for study, t in evidence.tables.items()], fresh)
            for study, tables in evidence.tables.items():
                tables.write(fresh / study)
                _draw_plots(evidence, study, fresh / study / "figures")
    return changed


def _with_claims(evidence: Evidence, project: Path) -> Evidence:
    """The evidence with the claims of the project's study files; those of a study without a file stay as they are."""
    files = built_in_studies(project)
    studies = {}
    for name, study in evidence.page.studies.items():
        path = next((path for path in files if path.stem == name), None)
        if path is not None:
            where = path.relative_to(project).as_posix()
            loaded = LoadedStudy(name, where, parse(StudyFile, read_yaml(path, where), where))
            claims = tuple(choose_claims(loaded.file.claims, study.entries, loaded.arms(), where))
            study = study.model_copy(update={"claims": claims})
        studies[name] = study
    return replace(evidence, page=evidence.page.model_copy(update={"studies": studies}))


def _draw_plots(evidence: Evidence, name: str, out: Path) -> None:
    study, tables = evidence.page.studies[name], evidence.tables[name]
    material = Material(
        study=study,
        runs=evidence.runs[name],
        comparison=tables.comparison,
        differences=tables.differences,
        scores=tables.scores,
        classes={dataset: of["classes"] for dataset, of in evidence.summaries.items()},
        words={dataset: of.get("words") or {} for dataset, of in evidence.summaries.items()},
        pixels={},
    )
    for plot in plots_of(study):
        draw(material, plot, out)


# The README's block of results


class Block(Strict):
    """The claims that one reference decides."""

    reference: Name
    heading: str


class Blocks(Strict):
    blocks: list[Block]


def _replaced(readme: str, text: str) -> str:
    """The README with `text` between its two comments; raises `UserError` unless it has each of them once."""
    before, opening, rest = readme.partition(OPENING)
    _, closing, after = rest.partition(CLOSING)
    if not (opening and closing) or OPENING in rest or CLOSING in after:
        raise UserError(f"README.md: must hold one line '{OPENING}' and after it one '{CLOSING}'")
    return f"{before}{OPENING}\n\n{text}\n\n{CLOSING}{after}"


def _block(block: Block, references: Mapping[str, Evidence]) -> Iterator[str]:
    """A heading with its source, the table of the claims that are decided, and the number of the others."""
    if block.reference not in references:
        raise unknown("reference", block.reference, references, ROWS)
    evidence = references[block.reference]
    facts = dict(provenance(run for _, run in evidence.every_run()))
    versions = ", ".join(f"{name} {facts[name]}" for name in VERSIONS if name in facts)
    yield (
        f"**{block.heading}** Measured on {evidence.date} on {evidence.hardware}, {versions}; from "
        f"[results/reference/{block.reference}](results/reference/{block.reference})."
    )
    claims = pd.concat([tables.claims for tables in evidence.tables.values()])
    header, rows = readable(claims[is_decided(claims)])
    if rows:
        yield markdown_table(header, rows)
    yield (
        f"Of {len(claims)} claims: {said(claims)} All of them, with intervals and reasons: "
        f"[{DOCUMENTS}/{block.reference}.md]({DOCUMENTS}/{block.reference}.md)."
    )
