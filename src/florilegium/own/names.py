"""The name of a study and a data set of a person's own, which become folders, targets and rules."""

import re
import unicodedata
from pathlib import Path

from florilegium.config.base import read_yaml
from florilegium.config.datasets import split_of
from florilegium.core.errors import UserError
from florilegium.data.splits import split_called
from florilegium.plan.project_files import DATASETS, PRESETS, built_in_studies, check_study_name

LONGEST = 60  # characters
LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})


def check_project(project: Path) -> None:
    """Raise `UserError` for a folder that is none of the project's."""
    if not (project / PRESETS).is_dir():
        raise UserError(f"{project}: is no folder of the project, since it has no {PRESETS}; change to the right one")


def chosen_name(folder: Path, given: str | None, project: Path) -> str:
    """`given`, or else the folder's name in plain letters, with `my_` before it where it means something else already.

    Raises:
        UserError: `given` cannot be the name of a study and of a data set.
    """
    if given is not None:
        if problem := _taken(given, project):
            raise UserError(f"--name {given}: {problem}")
        return given
    plain = unicodedata.normalize("NFKD", folder.stem.translate(LETTERS)).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", plain).strip("_.-")[:LONGEST].rstrip("_.-") or "pictures"
    return f"my_{name}" if _taken(name, project) or split_called(name) else name


def _taken(name: str, project: Path) -> str:
    """Why something cannot be called so; empty for a name that can be used."""
    studies = [path.stem for path in built_in_studies(project)]
    datasets = read_yaml(project / DATASETS, DATASETS)
    try:
        check_study_name(name, "", studies)
    except UserError as error:
        return str(error).removeprefix(": ").replace("rename the file", "give another name")
    if name.casefold() in map(str.casefold, (*studies, *datasets, "weights", "downloads")):
        return "a study or a data set of the project is called so; give another name"
    if "__" in name or split_of(name)[1] is not None:
        return "two underscores, and _split with a number, mean something else; give another name"
    return ""
