# What several phases ask: parameters that decide a re-run, names, and places.

import os
import re

from functools import partial

from florilegium.core import trackers
from florilegium.core.ancestry import MARK
from florilegium.core.fingerprint import canonical, code_hash, package_versions
from florilegium.plan import reasons

reasons.install()
os.environ[MARK] = "1"
trackers.ask_for(plan.settings.trackers)


# What a training computes on, as arguments of its stage.
DEVICE = plan.settings.device + ("" if plan.settings.deterministic else " --fastest-kernels")


def any_of(names):
    """A wildcard constraint: one of these names, or nothing at all when there are none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def stage_code(stage, *modules):
    """A hash over all code that the stage reaches."""
    return code_hash(f"florilegium.stages.{stage}", *modules)


def stage_versions(stage, *modules):
    """The versions of the packages that the stage reaches, if they are to count."""
    if not plan.settings.rerun_on_versions:
        return ""
    return canonical({"versions": package_versions(f"florilegium.stages.{stage}", *modules)})


def traced(stage, *modules):
    """The parameters `code` and `versions` of a rule, which so can only be of the same roots: a stage and what
    modules its experiment names, or a function from wildcards to both."""
    if not callable(stage):
        return {"code": stage_code(stage, *modules), "versions": stage_versions(stage, *modules)}
    versions = (lambda w: stage_versions(*stage(w))) if plan.settings.rerun_on_versions else ""
    return {"code": lambda w: stage_code(*stage(w)), "versions": versions}


GROUPS = plan.groups()


def seeds_of(task):
    """Which seeds share a process in the trainings of a task."""
    return [seeds for kind, seeds in GROUPS if kind == task]


def runs_together(task, seeds):
    """The runs of a rule: any, or these by name where another rule makes one of the same seeds, too.

    Snakemake repeats a constraint in every pattern of every job, so that a list of all runs would make
    planning cost the square of their number.
    """
    others = {seed for group in GROUPS if group != (task, seeds) for seed in group[1]}
    return any_of(GROUPS[task, seeds]) if others & set(seeds) else r"[^/]+/[^/]+/[^/]+"


def experiment_of(w):
    return plan.find(*w.run.split("/"))


def files_of(dataset):
    """The table of verified files behind a data set."""
    return f"resources/{plan.source(dataset)[0]}/files.json"


def audit_folder(a, b):
    return f"{RESULTS}/audit/{a}__{b}"


def audit_files(pairs):
    return [
        f"{audit_folder(a, b)}/{name}"
        for a, b in pairs
        for name in ("summary.json", "contact_sheet.png", "distances.png")
    ]


def study_files(study):
    tables = [f"{RESULTS}/{study}/{table}.csv" for table in ("comparison", "costs", *extra_tables(study))]
    return [*tables, *figures_of(study), *finders_of(study)]
