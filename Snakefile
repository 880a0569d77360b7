"""Florilegium: five student vision studies, gathered into cached stages.

snakemake --cores 1 all        everything of the preset in config.yaml
snakemake --cores 1 flowers    one study
snakemake -n                   the jobs that would run, each with its reason
snakemake --list               every target and rule, each with its purpose
"""

import atexit
import gc
import sys
from pathlib import Path

# A plan makes hundreds of thousands of objects, which nearly all stay: to look for cycles among them every 700 objects,
# and once more when Python ends, takes nearly a third of its time.
gc.set_threshold(50_000)
atexit.register(gc.freeze)

from snakemake.utils import min_version

from florilegium.commands.check import load
from florilegium.config.layers import CONFIG, read_configuration
from florilegium.core.errors import UserError
from florilegium.core.errors import report as tell
from florilegium.core.fingerprint import save_code_cache
from florilegium.estimation.trials import save_trials
from florilegium.models import registry

min_version("9.20")

# Snakemake's own `configfile:` keeps no word of which file sets a key, takes keys that stand twice, and ends in words of
# its own where the file is empty, a list, or in another encoding.
try:
    settings = workflow.config_settings
    layers = read_configuration(Path(), settings.configfiles, settings.config, replace=settings.replace_workflow_config)
    tries = {} if workflow.is_main_process else {"answer": None}
    plan, catalogue = load(Path(workflow.basedir), layers, **tries)
except UserError as error:
    sys.exit(tell(str(error).splitlines()))
config.update(layers)
if Path(CONFIG).exists():
    workflow.configfiles.append(CONFIG)
if workflow.is_main_process:
    for remark in plan.remarks:
        print(f"note: {remark}", file=sys.stderr)

RESULTS = f"results/{plan.settings.preset}"


include: "workflow/rules/common.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/dedup.smk"
include: "workflow/rules/pack.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/generate.smk"
include: "workflow/rules/explain.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/plot.smk"
include: "workflow/rules/estimate.smk"


onstart:
    check_cluster()
    with in_a_sentence():
        mend_times()
        save_code_cache()
        specs.refresh()
        save_trials(plan, Path(workflow.basedir))
        write_descriptions({**DESCRIPTIONS, "report": PAGE, "gpu_hours": HOURS})
        keep_warm()
        announce()


onsuccess:
    discard_finished()
    close()


wildcard_constraints:
    study=any_of(plan.studies),


rule all:
    """Everything of the studies chosen: comparisons, figures, audits and the report."""
    default_target: True
    input:
        paths.audits(),
        [study_files(study) for study in plan.studies],
        f"{RESULTS}/claims.csv",
        f"{RESULTS}/report.html",


rule report:
    """One page with every figure and table."""
    input:
        f"{RESULTS}/report.html",


rule download:
    """Data sets, verified or rendered, with their tables; and the weights that experiments start from."""
    input:
        paths.downloads(),


rule dedup:
    """Audits of every pair of data sets that meet in an experiment: the pictures that both hold."""
    input:
        paths.audits(),


rule audit:
    """The same as dedup."""
    input:
        paths.audits(),


rule pack:
    """Packed pixels of every data set, at the sizes that experiments read."""
    input:
        paths.pixels_of_all(),


rule pretrain:
    """Runs that others of their study start from, and that have no published result of their own."""
    input:
        paths.trained("pretrain"),


rule sweep:
    """Runs at another learning rate than their experiment's, or at a point of a grid, except those of pretrain."""
    input:
        paths.trained("sweep"),


rule ablate:
    """Runs with frozen blocks, or another norm than the transformer's own, except those of pretrain and sweep."""
    input:
        paths.trained("ablate"),


rule finetune:
    """Runs that start from weights, except those of pretrain, sweep and ablate."""
    input:
        paths.trained("finetune"),


rule train:
    """All other runs: those of none of pretrain, sweep, ablate and finetune."""
    input:
        paths.trained("train"),


rule generate:
    """Images that generators make, and the judgement of their quality."""
    input:
        paths.samples(None, *outputs.SAMPLES, *outputs.JUDGEMENT),


rule explain:
    """Attention of networks, and the pixels that their answers depend on."""
    input:
        paths.attention(None, *outputs.ATTENTION, pictures=True),
        paths.attribution(None, *outputs.ATTRIBUTION, pictures=True),


rule explanation:
    """The same as explain."""
    input:
        rules.explain.input,


rule compare:
    """Tables of every study: claims, measured beside published numbers, differences, costs, scores."""
    input:
        f"{RESULTS}/claims.csv",
        [f"{RESULTS}/{study}/{table}.csv" for study in plan.studies for table in tables_of(study)],


rule plots:
    """Figures of every study."""
    input:
        [[*FIGURES[study], *paths.finders(study)] for study in plan.studies],


check_place()

for study in plan.studies:

    rule:
        """Everything of one study: tables and figures, and what they need."""
        name:
            study
        input:
            study_files(study),


check_targets()
