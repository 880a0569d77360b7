"""The content of published weights at their first use, which is the only one that is taken from then on."""

from pathlib import Path
from typing import Any

from florilegium.config.weights import Weights
from florilegium.core.errors import UserError
from florilegium.core.files import read_json, write_json

FOLDER = Path("state/weights")


def hold_to_first_use(name: str, weights: Weights, origin: dict[str, Any]) -> None:
    """Write down the content that a source without a checksum has had, or compare with what is written.

    Args:
        origin: of the file, as in the receipt, with its `sha256`.

    Raises `UserError` if the same source has another content than before.
    """
    record = FOLDER / f"{name}.json"
    source = weights.model_dump(mode="json", include={"source", "hub", "package", "timm"}, exclude_none=True)
    try:
        before = read_json(record)
        known = before["sha256"] if before["source"] == source else None
    except (OSError, ValueError, KeyError, TypeError):
        known = None
    if known is not None and known != origin["sha256"]:
        raise UserError(
            f"weights {name}: {origin['from']} has the sha256 {origin['sha256']}, and at the first use it was {known}; "
            f"pin the one that is meant in workflow/weights.yaml, or remove {record} to take what is published now"
        )
    write_json(record, {"source": source, **origin})
