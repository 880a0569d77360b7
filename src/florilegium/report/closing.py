"""The last lines of a run: where to look, and the most important findings."""

from collections.abc import Mapping
from pathlib import Path

from florilegium.core.errors import counted
from florilegium.report.claim_texts import said
from florilegium.report.findings import most_important
from florilegium.report.tables import read_csv


def closing(results: Path, titles: Mapping[str, str]) -> list[str]:
    """At most nine lines, from the claims below `results`, a folder of a preset; `titles` are those of its studies."""
    table = read_csv(results / "claims.csv")
    claims = {name: table[table["study"] == name] for name in titles if len(table)}
    where = {
        "report.html": "everything on one page",
        "claims.md": f"{counted(len(table), 'claim')}: {said(table)}" if len(table) else "no claims of these studies",
        "<study>": f"tables and figures of {', '.join(titles)}",
        "audit": "pictures that data sets share",
    }
    lines = ["Where to look:", *(f"  {(results / name).as_posix()}: {of.rstrip('.')}" for name, of in where.items())]
    found = most_important(claims, titles)
    if found:
        lines.append("What was found, the surest first:")
        lines += [f"  {n}. {of.headline}: {of.subject.rstrip('.')}. {of.sentence}" for n, of in enumerate(found, 1)]
    return lines
