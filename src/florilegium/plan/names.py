"""Names that the workflow has given away: of targets and rules, which no study may have, and of folders of data."""

import re
from collections.abc import Iterable, Mapping

from pydantic import TypeAdapter, ValidationError

from florilegium.config.base import Name
from florilegium.config.data import Dataset, split_names
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
WEIGHTS = "weights"
_NAME = TypeAdapter(Name)


def is_name(text: str) -> bool:
    """True for a name as the configuration has them."""
    try:
        _NAME.validate_python(text)
    except ValidationError:
        return False
    return True


def check_study_name(name: str, path: str, where: str, studies: Iterable[str]) -> None:
    """Raise `UserError`, which starts with `where`, if a study in the file `path` cannot have its name.

    Args:
        studies: all of them, whose rules have names, too.
    """
    if not is_name(name):
        raise UserError(
            f"{where}: {path}: a study is called as its file, and {name} is no name of letters, digits, _, - and ., "
            "that begins with a letter, a digit or _ and has 100 characters at most; rename the file"
        )
    rules = {*TARGETS, *RULES, *(f"{PLOT}{study}" for study in studies)}
    if name in rules or f"{PLOT}{name}" in RULES or NUMBERED.fullmatch(name):
        raise UserError(f"{where}: {path}: {name} is the name of a target or rule of the workflow; rename the file")


def check_dataset_name(name: str, others: Mapping[str, Dataset], where: str) -> None:
    """Raise `UserError`, which starts with `where`, if one's own data set cannot have its name among the others.

    Data sets have folders in `resources/`, and audits are called as two of them with __ between.
    """
    if name in others:
        raise UserError(f"{where}: workflow/datasets.yaml has a data set of that name; choose another")
    if alike := next((other for other in others if other.casefold() == name.casefold()), None):
        raise UserError(f"{where}: {alike} and {name} are one folder on macOS and Windows; choose another name")
    if name in split_names(others):
        raise UserError(f"{where}: an official split of {split_names(others)[name][0]} has that name; choose another")
    if name == WEIGHTS or "__" in name:
        reason = (
            f"resources/{WEIGHTS} holds pretrained weights" if name == WEIGHTS else "__ joins the names of an audit"
        )
        raise UserError(f"{where}: {reason}; choose another name")
