"""Names that the workflow has given away: no study may have them, since each study is a target and names rules."""

import re
from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from florilegium.config.base import Name
from florilegium.core.errors import UserError

TARGETS = (
    *("all", "report", "download", "dedup", "audit", "pack", "pretrain", "sweep", "ablate", "finetune", "train"),
    *("generate", "explain", "explanation", "compare", "plots", "gpu_hours"),
)
RULES = (
    *("download_files", "download_rendered", "download_table", "download_boxes", "download_weights"),
    *("dedup_hash", "dedup_audit", "pack_images", "pack_boxed", "generate_samples", "generate_judgement"),
    *("explain_attention", "compare_study", "compare_generated", "plot_finder", "plot_page", "estimate_hours"),
)
PLOT = "plot_"  # and a study: the rule of its figures
NUMBERED = re.compile(r"explain_attribution_\d+|\w+_seed[\d_]+")  # rules whose number the plan decides
_NAME = TypeAdapter(Name)


def is_name(text: str) -> bool:
    """True for a name as the configuration has them."""
    try:
        _NAME.validate_python(text)
    except ValidationError:
        return False
    return True


def check_study_name(name: str, where: str, studies: Sequence[str]) -> None:
    """Raise `UserError`, which starts with `where`, its file, if a study cannot have its name.

    Args:
        studies: all of them, whose rules have names, too.
    """
    if not is_name(name):
        raise UserError(
            f"{where}: a study is called as its file, and {name} is no name of letters, digits, _, - and ., "
            "that begins with a letter, a digit or _ and has 100 characters at most; rename the file"
        )
    rules = {*TARGETS, *RULES, *(f"{PLOT}{study}" for study in studies)}
    if name in rules or f"{PLOT}{name}" in RULES or NUMBERED.fullmatch(name):
        raise UserError(f"{where}: {name} is the name of a target or rule of the workflow; rename the file")
    for other in studies:
        if other != name and other.casefold() == name.casefold():
            raise UserError(f"{where}: {other} and {name} are one folder on macOS and Windows; rename the file")
