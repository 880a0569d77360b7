"""Check the configuration: every mistake in it, before anything runs."""

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from florilegium.config.layers import CONFIG, Configuration, read_configuration
from florilegium.config.weights import Weights
from florilegium.core.errors import Mistakes, UserError, UserErrors, counted, report, some
from florilegium.core.system import say
from florilegium.estimation.trials import Answers, Trial, check_trials, in_a_process
from florilegium.figures.registry import check_names
from florilegium.models.catalogue import look_up, read_catalogue
from florilegium.models.checks import check_networks
from florilegium.plan.plan import Plan
from florilegium.plan.project import attributed, read_plan
from florilegium.plan.project_files import PRESETS, WEIGHTS
from florilegium.plan.sources import check_sources

# A sentence on a key: the file, the keys down to the last one, and the rest.
ON_A_KEY = re.compile(r"(?P<file>[^:]+: )(?P<keys>\S+?)(?P<rest>(?:\.\w+)?(?: = |: ).*)", re.DOTALL)
DESCRIPTION = """\
Read config.yaml of the present folder, its preset, data sets, studies and networks, and name everything that is
misspelt, of a wrong type, missing or impossible: all that `snakemake -n` would refuse, and all of it at once."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "check", help=__doc__, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    text = "further files over config.yaml, as in `snakemake --configfile`"
    parser.add_argument("files", metavar="CONFIG", nargs="*", type=Path, help=text)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every mistake; or else remarks, and the number of experiments."""
    project = Path.cwd()
    if not (project / PRESETS).is_dir():
        raise UserError(f"{project}: is no folder of the project, since it has no {PRESETS}; change to the right one")
    files = [path for path in arguments.files if path.resolve() != (project / CONFIG).resolve()]
    try:
        plan, _ = load(project, read_configuration(project, files))
    except UserErrors as error:
        return report(error.mistakes)
    for remark in plan.remarks:
        say(f"note: {remark}")
    runs = sum(len(e.seeds) for e in plan.experiments)
    experiments, studies = counted(len(plan.experiments), "experiment"), counted(len(plan.studies), "study", "studies")
    say(f"{experiments} ({counted(runs, 'run')}) of {studies} in preset {plan.settings.preset}: nothing wrong")
    return 0


def load(
    project: Path, config: Configuration, answer: Callable[[Sequence[Trial]], Answers] | None = in_a_process
) -> tuple[Plan, dict[str, Weights]]:
    """The plan of a configuration, and the catalogue of pretrained weights, with those of timm that it uses.

    Args:
        answer: tries networks; None in a job of the workflow, before which they have been tried, and files of a
            person's own have been looked for.

    Raises:
        UserError, UserErrors: every mistake in the files, the plan, and its networks.
    """
    mistakes = Mistakes()
    plan = read_plan(project, config, mistakes)
    catalogue = None
    with mistakes.caught():
        overrides = plan.settings.weights if plan else {}
        catalogue = read_catalogue(project / WEIGHTS, overrides, config.where)
    if plan is not None:
        if answer is not None:
            with mistakes.caught():
                check_sources(plan, config.where)
        with mistakes.caught():
            check_names(plan.figures, plan.files)
    if plan is not None and catalogue is not None:
        with mistakes.caught():
            check_networks(plan, catalogue)
            if answer is not None:
                check_trials(plan, project, answer)
    mistakes.found = joined(attributed(sentence, config) for sentence in mistakes.found)
    mistakes.refuse()
    assert plan is not None and catalogue is not None, "what cannot be made has mistakes"
    return plan, catalogue | {name: look_up(name, catalogue) for name in plan.weights()}


def joined(sentences: Iterable[str]) -> list[str]:
    """The sentences; those that say the same of several keys of a file, as where aliases repeat a mistake, are one."""
    places: dict[tuple[str, str], list[str]] = {}
    for sentence in sentences:
        parts = ON_A_KEY.fullmatch(sentence)
        file, keys, rest = parts.groups() if parts else (sentence, "", "")
        places.setdefault((file, rest), []).append(keys)
    told = []
    for (file, rest), (first, *others) in places.items():
        told.append(f"{file}{first}{rest}" + (f" (the same at {some(others, 3)})" if others else ""))
    return told
