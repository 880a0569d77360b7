"""Unpacks an archive within a limit; prints the peak of memory in KiB above what imports take, and the sentence.

Not a test: the tests of hostile archives run it, since a peak is one of a whole process.
"""

import resource
import sys
from pathlib import Path

from florilegium.core.errors import UserError
from florilegium.data.extract import Limits, extract


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(archive: str, target: str, free: str) -> None:
    before = peak()
    try:
        extract(Path(archive), Path(target), Limits(free=int(free), ratio=1))
    except UserError as error:
        print(peak() - before, error)


if __name__ == "__main__":
    main(*sys.argv[1:])
