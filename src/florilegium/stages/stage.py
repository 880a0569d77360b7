"""The frame of every stage: the arguments that all take, the clock, and the receipt.

A stage is a module with a `main` that parses its command line, opens `stage(...)` and does its work inside:

    with stage("pack", arguments, inputs=[arguments.files]) as receipt:
        packed = pack(...)
        receipt.outputs += [arguments.out]
        receipt.facts |= {"n_packed": len(packed.images)}

Nothing here needs torch. Stages that compute on a device lease it by `stages.arguments.leased_device`.
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


@dataclass
class Receipt:
    """The part of a receipt that only the stage knows; it fills this in while it works."""

    spec: Any
    """JSON; the value of `--spec`, unless the stage puts in place how it understood it."""
    inputs: list[Path]
    outputs: list[Path] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """Further JSON values by name, such as counts."""


def stage_parser(
    description: str | None, *, out: str, spec: str, spec_is_file: bool = False
) -> argparse.ArgumentParser:
    """A parser with `--spec`, `--code` and `--out`, to which a stage adds arguments of its own.

    Args:
        description: the docstring of the stage's module.
        out, spec: help texts.
        spec_is_file: `--spec` names a JSON file. Either way `arguments.spec` holds the JSON text.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    read = _text_of_file if spec_is_file else str
    parser.add_argument("--spec", required=True, type=read, help=spec)
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--out", required=True, type=Path, help=out)
    return parser


def _text_of_file(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


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


def listed_files(listing: Path) -> tuple[Path, list[str]]:
    """The folder of a data set and the paths in it of its files, from its `files.json`."""
    content = read_json(listing)
    return Path(content["root"]), [file["path"] for file in content["files"]]
