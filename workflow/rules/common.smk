# Shared by the phases: the parameters that decide a re-run, names, paths, and the environment of the jobs.
#
# Rules are named by their phase and what they make: pack_images, train_seed0, plot_flowers. The phases alone are the
# targets of the Snakefile (a target and a rule with wildcards cannot share a name). `snakemake --list` sorts by name, so
# each target stands above the rules that make it.

import atexit
import os
import re
import shlex
import time

from contextlib import contextmanager
from functools import partial

from snakemake.cli import get_argument_parser
from snakemake.io import regex_from_filepattern
from snakemake.settings.types import DeploymentMethod

from florilegium.config.study import request_trackers
from florilegium.core import outputs, warm, warm_server
from florilegium.core.errors import sentence_of
from florilegium.core.system import MARK
from florilegium.core.system import gpu_wanted
from florilegium.core.files import write_text
from florilegium.core.fingerprint import canonical, code_hash, package_versions
from florilegium.core.receipts import discard_kept
from florilegium.estimation.earlier import Job, announcement
from florilegium.plan import reasons
from florilegium.plan.paths import Paths
from florilegium.plan.plan import shares_seeds

# Characters of which a shell makes something else: inside double quotes, and outside quotes.
QUOTED = set('"$`\\\n')
UNQUOTED = QUOTED | set(" \t'&;|<>()*?[]#~!{}")

reasons.install()
os.environ[MARK] = "1"
request_trackers(plan.settings.trackers)

paths = Paths(plan)
RUN = f"{RESULTS}/{{run}}/seed{{seed}}"
GPU = gpu_wanted(plan.settings.device)


def doubled(path):
    """A path in which Snakemake takes no `{name}` for a wildcard, where it formats paths."""
    return path.replace("{", "{{").replace("}", "}}")


# Every rule that starts a program names it; only `--sdm conda` uses it. In that mode Snakemake removes PYTHONPATH from a
# job's environment, and the environment holds no copy of this package.
ENVIRONMENT = doubled(os.path.join(workflow.basedir, "envs", "environment.yaml"))
if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
    PYTHON = f"PYTHONPATH={shlex.quote(os.path.join(workflow.basedir, 'src'))} python"
else:
    PYTHON = shlex.quote(sys.executable)


def keep_warm():
    """Let jobs on this machine start as forks of a process that has imported what they import. Called `onstart`, since
    a Snakefile is parsed before the executor is known. Where trainings use a GPU they start cold: they are long."""
    global PYTHON, SERVER
    is_local = not workflow.executor_plugin.common_settings.non_local_exec
    if is_local and not GPU and not workflow.deployment_settings.deployment_method:
        models = {e.model.name for study in plan.studies for e in plan.of(study)}
        SERVER = warm_server.start({name: registry.code_roots(name)[0].partition(":")[0] for name in models})
        if SERVER:
            PYTHON += f" -IS {shlex.quote(warm.__file__)}"


def literal(text):
    """A text for the report of which Snakemake makes nothing else: an invisible character, which joins words, stands
    where it would take `{name}` for a wildcard, and `</script>` for the end of its own script."""
    return text.replace("{", "{\u2060").replace("</", "<\u2060/")


def json_text(value):
    """Canonical JSON in which no `</script>` ends Snakemake's report, which holds the parameters of every job."""
    return canonical(value).replace("</", r"<\/")


def any_of(names):
    """A wildcard constraint: one of these names; it matches nothing when there are none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def any_run(keys):
    """A wildcard constraint: one of these runs, `study/experiment/arm`. Of a study all of whose runs are among them, any:
    Snakemake reads the constraint anew for each pattern, which takes a second for three thousand names."""
    keys = set(keys)
    whole = {study for study in {key.partition("/")[0] for key in keys} if keys >= {e.key for e in plan.of(study)}}
    single = sorted(key for key in keys if key.partition("/")[0] not in whole)
    return (
        "|".join([*(f"{re.escape(study)}/[^/]+/[^/]+" for study in sorted(whole)), *map(re.escape, single)]) or "(?!)"
    )


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
        """A function, also where the value is known: Snakemake would take `{name}` in a text for a wildcard."""
        if callable(value):
            return lambda w: function(value(w))
        known = function(value)
        return lambda w: known

    return {
        "spec": of(json_text, spec),
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
    """Stop, with the exit code for what a person can mend."""
    sys.exit(tell([sentence]))


@contextmanager
def in_a_sentence():
    """Stop with one sentence for what a person can mend, such as a full disk; Snakemake would add where it was raised."""
    try:
        yield
    except Exception as error:
        if sentence_of(error) is None:
            raise
        refuse(sentence_of(error))


def check_place():
    """Refuse a folder in which Snakemake would not find its own lock files: it takes `{name}` in their paths for a
    pattern."""
    folder = os.getcwd()
    try:
        is_found = re.match(regex_from_filepattern(folder), folder)
    except (re.error, ValueError):
        is_found = None
    if not is_found:
        refuse(f"{folder}: Snakemake takes the braces in this path for a pattern; rename the folder")


def check_cluster():
    """Refuse paths that Snakemake cannot pass to a cluster: it writes that of Python unquoted into a command, and both
    inside double quotes. Called `onstart`, since a Snakefile is parsed before the executor is known."""
    if workflow.executor_plugin.common_settings.non_local_exec:
        for path, signs in ((sys.executable, UNQUOTED), (os.getcwd(), QUOTED)):
            if found := sorted(signs & set(path)):
                refuse(f"{path}: on a cluster Snakemake cannot use a path with {' '.join(map(repr, found))}; rename it")


def mend_times():
    """Give files of the workflow whose times lie in the future the present one.

    Snakemake would fail every job that reads them, after it has run. Called `onstart`.
    """
    now = time.time()
    read = {str(path) for job in workflow.dag.needrun_jobs() for path in job.input}
    late = sorted(path for path in read if os.path.exists(path) and os.path.getmtime(path) > now)
    for path in late:
        if os.path.isabs(path) or path.startswith(".."):  # not the project's
            refuse(
                f"{path}: its time lies in the future, and Snakemake fails what reads it; give it the present (touch)"
            )
        os.utime(path)
    if late:
        print(
            f"{len(late)} files had times in the future, such as {late[0]}; they were given the present",
            file=sys.stderr,
        )


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


def discard_finished():
    """Delete the kept copies of runs that Snakemake has recorded; those that it has not, it would make again."""
    marked = workflow.persistence._filter_incomplete_keys  # its public call needs the jobs
    discard_kept(Path("state") / plan.settings.preset, Path(RESULTS), lambda files: not marked(files))


@atexit.register
def discard_where_nothing_was_due():
    """Snakemake that was killed after its last job leaves copies, and calls no hook where nothing is due."""
    if workflow._dag is not None and not len(workflow.dag) and not workflow.dryrun:
        specs.refresh()
        discard_finished()
        if workflow.execution_settings is not None:
            close()


def announce():
    """Say in one line what is done, what runs, and how long it will take. Called `onstart`."""
    makers = [job for job in workflow.dag.jobs if job.output]
    due = set(workflow.dag.needrun_jobs(exclude_finished=False))
    waiting = [
        Job(job.rule.name, tuple(map(str, job.output)), bool(job.resources.get("gpu"))) for job in makers if job in due
    ]
    gpu = workflow.global_resources.get("gpu")
    limits = {
        "cores": workflow.resource_settings.cores or workflow.resource_settings.nodes or 1,
        "gpus": (gpu.value if gpu else None) or 1,  # none is set on a cluster
    }
    if waiting:
        tell_person([announcement(plan.settings.preset, len(makers) - len(waiting), waiting, **limits)])


def close():
    """Say where to look and what was found, if the report and the claims are among what was asked for."""
    made = {str(path) for job in workflow.dag.jobs for path in job.output}
    if {f"{RESULTS}/report.html", f"{RESULTS}/claims.csv"} <= made:
        from florilegium.report.closing import closing  # it needs pandas

        with in_a_sentence():
            tell_person(closing(Path(RESULTS), {name: study.title for name, study in STUDIES.items()}))


def tell_person(lines):
    """Print lines where Snakemake prints its own."""
    print("", *lines, "", sep="\n", file=sys.stderr, flush=True)
