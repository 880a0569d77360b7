"""Write documents, their tables and plots, and the README's results from the committed references."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from florilegium.config.base import Name, Strict, parse, read_yaml
from florilegium.config.metrics import WORDS
from florilegium.core.errors import UserError, unknown
from florilegium.core.files import replacing, write_text
from florilegium.core.receipts import REFERENCE
from florilegium.figures.draw import draw
from florilegium.figures.material import Material
from florilegium.figures.registry import left_out, plots_of
from florilegium.report.comparison import difference_row
from florilegium.report.evidence import Evidence, provenance, read_reference
from florilegium.report.page import document
from florilegium.report.tables import Table, markdown_table, number, readable_differences

README, DOCUMENTS, ROWS = "README.md", "docs/results", "docs/results/readme.yaml"
OPENING = "<!-- results: `python -m florilegium recompute` writes what follows -->"
CLOSING = "<!-- end of results -->"
VERSIONS = ("commit", "python", "torch")  # of all that a reference's document lists
IN_README = "the README's rows"
DESCRIPTION = """\
Read every reference below results/reference, check it against its receipt, and write from it the document
docs/results/<reference>.md with its tables and plots, and the README's block of results, whose rows
docs/results/readme.yaml names. Run it in the project's folder."""


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
        UserError: there is no reference, one does not fit its receipt, or a row of the README names none of its arms.
    """
    folders = sorted(path for path in (project / "results" / REFERENCE).glob("[!.]*") if path.is_dir())
    if not folders:
        raise UserError(
            f"results/{REFERENCE}: there is no reference; `python -m florilegium reference results/demo` writes one"
        )
    references = {folder.name: read_reference(folder) for folder in folders}
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
            for study, tables in evidence.tables.items():
                tables.write(fresh / study)
                _draw_plots(evidence, study, fresh / study / "figures")
    return changed


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
    rows: list[Row] = Field(min_length=1)


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
    tables = [_table(row, evidence) for row in block.rows]
    yield markdown_table(tables[-1][0], [cells for _, rows in tables for cells in rows])


def _table(row: Row, evidence: Evidence) -> Table:
    """The header and the one row of a comparison, from its line in the table of differences."""
    if row.study not in evidence.tables:
        raise unknown("study", row.study, evidence.tables, IN_README)
    entries = {"/".join(entry.key): entry for entry in evidence.page.studies[row.study].entries}
    for name in (row.arm, row.baseline):
        if name not in entries:
            raise unknown("arm", name, entries, IN_README)
    arm, differences = entries[row.arm], evidence.tables[row.study].differences
    difference = difference_row(differences, arm, entries[row.baseline].key)
    if difference is None:
        raise UserError(
            f"{IN_README}: {row.study}/{row.arm} has no paired test against {row.baseline}; name its own baseline"
        )
    heads, ((_, _, *cells),) = readable_differences(differences.loc[[difference.Index]])
    with_, without = (number(arm.scoring.main, mean) for mean in (difference.mean, difference.baseline_mean))
    header = ("Compared", "Metric (%)", "With", "Without", *heads[2:])
    return header, [(row.words, WORDS[arm.scoring.main], with_, without, *cells)]
