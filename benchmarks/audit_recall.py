"""How many changed copies the audit finds, by kind and strength of the change, beside a pHash alone.

    python benchmarks/audit_recall.py photographs/ --out recall.json

Some photographs of a folder are changed in each way that audit_changes.py lists, and the folder is audited against
them, three times: as a person calls it, without crops, and by pHash alone (upright, what most tools do). A pair of a
photograph and a changed one of another is wrong, unless the first change, which changes nothing, pairs them, too, or
the photograph is paired with the ground of the other's collage. Any folder will do whose pictures are some hundred
pixels wide; `--work` keeps the changed ones and the tables of the audits, to look at.
"""

import argparse
import shutil
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from audit import WAYS, options, run_audit
from audit_changes import CHANGES, Draw
from machine import machine
from PIL import Image

from florilegium.commands.audit import list_images
from florilegium.core.files import write_json

OTHERS = 20  # photographs that are kept out of the folder, as the ground of collages
QUALITY = 90  # of a changed picture's file
DETAILS = ("points", "agreement", "overlap")  # of pairs, where the audit says them
SHARES = (0, 0.05, 0.5, 0.95, 1)


class Way(NamedTuple):
    """One change of the table."""

    kind: str
    strength: str

    def image(self, path: Path, other: Path) -> Image.Image:
        """The changed photograph of `path`, the same whenever it is made."""
        random = np.random.default_rng(zlib.crc32("/".join((*self, path.name)).encode()))
        with Image.open(path) as image, Image.open(other) as another:
            return CHANGES[self.kind][self.strength](image.convert("RGB"), Draw(random, another.convert("RGB")))


ALL = [Way(kind, strength) for kind, strengths in CHANGES.items() for strength in strengths]
GROUNDS = len(ALL)  # the folder of the grounds of collages, which are audited, too


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=100, help="photographs that are changed (default %(default)s)")
    parser.add_argument("--among", type=int, default=1000, help="photographs in all, at most (default %(default)s)")
    with options(parser) as (arguments, work):
        result = measure(arguments, work)
    write_json(arguments.out, result)
    for row in result["changes"]:
        found = ", ".join(f"{name} {row[name]['found']}" for name in WAYS)
        print(f"{row['kind']}, {row['strength']}: {found} of {result['n']}")


def measure(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Write the folders, audit them in every way, and count."""
    here = machine()
    n, n_a = write_folders(arguments, work)
    n_b = sum(1 for _ in (work / "b").glob("*/*")) - OTHERS
    audits = [run_audit([work / "a", work / "b"], arguments.workers, name, work / name) for name in WAYS]
    pairs = {audit.name: judged(audit.called) for audit in audits}
    shown = pd.concat(pairs.values())
    known = same(shown.query("way == 0 and image_a != source"))
    grounds = same(shown.query("way == @GROUNDS"))
    for name, of in pairs.items():
        on_ground = same(of.assign(source=of["source"] % OTHERS)).isin(grounds) & (of["image_a"] != of["source"])
        pairs[name] = of[~same(of).isin(known) & ~on_ground & (of["way"] != GROUNDS)]
    return {
        **here,
        "n": n,
        "n_a": n_a,
        "n_b": n_b,
        "seconds": {audit.name: audit.seconds for audit in audits},
        "changes": [
            {**way._asdict(), **{name: counts(of[of["way"] == k]) for name, of in pairs.items()}}
            for k, way in enumerate(ALL)
        ],
    }


def same(pairs: pd.DataFrame) -> pd.MultiIndex:
    """Which photograph was paired with which other's change."""
    return pd.MultiIndex.from_frame(pairs[["image_a", "source"]])


def write_folders(arguments: argparse.Namespace, work: Path) -> tuple[int, int]:
    """Folder a with photographs and b with a folder for each change; returns how many are changed, and lie in a."""
    images = [arguments.folder / image for image in list_images(arguments.folder)]
    order = np.random.default_rng(0).permutation(len(images))[: OTHERS + arguments.among]
    others, kept = ([images[k] for k in part] for part in (order[:OTHERS], order[OTHERS:]))
    if len(kept) < arguments.n:
        sys.exit(f"{arguments.folder}: holds {len(images)} pictures, but {arguments.n + OTHERS} are asked for; see --n")
    (work / "a").mkdir(parents=True)
    for k, path in enumerate(kept):
        shutil.copy(path, work / "a" / f"{k:05d}{path.suffix}")
    with ProcessPoolExecutor(arguments.workers) as pool:
        changed = [(work, k, path, others[k % OTHERS]) for k, path in enumerate(kept[: arguments.n])]
        list(pool.map(write_changed, changed))
    (work / "b" / str(GROUNDS)).mkdir()
    for k, path in enumerate(others):
        shutil.copy(path, work / "b" / str(GROUNDS) / f"{k:05d}{path.suffix}")
    return arguments.n, len(kept)


def write_changed(task: tuple[Path, int, Path, Path]) -> None:
    """Every change of one photograph."""
    work, number, path, other = task
    for k, way in enumerate(ALL):
        (work / "b" / str(k)).mkdir(parents=True, exist_ok=True)
        way.image(path, other).save(work / "b" / str(k) / f"{number:05d}.jpg", quality=QUALITY)


def judged(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs as (image_a, source, way, ...) by number: right where the first two are one."""
    of_b = pairs["image_b"].str.extract(r"^(?P<way>\d+)/(?P<source>\d+)\.").astype(int)
    return pairs.assign(image_a=pairs["image_a"].str.extract(r"^(\d+)\.", expand=False).astype(int), **of_b)


def counts(pairs: pd.DataFrame) -> dict[str, Any]:
    """How many changed photographs were found, and the wrong pairs; of both what the audit measured of them."""
    right = pairs["image_a"] == pairs["source"]
    result = {"found": int(pairs["source"][right].nunique()), "wrong": int((~right).sum())}
    for part, of in (("found", pairs[right]), ("wrong", pairs[~right])):
        for key in DETAILS:
            values = of[key].dropna() if key in of else []
            if len(values):
                result[f"{key}_{part}"] = np.quantile(values, SHARES).round(3).tolist()
    return result


if __name__ == "__main__":
    main()
