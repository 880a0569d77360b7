"""The files of an audit, as the contract names them."""

from pathlib import Path

from florilegium.audit.clean import dropped
from florilegium.audit.comparison import Comparison
from florilegium.audit.distances import distance_histograms
from florilegium.audit.pictures import contact_sheet
from florilegium.audit.summary import summarise
from florilegium.core.files import atomic, write_frame, write_json

FILES = ("pairs.csv", "dropped.csv", "contact_sheet.png", "distances.png", "summary.json")


def write_audit(comparison: Comparison, folder: Path) -> list[Path]:
    """Write every file of FILES into `folder`, the summary last; returns their paths."""
    removed = dropped(comparison)
    paths = [folder / name for name in FILES]
    pairs, drops, sheet, distances, summary = paths
    write_frame(pairs, comparison.pairs.drop(columns="contrast_share"), float_format="%.6f")
    write_frame(drops, removed)
    with atomic(sheet) as temporary:
        contact_sheet(comparison).save(temporary, format="PNG")
    with atomic(distances) as temporary:
        distance_histograms(comparison).savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    write_json(summary, summarise(comparison, len(removed)))
    return paths
