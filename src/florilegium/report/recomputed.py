"""Everything that is committed as a result, recomputed from the references: documents, their tables and plots, README's block."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from florilegium.core.committed import REFERENCE
from florilegium.core.errors import UserError
from florilegium.core.files import replacing, write_text
from florilegium.report.document import document, draw_plots, tables_of
from florilegium.report.evidence import Evidence, kept
from florilegium.report.generated import generated
from florilegium.report.readme import block, read_blocks, replaced
from florilegium.report.study_tables import StudyTables, write_tables

README, DOCUMENTS, ROWS = "README.md", "docs/results", "docs/results/readme.yaml"


@dataclass(frozen=True)
class Recomputed:
    """What the references of a project say.

    Attributes:
        references: each with its tables, by the name of its folder.
        texts: README and documents, by their path below the project.
    """

    references: Mapping[str, tuple[Evidence, Mapping[str, StudyTables]]]
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
    references = {}
    for folder in folders:
        evidence = kept(folder)
        references[folder.name] = evidence, tables_of(evidence)
    texts = {
        f"{DOCUMENTS}/{name}.md": document(evidence, tables, name)
        for name, (evidence, tables) in references.items()
    }
    readme = (project / README).read_text(encoding="utf-8")
    texts[README] = replaced(readme, block(read_blocks(project / ROWS), references))
    return Recomputed(references, texts)


def write(found: Recomputed, project: Path) -> list[str]:
    """Write texts, tables and plots; the paths below the project of texts that were not as they are now."""
    old = {path: _text(project / path) for path in found.texts}
    for path, text in found.texts.items():
        write_text(project / path, text)
    for name, (evidence, tables) in found.references.items():
        with replacing(project / DOCUMENTS / name) as fresh:
            for study, by_file in tables_by_file(evidence, tables).items():
                write_tables(by_file, fresh / study)
            draw_plots(evidence, tables, fresh)
    return [path for path, text in found.texts.items() if text != old[path]]


def tables_by_file(
    evidence: Evidence, tables: Mapping[str, StudyTables]
) -> dict[str, dict[str, pd.DataFrame]]:
    """The tables of each study by the name of their file, as they lie in a live study's folder."""
    found = {name: of_study.by_file() for name, of_study in tables.items()}
    for name, study in evidence.page.in_order():
        if study.makes_images():
            found[name]["generated.csv"] = generated(study, evidence.runs[name])
    return found


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
