# metrics and receipts -> comparison with what was published, and costs -> figures -> one page

from florilegium.core.files import write_text
from florilegium.figures.registry import planned
from florilegium.report.study import Study

TEMPLATES = os.path.relpath(f"{workflow.basedir}/src/florilegium/report")
TABLES = ("comparison", "differences", "costs", "scores")
DESCRIPTIONS = {study: plan.description(study) for study in plan.studies}
STUDIES = {study: Study.model_validate(d, strict=False) for study, d in DESCRIPTIONS.items()}
try:
    FIGURES = {study: planned(STUDIES[study]) for study in plan.studies}
except UserError as error:
    sys.exit(f"error: {error}")


def figures_of(study):
    """The figures of one study, by file."""
    return {f"{RESULTS}/{study}/figures/{figure.name}.png": figure for figure in FIGURES[study]}


def runs_of(study, *files, answers=False):
    """Files of every run of a study; what holds its answers depends on its task."""
    return [
        f"{RESULTS}/{study}/{entry.experiment}/{entry.arm}/seed{seed}/{file}"
        for entry in STUDIES[study].entries
        for seed in entry.seeds
        for file in (*files, *(entry.scoring.answers if answers else ()))
    ]


def extra_tables(study):
    """Tables that only some studies have."""
    return ["generated"] if any(e.samples for e in plan.of(study)) else []


def told(name, text):
    """A file that tells a stage what to report on: of many arms it is too long for a command line."""
    path = Path("state") / plan.settings.preset / "report" / f"{name}.json"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return str(path)


def pictures_of(study):
    """Packed pixels of the data sets that a study tests on, for its sample predictions."""
    classified = (e for e in plan.of(study) if e.task == "classification")
    places = {(plan.source(e.data.dataset)[0], e.data.storage_size) for e in classified}
    return [f"resources/{source}/pixels{size}.npy" for source, size in sorted(places)]


def scenes_of(study):
    """Packed pictures of the arm whose single detections are shown, and what they show."""
    shown = STUDIES[study].detector()
    if shown is None:
        return [], []
    folder = f"resources/{shown.source}"
    return [f"{folder}/scenes{shown.packing}.npy"], [f"{folder}/annotations.json"]


def tables_of(study):
    """The tables of images, classes and splits of a study's data sets."""
    return [f"resources/{name}/images.json" for name in sorted({e.data.dataset for e in plan.of(study)})]


def credits():
    """What readers are told about each data set in use."""
    used = sorted({e.data.dataset for e in plan.experiments})
    facts = {"title", "citation", "terms", "homepage"}
    return {name: plan.datasets[plan.source(name)[0]].model_dump(include=facts) for name in used}


PAGE = canonical(
    {
        "preset": plan.settings.preset,
        "title": plan.preset.title,
        "note": plan.preset.note,
        "studies": DESCRIPTIONS,
        "audits": plan.audits(),
        "datasets": credits(),
    }
)


rule compare:
    input:
        lambda w: runs_of(w.study, "metrics.json", "history.csv", "cost.json", "receipt.json", answers=True),
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
        costs=report(
            f"{RESULTS}/{{study}}/costs.csv",
            caption="../report/costs.rst",
            category="Comparison",
            labels={"study": "{study}", "table": "what each arm cost"},
        ),
        costs_text=f"{RESULTS}/{{study}}/costs.md",
        scores=report(
            f"{RESULTS}/{{study}}/scores.csv",
            caption="../report/scores.rst",
            category="Comparison",
            labels={"study": "{study}", "table": "every score"},
        ),
        receipt=f"{RESULTS}/{{study}}/comparison.receipt.json",
    log:
        f"logs/compare/{plan.settings.preset}/{{study}}.log",
    localrule: True
    params:
        **traced("compare"),
        spec=lambda w: canonical(DESCRIPTIONS[w.study]),
        runs=lambda w: f"{RESULTS}/{w.study}",
        told=lambda w: told(w.study, canonical(DESCRIPTIONS[w.study])),
    message:
        "Comparing {wildcards.study} with what was published"
    shell:
        "{PYTHON} -m florilegium.stages.compare --runs {params.runs} --images {input.images} --out {output.table}"
        " --spec {params.told} --code {params.code} > {log} 2>&1"


for study in plan.studies:

    rule:
        name:
            f"figures_{study}"
        input:
            runs_of(study, "metrics.json", "history.csv", "cost.json", answers=True),
            attention_of(study, "maps.npz", "attention.csv"),
            attribution_of(study, "maps.npz", "attribution.csv", "scores.csv"),
            samples_of(study, "samples.npy", "samples.csv", "cost.json", "judge.json"),
            comparison=f"{RESULTS}/{study}/comparison.csv",
            differences=f"{RESULTS}/{study}/differences.csv",
            scores=f"{RESULTS}/{study}/scores.csv",
            images=tables_of(study),
            pixels=pictures_of(study),
            scenes=scenes_of(study)[0],
            annotations=scenes_of(study)[1],
        output:
            *[
                report(
                    path,
                    caption="../report/figures.rst",
                    category=plan.studies[study].title,
                    labels={"figure": figure.name.replace("_", " "), "question": figure.question},
                )
                for path, figure in figures_of(study).items()
            ],
            receipt=f"{RESULTS}/{study}/figures/receipt.json",
        log:
            f"logs/figures/{plan.settings.preset}/{study}.log",
        localrule: True
        params:
            **traced("figures"),
            spec=canonical(DESCRIPTIONS[study]),
            runs=f"{RESULTS}/{study}",
            out=f"{RESULTS}/{study}/figures",
            told=told(study, canonical(DESCRIPTIONS[study])),
        message:
            f"Drawing the figures of {study}"
        shell:
            "{PYTHON} -m florilegium.stages.figures --runs {params.runs} --comparison {input.comparison}"
            " --images {input.images} --pixels {input.pixels} --scenes {input.scenes} --out {params.out}"
            " --spec {params.told} --code {params.code} > {log} 2>&1"


rule generated:
    input:
        lambda w: samples_of(w.study, "samples.npy", "cost.json", "judge.json"),
        lambda w: runs_of(w.study, "metrics.json", "history.csv"),
    output:
        table=report(
            f"{RESULTS}/{{study}}/generated.csv",
            caption="../report/generated_table.rst",
            category="Comparison",
            labels={"study": "{study}", "table": "what generated images are worth"},
        ),
        text=f"{RESULTS}/{{study}}/generated.md",
        receipt=f"{RESULTS}/{{study}}/generated.receipt.json",
    log:
        f"logs/generated/{plan.settings.preset}/{{study}}.log",
    localrule: True
    params:
        **traced("generated"),
        spec=lambda w: canonical(DESCRIPTIONS[w.study]),
        runs=lambda w: f"{RESULTS}/{w.study}",
        told=lambda w: told(w.study, canonical(DESCRIPTIONS[w.study])),
    message:
        "Tabling the generated images of {wildcards.study}"
    shell:
        "{PYTHON} -m florilegium.stages.generated --runs {params.runs} --out {output.table}"
        " --spec {params.told} --code {params.code} > {log} 2>&1"


rule page:
    input:
        [f"{RESULTS}/{study}/{table}.csv" for study in plan.studies for table in extra_tables(study)],
        [f"{RESULTS}/{study}/{table}.csv" for study in plan.studies for table in TABLES],
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
        **traced("page"),
        spec=PAGE,
        results=RESULTS,
        told=told("page", PAGE),
    message:
        "Writing the report"
    shell:
        "{PYTHON} -m florilegium.stages.page --results {params.results} --images {input.images} --out {output.page}"
        " --spec {params.told} --code {params.code} > {log} 2>&1"
