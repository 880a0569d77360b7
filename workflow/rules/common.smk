# Shared by the phases: the parameters that decide a re-run, names, paths, and the environment of the jobs.
#
# Rules are named by their phase and what they make: pack_images, train_seed0, plot_flowers. The phases alone are the
# targets of the Snakefile (a target and a rule with wildcards cannot share a name). `snakemake --list` sorts by name, so
# each target stands above the rules that make it.

import os
import re
import shlex

from functools import partial

from snakemake.cli import get_argument_parser
from snakemake.settings.types import DeploymentMethod

from florilegium.config.study import request_trackers
from florilegium.core import outputs
from florilegium.core.system import MARK
from florilegium.core.system import gpu_wanted
from florilegium.core.files import write_text
from florilegium.core.fingerprint import canonical, code_hash, package_versions
from florilegium.plan import reasons
from florilegium.plan.paths import Paths
from florilegium.plan.plan import shares_seeds

reasons.install()
os.environ[MARK] = "1"
request_trackers(plan.settings.trackers)

paths = Paths(plan)
RUN = f"{RESULTS}/{{run}}/seed{{seed}}"
GPU = gpu_wanted(plan.settings.device)

# Every rule that starts a program names it; only `--sdm conda` uses it. In that mode Snakemake removes PYTHONPATH from a
# job's environment, and the environment holds no copy of this package.
ENVIRONMENT = "../../envs/environment.yaml"
if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
    PYTHON = f"PYTHONPATH={shlex.quote(os.path.join(workflow.basedir, 'src'))} python"
else:
    PYTHON = sys.executable


def any_of(names):
    """A wildcard constraint: one of these names; it matches nothing when there are none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def traced(stage, spec, models=()):
    """The parameters that decide whether a job runs again. Every rule that runs a stage unpacks them into `params`.

    `spec` is the stage's configuration as JSON. `code` is a hash of the code that the stage reaches, and `versions` are
    those of the packages that this code uses, if `rerun_on_versions` is set.

    Args:
        stage: a module of `florilegium.stages`.
        spec: JSON values, or a function from wildcards to them.
        models: names of the networks whose families the stage reaches, or a function from wildcards to them.
    """

    def roots(names):
        return f"florilegium.stages.{stage}", *(root for name in names for root in registry.code_roots(name))

    def code(names):
        return code_hash(*roots(names))

    def versions(names):
        return canonical({"versions": package_versions(*roots(names))})

    def of(function, value):
        return (lambda w: function(value(w))) if callable(value) else function(value)

    return {
        "spec": of(canonical, spec),
        "code": of(code, models),
        "versions": of(versions, models) if plan.settings.rerun_on_versions else "",
    }


def experiment_of(w):
    """The experiment of the wildcard `run`, `study/experiment/arm`."""
    return plan.find(*w.run.split("/"))


def by_run(function, **more):
    """A function of an experiment as one of the wildcards that name it."""
    return lambda w: function(experiment_of(w), **more)


def network_of(w):
    """The network of a run, for `traced`."""
    return [experiment_of(w).model.name]


def seeds_in(name):
    """A rule's or a log's name for the seeds that share a process."""
    return f"seed{'_'.join(map(str, name))}"


def description_file(name):
    """The file that describes a study, or all studies, to a stage: too long for a command line."""
    return f"state/{plan.settings.preset}/report/{name}.json"


def write_descriptions(descriptions):
    """Write the descriptions that changed. Called `onstart`, since parsing a Snakefile must write nothing."""
    for name, description in descriptions.items():
        path, text = Path(description_file(name)), canonical(description)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)


def study_files(study):
    """The tables and figures of one study."""
    tables = [f"{RESULTS}/{study}/{table}.csv" for table in tables_of(study)]
    return [*tables, *FIGURES[study], *paths.finders(study)]


def refuse(sentence):
    """Stop before anything is planned."""
    sys.exit(f"error: {sentence}")


def check_targets():
    """Refuse a target that no rule makes, with the nearest right names; Snakemake would only say that no rule makes it.

    Snakemake does not pass its targets to a Snakefile, so the command line is parsed again.
    """
    if "snakemake" not in Path(sys.argv[0]).with_suffix("").parts:
        return
    for target in get_argument_parser().parse_args(sys.argv[1:]).targets or ():
        path = target if os.path.isabs(target) else Path(os.path.relpath(target)).as_posix()
        if not (workflow.is_rule(target) or is_made(path)):
            targets = [rule.name for rule in workflow.rules if not rule.has_wildcards()]
            refuse(paths.unknown_target(target, targets))


def is_made(path):
    """True if a rule makes the file; a training rule counts only for an experiment that exists."""
    makers = [rule for rule in workflow.rules if rule.is_producer(path)]
    runs = [rule.get_wildcards(path).get("run") for rule in makers]
    return any(run is None or paths.is_run(run) for run in runs)
