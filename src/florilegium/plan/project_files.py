"""The files of a project: its preset, its data sets and its studies, each typed, with all mistakes in them; and the
names that the workflow has given away, since a study is called as its file, is a target and names rules."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from florilegium.config.base import Name, parse, read_yaml
from florilegium.config.datasets import Dataset, check_overrides
from florilegium.config.layers import CONFIG, Configuration
from florilegium.config.study import Preset, Settings, StudyFile
from florilegium.config.words import WORDS, shown
from florilegium.core.errors import Mistakes, UserError, nearest, unknown
from florilegium.plan.entries import LoadedStudy

DATASETS = "workflow/datasets.yaml"
PRESETS = "workflow/presets"
WEIGHTS = "workflow/weights.yaml"
STUDIES = "workflow/studies"
TARGETS = (
    *("all", "report", "download", "dedup", "audit", "pack", "pretrain", "sweep", "ablate", "finetune", "train"),
    *("generate", "explain", "explanation", "compare", "plots", "gpu_hours"),
)
RULES = (
    *("download_files", "download_rendered", "download_table", "download_boxes", "download_weights"),
    *("dedup_hash", "dedup_audit", "pack_images", "pack_boxed", "generate_samples", "generate_judgement"),
    *(
        "explain_attention",
        "compare_study",
        "compare_claims",
        "compare_generated",
        "plot_finder",
        "plot_page",
        "estimate_hours",
    ),
)
PLOT = "plot_"  # and a study: the rule of its figures
NUMBERED = re.compile(r"explain_attribution_\d+|\w+_seed[\d_]+")  # rules whose number the plan decides
_NAME = TypeAdapter(Name)


def _file(project: Path, path: Path, must_hold: str) -> tuple[dict[str, Any], str]:
    """The content of a file that may not be empty, and its name in messages."""
    where = path.relative_to(project).as_posix() if path.is_relative_to(project) else str(path)
    content = read_yaml(path, where)
    if not content:
        raise UserError(f"{where}: is empty; it must hold {must_hold}")
    return content, where


def read_preset(project: Path, name: str, config: Configuration) -> Preset:
    path = project / PRESETS / f"{name}.yaml"
    if not path.exists():
        others = [other.stem for other in path.parent.glob("*.yaml") if not other.name.startswith(".")]
        raise unknown("preset", name, others, config.where(["preset"]))
    return parse(Preset, *_file(project, path, "at least title and seeds"))


def read_datasets(
    project: Path, settings: Settings, config: Configuration, unread: set[str], mistakes: Mistakes
) -> dict[str, Dataset] | None:
    """The data sets that are right, by name; the names of the others are added to `unread`. None without their file."""
    entries: Mapping[str, Any] | None = None
    with mistakes.caught():
        entries, _ = _file(project, project / DATASETS, "a data set by its name")
    if entries is None:
        return None
    datasets: dict[str, Dataset] = {}
    for name, entry in entries.items():
        with mistakes.caught():
            if not is_name(name):
                raise UserError(f"{DATASETS}: the name {shown(name)} must be {WORDS['string_pattern_mismatch']}")
            datasets[name] = parse(Dataset, entry, f"{DATASETS}: {name}")
    unread |= entries.keys() - datasets.keys()
    published = {name: dataset.files for name, dataset in datasets.items()}
    for name in settings.datasets:
        with mistakes.caught():
            if name not in unread:
                check_overrides(
                    {name: settings.datasets[name]}, published, "datasets", config.where(["datasets", name])
                )
    for name in sorted(datasets.keys() & settings.own_datasets.keys()):
        with mistakes.caught():
            where = config.where(["own_datasets", name])
            raise UserError(f"{where}: own_datasets.{name}: {DATASETS} has a data set of that name; choose another")
    datasets |= settings.own_datasets
    return datasets


def study_paths(project: Path, settings: Settings) -> dict[str, Path]:
    """The file of every study by its name; one of a person's own goes before one of the project."""
    built_in = {path.stem: path for path in built_in_studies(project)}
    return built_in | {Path(path).stem: _own(project, path) for path in settings.own_studies}


def chosen_studies(project: Path, settings: Settings) -> set[str]:
    """The studies that are run: those that are named, or all."""
    return set(settings.studies or study_paths(project, settings))


def _own(project: Path, path: str) -> Path:
    return project / Path(path).expanduser()


def built_in_studies(project: Path) -> list[Path]:
    """The files of the project's studies, without those that an editor or a system hides beside them."""
    return sorted(path for path in (project / STUDIES).glob("*.yaml") if not path.name.startswith("."))


def read_studies(project: Path, settings: Settings, config: Configuration, mistakes: Mistakes) -> list[LoadedStudy]:
    """The studies that are right, of those that are chosen, and of others that `config.yaml` changes."""
    by_name = study_paths(project, settings)
    wanted = chosen_studies(project, settings) | {key.partition("/")[0] for key in settings.experiments}
    for name in settings.studies:
        with mistakes.caught():
            if name not in by_name:
                raise unknown("study", name, by_name, f"{config.where(['studies'])}: studies")
    refused = _refused_names(project, settings, config, mistakes)
    studies = []
    for name, path in by_name.items():
        with mistakes.caught():
            if name in wanted and name not in refused:
                content, where = _file(project, path, "title, document and experiments")
                studies.append(LoadedStudy(name, where, parse(StudyFile, content, where)))
    return studies


def _refused_names(project: Path, settings: Settings, config: Configuration, mistakes: Mistakes) -> set[str]:
    """The names of studies that are no files, are called as each other, or as what the workflow makes."""
    built_in = [path.stem for path in built_in_studies(project)]
    where = f"{config.where(['own_studies'])}: own_studies"
    names = [Path(own).stem for own in settings.own_studies]
    refused = {*names, *built_in}
    for name in built_in:
        with mistakes.caught():
            check_study_name(name, f"{STUDIES}/{name}.yaml", built_in)
            refused.discard(name)
    for own, name in zip(settings.own_studies, names, strict=True):
        with mistakes.caught():
            refused.add(name)
            if not name:
                raise UserError(f"{where}: {shown(own)} names no file; give the path of a YAML file")
            check_study_name(name, f"{where}: {own}", [*names, *built_in])
            if names.count(name) > 1:
                paths = list(dict.fromkeys(other for other in settings.own_studies if Path(other).stem == name))
                if len(paths) == 1:
                    raise UserError(f"{where}: {own} stands twice; take one out")
                raise UserError(f"{where}: {' and '.join(paths)} are both the study {name}; rename one")
            if not _own(project, own).exists():
                beside = (path.name for path in _own(project, own).parent.glob("*.yaml") if path.name != CONFIG)
                raise UserError(f"{where}: {own}: there is no such file{nearest(Path(own).name, beside)}")
            refused.remove(name)
    return refused


# Names


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
