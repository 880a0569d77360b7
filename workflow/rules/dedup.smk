# verified files -> perceptual hashes -> leaks between every pair of data sets that meet


rule dedup_hash:
    """Hash every original image of a data set, in eight orientations, and find its local features."""
    input:
        files="resources/{source}/files.json",
    output:
        hashes=expand("resources/{{source}}/hashes/{file}", file=outputs.HASHES),
        receipt="resources/{source}/hashes.receipt.json",
    log:
        "logs/hash/{source}.log",
    wildcard_constraints:
        source=any_of(plan.datasets),
    priority: 10
    conda:
        ENVIRONMENT
    threads: 16  # or as many as there are
    resources:
        runtime=60,
        mem_mb=8000,
    params:
        **traced("hash", lambda w: specs.hashing(w.source)),
        out="resources/{source}/hashes",
        state="state/hashes/{source}",
    message:
        "Hashing the original images of {wildcards.source}"
    shell:
        "{PYTHON} -m florilegium.stages.hash --files {input.files:q}"
        " --workers {threads} --state {params.state:q} --out {params.out:q} --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"


rule dedup_audit:
    """Find pictures that two data sets share or one holds twice, and list those that the clean split drops."""
    input:
        unpack(lambda w: paths.audit_inputs(w.a, w.b)),
    output:
        pairs=f"{RESULTS}/audit/{{a}}__{{b}}/pairs.csv",
        dropped=f"{RESULTS}/audit/{{a}}__{{b}}/dropped.csv",
        summary=f"{RESULTS}/audit/{{a}}__{{b}}/summary.json",
        sheet=report(
            f"{RESULTS}/audit/{{a}}__{{b}}/contact_sheet.png",
            caption="../report/contact_sheet.rst",
            category="Audit",
            labels={"data sets": "{a} and {b}", "figure": "contact sheet"},
        ),
        distances=report(
            f"{RESULTS}/audit/{{a}}__{{b}}/distances.png",
            caption="../report/distances.rst",
            category="Audit",
            labels={"data sets": "{a} and {b}", "figure": "distances"},
        ),
        page=expand(f"{RESULTS}/audit/{{{{a}}}}__{{{{b}}}}/{{file}}", file=outputs.AUDIT_PAGE),
        receipt=f"{RESULTS}/audit/{{a}}__{{b}}/receipt.json",
    log:
        "logs/audit/{a}__{b}.log",
    wildcard_constraints:
        a=any_of({a for a, _ in plan.audits()}),
        b=any_of({b for _, b in plan.audits()}),
    priority: 10
    conda:
        ENVIRONMENT
    resources:
        runtime=60,
        mem_mb=8000,
    params:
        **traced("audit", specs.audit()),
        out=lambda w: paths.audit(w.a, w.b),
        hashes_a=lambda w: paths.of_source(w.a, "hashes"),
        hashes_b=lambda w: paths.of_source(w.b, "hashes"),
    message:
        "Looking for pictures of {wildcards.b} in {wildcards.a}"
    shell:
        "{PYTHON} -m florilegium.stages.audit --name-a {wildcards.a:q} --name-b {wildcards.b:q}"
        " --hashes-a {params.hashes_a:q} --hashes-b {params.hashes_b:q}"
        " --images-a {input.images_a:q} --images-b {input.images_b:q}"
        " --files-a {input.files_a:q} --files-b {input.files_b:q}"
        " --spec {params.spec:q} --code {params.code} --out {params.out:q} > {log:q} 2>&1"
