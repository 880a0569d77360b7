"""The files of an audit, as the contract names them."""

from pathlib import Path

from florilegium.audit.clean import dropped
from florilegium.audit.comparison import Comparison
from florilegium.audit.distances import distance_histograms
from florilegium.audit.pictures import contact_sheet
from florilegium.audit.summary import summarise
from florilegium.core.files import atomic, write_json

FILES = ("pairs.csv", "dropped.csv", "contact_sheet.png", "distances.png", "summary.json")


def write_audit(found: Comparison, folder: Path) -> list[Path]:
    """Write every file of FILES into `folder`, the summary last; returns their paths."""
    drop = dropped(found)
    paths = [folder / name for name in FILES]
    pairs, drops, sheet, distances, summary = paths
    with atomic(pairs) as temporary:
        found.pairs.drop(columns="contrast_share").to_csv(
            temporary, index=False, lineterminator="\n", float_format="%.6f"
        )
    with atomic(drops) as temporary:
        drop.to_csv(temporary, index=False, lineterminator="\n")
    with atomic(sheet) as temporary:
        contact_sheet(found).save(temporary, format="PNG")
    with atomic(distances) as temporary:
        distance_histograms(found).savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    write_json(summary, summarise(found, len(drop)))
    return paths
