# comparison, runs, samples and explanations -> figures -> one page

from florilegium.figures.registry import planned
from florilegium.report.study import Study

TEMPLATES = os.path.relpath(f"{workflow.basedir}/src/florilegium/report")
STUDIES = {study: Study.model_validate(d, strict=False) for study, d in DESCRIPTIONS.items()}
FIGURES = {
    study: {f"{RESULTS}/{study}/figures/{plot.name}.png": plot for plot in planned(STUDIES[study])}
    for study in plan.studies
}


def boxed_of(study):
    """Packed images and annotations of the arm whose single detections are plotted."""
    detector = STUDIES[study].detector()
    if detector is None:
        return {"scenes": [], "annotations": []}
    folder = f"resources/{detector.source}"
    return {"scenes": f"{folder}/scenes{detector.packing}.npy", "annotations": f"{folder}/annotations.json"}


for study in plan.studies:

    rule:
        """Plot every figure of a study."""
        name:
            f"plot_{study}"
        input:
            paths.runs(study, "metrics.json", "history.csv", "cost.json", answers=True),
            paths.attention(study, "maps.npz", "attention.csv"),
            paths.attribution(study, "maps.npz", "attribution.csv", "scores.csv"),
            paths.samples(study, "samples.npy", "samples.csv", "cost.json", "judge.json"),
            **boxed_of(study),
            comparison=f"{RESULTS}/{study}/comparison.csv",
            differences=f"{RESULTS}/{study}/differences.csv",
            scores=f"{RESULTS}/{study}/scores.csv",
            images=paths.tables(study),
            pixels=paths.pixels(study),
        output:
            *[
                report(
                    path,
                    caption="../report/figures.rst",
                    category=literal(plan.studies[study].title),
                    labels={"figure": plot.name.replace("_", " "), "question": literal(plot.question)},
                )
                for path, plot in FIGURES[study].items()
            ],
            receipt=f"{RESULTS}/{study}/figures/receipt.json",
        log:
            f"logs/figures/{plan.settings.preset}/{study}.log",
        localrule: True
        conda:
            ENVIRONMENT
        params:
            **traced("figures", DESCRIPTIONS[study]),
            runs=f"{RESULTS}/{study}",
            out=f"{RESULTS}/{study}/figures",
            description=description_file(study),
        message:
            f"Plotting the figures of {study}"
        shell:
            "{PYTHON} -m florilegium.stages.figures --runs {params.runs:q} --comparison {input.comparison:q}"
            " --images {input.images:q} --pixels {input.pixels:q} --scenes {input.scenes:q} --out {params.out:q}"
            " --spec {params.description:q} --code {params.code} > {log:q} 2>&1"


rule plot_finder:
    """Plot the range test of a learning-rate finder."""
    input:
        table=f"{RUN}/finder/finder.csv",
        suggestion=f"{RUN}/finder/finder.json",
    output:
        picture=report(
            f"{RUN}/finder/finder.png",
            caption="../report/finder.rst",
            category="Learning-rate finders",
            labels={"run": "{run}", "seed": "{seed}"},
        ),
        receipt=f"{RUN}/finder/finder.receipt.json",
    log:
        f"logs/draw_finder/{plan.settings.preset}/{{run}}/seed{{seed}}.log",
    wildcard_constraints:
        run=r"[^/]+/[^/]+/[^/]+",
        seed=r"\d+",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **traced("draw_finder", by_run(plan.caption_facts)),
    message:
        "Plotting the finder of {wildcards.run}, seed {wildcards.seed}"
    shell:
        "{PYTHON} -m florilegium.stages.draw_finder --table {input.table:q} --out {output.picture:q}"
        " --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"


rule plot_page:
    """Write the report: every figure, table and audit of the preset, on one page without other files."""
    input:
        [f"{RESULTS}/{study}/{table}.csv" for study in plan.studies for table in tables_of(study)],
        [list(FIGURES[study]) for study in plan.studies],
        [paths.runs(study, "metrics.json", "history.csv", "cost.json", "receipt.json") for study in plan.studies],
        paths.audits(),
        [f"{TEMPLATES}/{name}" for name in ("page.html", "page.css", "page.js", "claims.html", "claims.css")],
        images=paths.tables(),
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
    conda:
        ENVIRONMENT
    params:
        **traced("page", PAGE),
        results=RESULTS,
        description=description_file("report"),
    message:
        "Writing the report"
    shell:
        "{PYTHON} -m florilegium.stages.page --results {params.results} --images {input.images:q} --out {output.page:q}"
        " --spec {params.description:q} --code {params.code} > {log:q} 2>&1"
