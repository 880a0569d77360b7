# metrics and receipts -> comparison with what was published -> figures -> one page

from florilegium.report.catalogue import planned
from florilegium.report.study import Study

TEMPLATES = os.path.relpath(f"{workflow.basedir}/src/florilegium/report")
DESCRIPTIONS = {study: plan.description(study) for study in plan.studies}


def figures_of(study):
    """The figures of one study, by file."""
    figures = planned(Study.model_validate(DESCRIPTIONS[study], strict=False))
    return {f"{RESULTS}/{study}/figures/{figure.name}.png": figure for figure in figures}


def runs_of(study, *files):
    return [
        f"{RESULTS}/{e.key}/seed{seed}/{file}" for e in plan.of(study) for seed in e.seeds for file in files
    ]


def pictures_of(study):
    """Packed pixels of the data sets that a study tests on, for its sample predictions."""
    classified = (e for e in plan.of(study) if e.task == "classification")
    places = {(plan.source(e.data.dataset)[0], e.data.storage_size) for e in classified}
    return [f"resources/{source}/pixels{size}.npy" for source, size in sorted(places)]


def tables_of(study):
    """The tables of images, classes and splits of a study's data sets."""
    return [f"resources/{name}/images.json" for name in sorted({e.data.dataset for e in plan.of(study)})]


def credits():
    """What readers are told about each data set in use."""
    used = sorted({e.data.dataset for e in plan.experiments})
    facts = {"title", "citation", "terms", "homepage"}
    return {name: plan.datasets[plan.source(name)[0]].model_dump(include=facts) for name in used}


rule compare:
    input:
        lambda w: runs_of(w.study, "metrics.json", "history.csv", "predictions.csv", "receipt.json"),
        images=lambda w: tables_of(w.study),
    output:
        table=report(
            f"{RESULTS}/{{study}}/comparison.csv",
            caption="../report/comparison.rst",
            category="Comparison",
            labels={"study": "{study}", "table": "ours and published"},
        ),
        text=f"{RESULTS}/{{study}}/comparison.md",
        differences=report(
            f"{RESULTS}/{{study}}/differences.csv",
            caption="../report/differences.rst",
            category="Comparison",
            labels={"study": "{study}", "table": "arms against their baselines"},
        ),
        receipt=f"{RESULTS}/{{study}}/comparison.receipt.json",
    log:
        f"logs/compare/{plan.settings.preset}/{{study}}.log",
    localrule: True
    params:
        spec=lambda w: canonical(DESCRIPTIONS[w.study]),
        code=stage_code("compare"),
        versions=stage_versions("compare"),
        runs=lambda w: f"{RESULTS}/{w.study}",
    message:
        "Comparing {wildcards.study} with what was published"
    shell:
        "{PYTHON} -m florilegium.stages.compare --runs {params.runs} --images {input.images} --out {output.table}"
        " --spec {params.spec:q} --code {params.code} > {log} 2>&1"


for study in plan.studies:

    rule:
        name:
            f"figures_{study}"
        input:
            runs_of(study, "metrics.json", "history.csv", "predictions.csv"),
            attention_of(study, "maps.npz", "attention.csv"),
            comparison=f"{RESULTS}/{study}/comparison.csv",
            differences=f"{RESULTS}/{study}/differences.csv",
            images=tables_of(study),
            pixels=pictures_of(study),
        output:
            *[
                report(
                    path,
                    caption=f"../report/{figure.kind}.rst",
                    category=plan.studies[study].title,
                    labels={"figure": figure.name.replace("_", " ")},
                )
                for path, figure in figures_of(study).items()
            ],
            receipt=f"{RESULTS}/{study}/figures/receipt.json",
        log:
            f"logs/figures/{plan.settings.preset}/{study}.log",
        localrule: True
        params:
            spec=canonical(DESCRIPTIONS[study]),
            code=stage_code("figures"),
            versions=stage_versions("figures"),
            runs=f"{RESULTS}/{study}",
            out=f"{RESULTS}/{study}/figures",
        message:
            f"Drawing the figures of {study}"
        shell:
            "{PYTHON} -m florilegium.stages.figures --runs {params.runs} --comparison {input.comparison}"
            " --images {input.images} --pixels {input.pixels} --out {params.out}"
            " --spec {params.spec:q} --code {params.code} > {log} 2>&1"


rule page:
    input:
        [f"{RESULTS}/{study}/{t}.csv" for study in plan.studies for t in ("comparison", "differences")],
        [list(figures_of(study)) for study in plan.studies],
        [runs_of(study, "metrics.json", "history.csv", "cost.json", "receipt.json") for study in plan.studies],
        audit_files(plan.audits()),
        [f"{TEMPLATES}/page.{kind}" for kind in ("html", "css")],
        images=sorted({table for study in plan.studies for table in tables_of(study)}),
    output:
        page=report(
            f"{RESULTS}/report.html",
            caption="../report/page.rst",
            category="Summary",
            labels={"page": "everything on one page"},
        ),
        receipt=f"{RESULTS}/report.receipt.json",
    log:
        f"logs/page/{plan.settings.preset}.log",
    localrule: True
    params:
        spec=canonical(
            {
                "preset": plan.settings.preset,
                "title": plan.preset.title,
                "note": plan.preset.note,
                "comparable": plan.preset.comparable,
                "studies": DESCRIPTIONS,
                "audits": plan.audits(),
                "datasets": credits(),
            }
        ),
        code=stage_code("page"),
        versions=stage_versions("page"),
        results=RESULTS,
    message:
        "Writing the report"
    shell:
        "{PYTHON} -m florilegium.stages.page --results {params.results} --images {input.images} --out {output.page}"
        " --spec {params.spec:q} --code {params.code} > {log} 2>&1"
