"""What a network's size is by the conventions of others: so that the identical network is not called another.

Each allowance is in words, which stand beside the row that it was made for.
"""

from collections.abc import Mapping
from typing import Any

from florilegium.core.published import Published

BYTES = 4  # of a weight, in fp32
MOMENTS = 2  # numbers that Adam and AdamW keep of each trained weight
COUNTERS = 0.005
"""By how much counters of multiply-accumulates are let differ. All count products; some leave out the tokens beside an
image's patches (of 577 tokens at 384 pixels one, 0.2 %), some count normalisation as well (0.2 % of CaiT-S36)."""


def allowed(
    published: Published, metrics: Mapping[str, Any], n_classes: int | None
) -> tuple[float, float, list[str]]:
    """The range that our size may have in the study's counting, with what was allowed for.

    Args:
        published: the study's figure, of a metric in `core.metrics.SIZES`.
        metrics: of one of our runs: the metric itself, and `params_per_class` and `buffer_bytes`, where they are known.
        n_classes: of our data set, where that is known.
    """
    ours = float(metrics[published.metric])
    notes = [f"printed as {published.printed}, rounded or cut"] if published.printed else []
    more, said = _head(published, metrics, n_classes)
    low = high = ours + more
    notes += said
    if published.metric == "macs":
        low, high = (1 - COUNTERS) * low, (1 + COUNTERS) * high
        notes.append(f"counters of operations differ; {100 * COUNTERS:g} % is allowed")
    if published.metric == "checkpoint_bytes":
        kept, said = _kept(metrics)
        high += kept
        notes += said
    return low, high, notes


def _head(published: Published, metrics: Mapping[str, Any], n_classes: int | None) -> tuple[float, list[str]]:
    """What the head has more, or less, at the number of classes that was counted.

    A parameter of a linear head is a multiply-accumulate, but for its bias, and four bytes.
    """
    each = metrics.get("params_per_class")
    if published.classes is None or n_classes is None or each is None or published.classes == n_classes:
        return 0.0, []
    more = each * (published.classes - n_classes) * (BYTES if published.metric == "checkpoint_bytes" else 1)
    return float(more), [f"counted with a head of {published.classes:,} classes; ours has {n_classes:,}"]


def _kept(metrics: Mapping[str, Any]) -> tuple[float, list[str]]:
    """What a checkpoint may hold beside weights; ours holds weights alone."""
    buffers = int(metrics.get("buffer_bytes", 0))
    moments = MOMENTS * BYTES * int(metrics["params_trainable"])
    said = "a checkpoint may hold the optimiser's two moments of what is trained"
    if buffers:
        said += ", and buffers"
    return float(buffers + moments), [f"{said} (up to {(buffers + moments) / 2**20:.1f} MiB here)"]
