"""Two rendered sets of flowers, in 17 and in 102 classes, that share kinds and pictures.

They stand in for the Oxford sets, and share their faults. The 17 classes are among the 102, under other names,
and some test and validation pictures of the 17 are in the 102 again, encoded, resized, exposed or mirrored
differently; of others a part is: cut, zoomed, turned, on a page, or written on. A few are twice in the 17 themselves,
across splits. Some pictures are atypical: hybrids that look like another kind, and whose label can only be known from
that very picture. And some are decoys: on the same ground, another flower in the same pose, or another frame of the
same scene. All that is planted is known by construction, so that an audit can be tested against it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from random import Random

import numpy as np

from florilegium.config.datasets import Rendering
from florilegium.core.system import bar
from florilegium.data.png import write_png
from florilegium.rendering.petals import OUTLINES, Kind, Picture, draw, make_kind
from florilegium.rendering.picture import COPIES, CROPS, ORIGINAL, TAKEN, opposite

# Kind k is called after a place (k // 6) and its petals (k % 6).
PLACES = (
    "alder", "bramble", "cliff", "dune", "ember", "fen", "glade", "heather", "island",
    "juniper", "kelp", "larch", "marsh", "north", "orchard", "prairie", "quarry",
)  # fmt: skip
GENERA = ("star", "daisy", "cup", "rose", "bell", "lily")  # in the order of OUTLINES
# The 17 shared kinds, one a place, as the smaller set calls them.
COMMON_NAMES = (
    "amberwort", "brightcap", "candleflower", "dawnbloom", "eveningtip", "foxlight", "goldthread", "hushbell",
    "inkpetal", "jesterwort", "kindlecup", "lanternweed", "moonfleck", "nightlace", "opaldrop", "pilgrimseye",
    "quillwort",
)  # fmt: skip
SHARED = tuple(6 * i + i % 6 for i in range(len(COMMON_NAMES)))
SPLIT_PARTS = {"flowers17": {"train": 1, "val": 1, "test": 4}, "flowers102": {"train": 3, "val": 2, "test": 5}}
SIZES = range(16, 225)  # from the smallest that shows a flower to the largest that the tables of angles hold
SIBLING_PER_CLASS = 60  # of the flowers17 whose pictures a flowers102 of the same seed shows
HYBRIDS = 0.25  # part of the pictures of the 17 that look like another kind
# Of every ten pictures of a split of the 17: how many the 102 show again, and in which splits.
LEAKED = {"val": (5, ("val",)), "test": (8, ("val", "test"))}
WHOLE = 4  # of these, the first so many are whole; of the others a part is shown again, which no hash sees
FRAME, DECOY = 8, 9  # of every ten test pictures, those of which the 102 show another frame, and another flower
DOUBLES_EVERY = 3  # every third class of the 17 has a test picture among its training pictures, too


@dataclass(frozen=True)
class Shot:
    """One file: the picture in it, and the way in which it was taken."""

    image: str  # path inside the data set
    picture: Picture
    taken: str = ORIGINAL  # a key of TAKEN


def render(rendering: Rendering, folder: Path) -> list[str]:
    """Draw every image of `rendering` below `folder`; returns their paths inside it, sorted."""
    planned = shots(rendering)
    for shot in bar(planned, "drawing", "image"):
        write_png(folder / shot.image, take(shot, rendering.size))
    return [shot.image for shot in planned]


def take(shot: Shot, side: int) -> np.ndarray:
    """The pixels of one file, uint8 (S, S, 3), where S is `side` unless it was resized or cropped."""
    return TAKEN[shot.taken](draw(shot.picture, side), shot.image)


def shots(rendering: Rendering) -> tuple[Shot, ...]:
    """All files of `rendering`, sorted by path."""
    planned = _shots17(rendering) if rendering.scene == "flowers17" else _shots102(rendering)
    return tuple(sorted(planned, key=lambda shot: shot.image))


def planted(
    a: Sequence[Shot], b: Sequence[Shot] | None = None, *, crops: bool | None = None, decoys: bool = False
) -> set[tuple[str, str]]:
    """Pairs of paths that show the same picture, from `a` to `b` or inside `a` (each pair once, sorted).

    With `crops`, only those of which one shows a part of it, or, where it is False, none. With `decoys`, the pairs
    that show another flower in the same pose, or another frame of the same scene, instead.
    """
    posed = defaultdict(list)
    for shot in a if b is None else b:
        posed[shot.picture.seed].append(shot)
    return {
        (one.image, other.image)
        for one in a
        for other in posed[one.picture.seed]
        if (b is not None or one.image < other.image) and (one.picture != other.picture) == decoys
        if crops is None or (one.taken in CROPS or other.taken in CROPS) == crops
    }


def class_names(rendering: Rendering) -> tuple[str, ...]:
    """Names of the classes, in the order of their kinds."""
    if rendering.scene == "flowers17":
        return COMMON_NAMES
    return tuple(f"{PLACES[k // 6]}_{GENERA[k % 6]}" for k in range(6 * len(PLACES)))


@lru_cache(maxsize=4)
def kinds(seed: int) -> tuple[Kind, ...]:
    """The 102 kinds of a world."""
    outlines = list(OUTLINES)
    return tuple(make_kind(outlines[k % 6], Random(f"{seed}/kind/{k}")) for k in range(6 * len(PLACES)))


def _shots17(rendering: Rendering) -> list[Shot]:
    planned = []
    for number, name in enumerate(COMMON_NAMES):
        for split, count in _counts(rendering).items():
            planned += [Shot(_path(split, name, i), _picture17(rendering.seed, number, split, i)) for i in range(count)]
        if number % DOUBLES_EVERY == 0:
            again = _picture17(rendering.seed, number, "test", 0)
            planned.append(Shot(_path("train", name, _counts(rendering)["train"]), again, _copy(number)))
    return planned


def _shots102(rendering: Rendering) -> list[Shot]:
    seed, flora, names = rendering.seed, kinds(rendering.seed), class_names(rendering)
    contents = {  # pictures by split and class; of shared kinds, next to copies, few of their own
        (split, k): [(_picture(flora[k], f"{seed}/flowers102/{split}/{k}/{i}"), ORIGINAL) for i in range(count)]
        for split, count in _counts(rendering).items()
        for k in range(len(flora))
        if split == "train" or k not in SHARED
    } | {(split, k): [] for split in ("val", "test") for k in SHARED}
    sibling = rendering.model_copy(update={"scene": "flowers17", "per_class": SIBLING_PER_CLASS})
    for number, k in enumerate(SHARED):
        for split, (leaked, places) in LEAKED.items():
            for i in range(_counts(sibling)[split]):
                picture = _picture17(seed, number, split, i)
                if i % 10 < leaked:
                    ways = tuple(COPIES if i % 10 < WHOLE else CROPS)
                    for place, into in enumerate(places):
                        contents[into, k].append((picture, ways[(number + i + 2 * place) % len(ways)]))
                elif split == "test" and i % 10 == DECOY:
                    other = opposite(picture.variety)
                    contents["test", k].append((replace(picture, variety=other, aside=0), ORIGINAL))
                elif split == "test" and i % 10 == FRAME:
                    contents["test", k].append((replace(picture, aside=64), ORIGINAL))
    return [
        Shot(_path(split, names[k], i), picture, taken)
        for (split, k), seen in contents.items()
        for i, (picture, taken) in enumerate(seen)
    ]


def _picture(kind: Kind, seed: str) -> Picture:
    return Picture(kind, seed, Random(f"{seed}/kind").choice(kind.varieties))


def _picture17(seed: int, number: int, split: str, i: int) -> Picture:
    """Picture `i` of a class of the 17: of its own kind, or of another that it looks like."""
    own = f"{seed}/flowers17/{split}/{number}/{i}"
    rng = Random(f"{own}/kind")
    seen = number
    if split != "train" and rng.random() < HYBRIDS:
        seen = (number + rng.randrange(1, len(SHARED))) % len(SHARED)
    kind = kinds(seed)[SHARED[seen]]
    return Picture(kind, own, rng.choice(kind.varieties))


def _counts(rendering: Rendering) -> dict[str, int]:
    """The number of pictures of a class in each split; a remainder goes to the later splits."""
    parts = SPLIT_PARTS[rendering.scene]
    ends = [rendering.per_class * part // sum(parts.values()) for part in accumulate(parts.values())]
    return {split: end - start for split, start, end in zip(parts, [0, *ends], ends, strict=False)}


def _copy(number: int) -> str:
    return tuple(COPIES)[number % len(COPIES)]


def _path(split: str, name: str, number: int) -> str:
    return f"{split}/{name}/{number:04d}.png"
