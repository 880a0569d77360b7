"""Recompute."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from florilegium.config.base import Name, Strict, parse, read_yaml
from florilegium.config.metrics import WORDS
from florilegium.core.errors import UserError, unknown
from florilegium.core.files import replacing, write_text
from florilegium.core.receipts import REFERENCE
from florilegium.figures.draw import draw
from florilegium.figures.material import Material
from florilegium.report.comparison import differences_of, write_tables
from florilegium.report.evidence import Evidence, provenance, read_reference
from florilegium.report.page import document, plots_of
from florilegium.report.study import Entry
from florilegium.report.tables import markdown_table, number, readable_differences

README, DOCUMENTS, ROWS = "README.md", "docs/results", "docs/results/readme.yaml"
OPENING = "<!-- results: `python -m florilegium recompute` writes what follows -->"
CLOSING = "<!-- end of results -->"
VERSIONS = ("commit", "python", "torch")  # of all that a reference's document lists
IN_README = "the README's rows"


class Row(Strict):
    """One comparison: an arm and the baseline that its study tests it against, each `experiment/arm`."""

    study: Name
    arm: str
    baseline: str
    words: str


class Block(Strict):
    """A table of comparisons from one reference."""

    reference: Name
    heading: str
    rows: list[Row]


class Blocks(Strict):
    blocks: list[Block]


@dataclass(frozen=True)
class Recomputed:
    """The references of a project and the texts made from them.

    Attributes:
        references: by the name of their folder.
        texts: README and documents, by their path below the project.
    """

    references: Mapping[str, Evidence]
    texts: Mapping[str, str]


def recompute(project: Path) -> Recomputed:
    """Read each reference below `project`, compute its tables, and write its texts into memory.

    Raises:
        UserError: there is no reference, one does not fit its receipt, or the README's rows name what there is not.
    """
    folders = sorted(path for path in (project / "results" / REFERENCE).glob("[!.]*") if path.is_dir())
    if not folders:
        raise UserError(
            f"results/{REFERENCE}: there is no reference; `python -m florilegium reference results/demo` writes one"
        )
    references = {folder.name: read_reference(folder) for folder in folders}
    texts = {f"{DOCUMENTS}/{name}.md": document(evidence, name) for name, evidence in references.items()}
    blocks = parse(Blocks, read_yaml(project / ROWS), str(project / ROWS)).blocks
    parts = [part for block in blocks for part in _block(block, references)]
    texts[README] = _replaced((project / README).read_text(encoding="utf-8"), "\n\n".join(parts))
    return Recomputed(references, texts)


def write(recomputed: Recomputed, project: Path) -> list[str]:
    """Write texts, tables and plots; returns the paths below the project of the texts that changed."""
    old = {path: _text(project / path) for path in recomputed.texts}
    for path, text in recomputed.texts.items():
        write_text(project / path, text)
    for name, evidence in recomputed.references.items():
        with replacing(project / DOCUMENTS / name) as fresh:
            for study, tables in evidence.tables.items():
                write_tables(tables.by_file(), fresh / study)
                _draw_plots(evidence, study, fresh / study / "figures")
    return [path for path, text in recomputed.texts.items() if text != old[path]]


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
    for figure in plots_of(study):
        draw(material, figure, out)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _replaced(readme: str, text: str) -> str:
    """The README with `text` between its two comments; raises `UserError` when it has not both, once each."""
    before, opening, rest = readme.partition(OPENING)
    _, closing, after = rest.partition(CLOSING)
    if not (opening and closing) or OPENING in rest or CLOSING in after:
        raise UserError(f"README.md: must hold one line '{OPENING}' and after it one '{CLOSING}'")
    return f"{before}{OPENING}\n\n{text}\n\n{CLOSING}{after}"


def _block(block: Block, references: Mapping[str, Evidence]) -> Iterator[str]:
    """A heading with its source, and the table of the block's rows."""
    if block.reference not in references:
        raise unknown("reference", block.reference, references, IN_README)
    evidence = references[block.reference]
    facts = dict(provenance(run for _, run in evidence.every_run()))
    versions = ", ".join(f"{name} {facts[name]}" for name in VERSIONS if name in facts)
    yield (
        f"**{block.heading}** Measured on {evidence.date} on {evidence.hardware}, {versions}; from "
        f"[results/reference/{block.reference}](results/reference/{block.reference})."
    )
    header: Sequence[str] = ()
    rows = []
    for row in block.rows:
        header, cells = _row(row, evidence)
        rows.append(cells)
    yield markdown_table(header, rows)


def _row(row: Row, evidence: Evidence) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Header and cells, from the row's line in the table of differences."""
    if row.study not in evidence.tables:
        raise unknown("study", row.study, evidence.tables, IN_README)
    entries = {"/".join(entry.key): entry for entry in evidence.page.studies[row.study].entries}
    arm, baseline = (_entry(name, entries) for name in (row.arm, row.baseline))
    differences = evidence.tables[row.study].differences
    difference = differences_of(differences, arm, baseline.key)
    if difference is None:
        raise UserError(
            f"{IN_README}: {row.study}/{row.arm} has no paired test against {row.baseline}; name its own baseline"
        )
    heads, cells = readable_differences(differences.loc[[difference.Index]])
    with_, without = (number(arm.scoring.main, m) for m in (difference.mean, difference.baseline_mean))
    header = ("Compared", "Metric (%)", "With", "Without", *heads[2:])
    return header, (row.words, WORDS[arm.scoring.main], with_, without, *cells[0][2:])


def _entry(name: str, entries: Mapping[str, Entry]) -> Entry:
    if name not in entries:
        raise unknown("arm", name, entries, IN_README)
    return entries[name]


DESCRIPTION = """\
Read every reference below results/reference, hold it against its receipt, and write from it docs/results/<reference>.md with its
tables and plots, and the README's block of results, whose rows docs/results/readme.yaml names. Run it in the project's folder."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("recompute", help=__doc__, description=DESCRIPTION)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write them; prints what has changed."""

    documents = recompute(Path())
    for path in write(documents, Path()):
        print(f"{path}: changed")
    print(f"recomputed from {', '.join(documents.references)}")
    return 0
