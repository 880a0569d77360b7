# metrics and receipts -> comparison with what was published, scores and costs

DESCRIPTIONS = {study: plan.description(study) for study in plan.studies}
PAGE = specs.page(DESCRIPTIONS)


def tables_of(study):
    """The tables of a study, with `generated` if it generates images."""
    return [*outputs.TABLES, *(["generated"] if any(e.samples for e in plan.of(study)) else [])]


rule compare_study:
    """Compare the runs of a study with what was published, and with one another."""
    input:
        lambda w: paths.runs(w.study, "metrics.json", "history.csv", "cost.json", "receipt.json", answers=True),
        images=lambda w: paths.tables(w.study),
        audits=lambda w: paths.summaries(w.study),
    output:
        claims=report(
            f"{RESULTS}/{{study}}/claims.csv",
            caption="../report/claims.rst",
            category="Comparison",
            labels={"study": "{study}", "table": "claims"},
        ),
        claims_text=f"{RESULTS}/{{study}}/claims.md",
        table=report(
            f"{RESULTS}/{{study}}/comparison.csv",
            caption="../report/comparison.rst",
            category="Comparison",
            labels={"study": "{study}", "table": "measured and published"},
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
            labels={"study": "{study}", "table": "costs of each arm"},
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
    conda:
        ENVIRONMENT
    params:
        **traced("compare", lambda w: DESCRIPTIONS[w.study]),
        runs=lambda w: f"{RESULTS}/{w.study}",
        description=lambda w: description_file(w.study),
    message:
        "Comparing {wildcards.study} with what was published"
    shell:
        "{PYTHON} -m florilegium.stages.compare --runs {params.runs:q} --images {input.images:q} --audits {input.audits:q}"
        " --out {output.table:q} --spec {params.description:q} --code {params.code} > {log:q} 2>&1"


rule compare_generated:
    """Tabulate the quality and the use of the images that a study generates."""
    input:
        lambda w: paths.samples(w.study, "samples.npy", "cost.json", "judge.json"),
        lambda w: paths.runs(w.study, "metrics.json", "history.csv"),
    output:
        table=report(
            f"{RESULTS}/{{study}}/generated.csv",
            caption="../report/generated_table.rst",
            category="Comparison",
            labels={"study": "{study}", "table": "quality of generated images"},
        ),
        text=f"{RESULTS}/{{study}}/generated.md",
        receipt=f"{RESULTS}/{{study}}/generated.receipt.json",
    log:
        f"logs/generated/{plan.settings.preset}/{{study}}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **traced("generated", lambda w: DESCRIPTIONS[w.study]),
        runs=lambda w: f"{RESULTS}/{w.study}",
        description=lambda w: description_file(w.study),
    message:
        "Tabulating the generated images of {wildcards.study}"
    shell:
        "{PYTHON} -m florilegium.stages.generated --runs {params.runs:q} --out {output.table:q}"
        " --spec {params.description:q} --code {params.code} > {log:q} 2>&1"


rule compare_claims:
    """Gather what became of the claims of all studies."""
    input:
        [f"{RESULTS}/{study}/claims.csv" for study in plan.studies],
    output:
        table=report(
            f"{RESULTS}/claims.csv",
            caption="../report/claims.rst",
            category="Summary",
            labels={"page": "claims"},
        ),
        text=f"{RESULTS}/claims.md",
        receipt=f"{RESULTS}/claims.receipt.json",
    log:
        f"logs/claims/{plan.settings.preset}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **traced("claims", PAGE),
        results=RESULTS,
        description=description_file("report"),
    message:
        "Gathering the claims"
    shell:
        "{PYTHON} -m florilegium.stages.claims --out {output.table:q} --results {params.results:q} --spec {params.description:q} --code {params.code}"
        " > {log:q} 2>&1"
