"""Florilegium: five student vision studies, gathered into cached stages.

snakemake --cores 1 all        everything of the preset in config.yaml
snakemake --cores 1 flowers    one study
snakemake -n                   what would run, and why
"""

import sys
from pathlib import Path

from snakemake.utils import min_version, update_config

from florilegium.core.errors import UserError
from florilegium.core.fingerprint import save_code_cache
from florilegium.core.kept import forget
from florilegium.core.validate import retyped
from florilegium.models import registry
from florilegium.models.catalogue import read_catalogue
from florilegium.models.checks import check_networks
from florilegium.plan.project import load_plan

min_version("9.20")


configfile: "config.yaml"


update_config(config, retyped(workflow.config_settings.config))

try:
    plan = load_plan(Path(workflow.basedir), config)
    catalogue = read_catalogue(Path(workflow.basedir) / "workflow" / "weights.yaml", plan.settings.weights)
    check_networks(plan, catalogue)
except UserError as error:
    sys.exit(f"error: {error}")

PYTHON = sys.executable
RESULTS = f"results/{plan.settings.preset}"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/scenes.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/classify.smk"
include: "workflow/rules/detect.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/generate.smk"
include: "workflow/rules/finder.smk"
include: "workflow/rules/explain.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/estimate.smk"


onstart:
    save_code_cache()


onsuccess:
    forget(Path("state") / plan.settings.preset, Path(RESULTS))


wildcard_constraints:
    study=any_of(plan.studies),


rule all:
    default_target: True
    input:
        audit_files(plan.audits()),
        [study_files(study) for study in plan.studies],
        f"{RESULTS}/report.html",


rule audit:
    input:
        audit_files(plan.audits()),


rule explanation:
    input:
        [attention_of(study, *ATTENTION_FILES, pictures=True) for study in plan.studies],
        [attribution_of(study, *ATTRIBUTION_FILES, figures=True) for study in plan.studies],


rule report:
    input:
        f"{RESULTS}/report.html",


for study in plan.studies:

    rule:
        name:
            study
        input:
            study_files(study),
