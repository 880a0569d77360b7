"""The frame of every stage: the arguments that all take, the clock, and the receipt. Nothing here needs torch.

A stage is a module with a `main` that parses its command line, opens `stage(...)` and does its work inside:

    with stage("pack", arguments, inputs=[arguments.files]) as receipt:
        packed = pack(...)
        receipt.outputs += [arguments.out]
        receipt.facts |= {"n_packed": len(packed.images)}
"""

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from florilegium.core.files import read_json
from florilegium.core.receipts import write_receipt

# Arguments

FILES = "files.json of the data set"


def stage_parser(
    description: str | None, *, out: str, spec: str, spec_is_file: bool = False, **files: str
) -> argparse.ArgumentParser:
    """A parser with `--spec`, `--code` and `--out`, to which a stage adds arguments of its own.

    Args:
        description: the docstring of the stage's module.
        out: help text.
        spec: the keys of the JSON, for the help text.
        spec_is_file: `--spec` names a JSON file. Either way `arguments.spec` holds the JSON text.
        files: help texts of further paths that must be given, by the names of their options.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    kind, text = ("JSON file", _text_of_file) if spec_is_file else ("JSON", str)
    parser.add_argument("--spec", required=True, type=text, help=f"{kind}: {spec}")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    for name, help_text in {"out": out, **files}.items():
        parser.add_argument(f"--{name}", required=True, type=Path, help=help_text)
    return parser


def _text_of_file(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def study_parser(description: str | None, *, out: str, **files: str) -> argparse.ArgumentParser:
    """`stage_parser` for a stage that reads the runs of a study and the study's description."""
    files = {"runs": "results/<preset>/<study>", **files}
    return stage_parser(description, out=out, spec="the study's description", spec_is_file=True, **files)


def add_tables(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=Path, nargs="*", default=[], help="resources/<dataset>/images.json ...")


def add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=1, help="processes that decode (%(default)s)")


def add_local_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--local-files", default="", help="mark of the files of one's own, from core.local_files")


def listed_files(listing: Path) -> tuple[Path, list[str]]:
    """The folder of a data set and the paths of its files in that folder, from its `files.json`."""
    content = read_json(listing)
    return Path(content["root"]), [file["path"] for file in content["files"]]


# The receipt


@dataclass
class Receipt:
    """The part of a receipt that only the stage knows; it fills this in while it works."""

    spec: Any
    """JSON; the value of `--spec`, unless the stage replaces it by the values that it parsed."""
    inputs: list[Path]
    outputs: list[Path] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """Further JSON values by name, such as counts."""


@contextmanager
def stage(
    name: str, arguments: argparse.Namespace, inputs: Iterable[Path] = (), *, path: Path | None = None
) -> Iterator[Receipt]:
    """Time the body and write its receipt; a body that raises leaves none.

    Args:
        name: the stage, as receipts call it.
        arguments: those of `stage_parser`.
        inputs: files that are read; the body may add some to the receipt.
        path: of the receipt; beside the file that `--out` names unless given.
    """
    started = time.time()
    receipt = Receipt(json.loads(arguments.spec), list(inputs))
    yield receipt
    write_receipt(
        path or arguments.out.with_suffix(".receipt.json"),
        stage=name,
        spec=receipt.spec,
        code=arguments.code,
        inputs=receipt.inputs,
        outputs=receipt.outputs,
        started=started,
        **receipt.facts,
    )
