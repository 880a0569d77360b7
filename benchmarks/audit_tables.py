"""The tables of audit_recall.py and audit_apart.py for people, in docs/audit.md.

python benchmarks/audit_tables.py
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audit import CROPS, HASH, WAYS, WHOLE

from florilegium.core.files import read_json, write_text
from florilegium.report.tables import markdown_table

Row = dict[str, Any]
FOLDER = Path(__file__).parent / "results"
DOCUMENT = Path(__file__).parents[1] / "docs" / "audit.md"
RECALL, APART = (FOLDER / f"audit_{name}-epyc-2-cores.json" for name in ("recall", "apart"))
OPENING = "<!-- how much is found: `python benchmarks/audit_tables.py` writes what follows -->"
CLOSING = "<!-- end of how much is found -->"
NAMES = {HASH: "pHash alone", WHOLE: "without crops", CROPS: "found"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DOCUMENT, help="the document with these tables anew")
    out = parser.parse_args().out
    text = DOCUMENT.read_text(encoding="utf-8")
    write_text(out, replaced(text, "\n\n".join(tables(read_json(RECALL), read_json(APART)))))


def replaced(document: str, text: str) -> str:
    """The document with `text` between its two comments."""
    before, rest = document.split(OPENING)
    _, after = rest.split(CLOSING)
    return f"{before}{OPENING}\n\n{text}\n\n{CLOSING}{after}"


def tables(recall: Row, apart: Row) -> Iterator[str]:
    """Markdown: what they are of, recall by change, and false pairs by set."""
    wrong = {name: sum(row[name]["wrong"] for row in recall["changes"]) for name in WAYS}
    comparisons = recall["n_a"] * recall["n_b"]
    yield (
        f"{recall['n']:,} photographs, each changed in {len(recall['changes'])} ways and sought among "
        f"{recall['n_a']:,}; percent found. *pHash alone*: a distance of at most 10 bits, upright. *Without crops*: in "
        f"eight orientations, confirmed on thumbnails (`audit.crops: false`). {recall['hardware']}."
    )
    yield markdown_table(
        ["Change", "Strength", *(NAMES[name] for name in reversed(WAYS))],
        [
            [row["kind"], row["strength"], *(percent(row[name]["found"], recall["n"]) for name in reversed(WAYS))]
            for row in recall["changes"]
        ],
    )
    yield (
        "False pairs: called a copy, but not of one photograph, as seen by eye. The changed pictures among all others, "
        "and sets that are not changed:"
    )
    header = ["Pictures", "Comparisons", "Of one photograph"]
    header += [f"{NAMES[name] if name != CROPS else 'audit'}: false" for name in reversed(WAYS)]
    header += ["audit: a million"]
    rows = [["the changed ones above", f"{comparisons:,}", "–", *false(wrong, comparisons)]]
    for name, found in apart["sets"].items():
        called = {way: max(0, found["called"][way] - found["true"][way]) for way in WAYS}
        cells = false(called, found["comparisons"])
        rows.append([name, f"{found['comparisons']:,}", f"{found['true'][CROPS]:,}", *cells])
    yield markdown_table(header, rows)


def false(pairs: dict[str, int], comparisons: int) -> list[str]:
    """The false pairs of each way, and those of the audit a million comparisons."""
    return [*(f"{pairs[name]:,}" for name in reversed(WAYS)), f"{pairs[CROPS] / comparisons * 1e6:.2g}"]


def percent(found: int, n: int) -> str:
    return f"{100 * found / n:.0f}"


if __name__ == "__main__":
    main()
