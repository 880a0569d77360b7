# verified files -> packed pixels: of one size, or with boxes in shapes of their own


rule pack_images:
    """Decode every image of a data set once, into an array of one size."""
    input:
        files="resources/{source}/files.json",
    output:
        pixels="resources/{source}/pixels{size}.npy",
        table="resources/{source}/pixels{size}.csv",
        skipped="resources/{source}/pixels{size}.skipped.csv",
        receipt="resources/{source}/pixels{size}.receipt.json",
    log:
        "logs/pack/{source}-{size}.log",
    wildcard_constraints:
        source=any_of(plan.datasets),
        size=r"\d+",
    priority: 10
    conda:
        ENVIRONMENT
    threads: 16  # or as many as there are
    resources:
        runtime=60,
        mem_mb=8000,
    params:
        **traced("pack", lambda w: specs.reading(w.source)),
    message:
        "Packing {wildcards.source} at {wildcards.size} pixels"
    shell:
        "{PYTHON} -m florilegium.stages.pack --files {input.files:q} --size {wildcards.size:q}"
        " --workers {threads} --out {output.pixels:q}"
        " --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"


rule pack_boxed:
    """Decode every image of a data set with boxes once, each in its own shape, into one file."""
    input:
        files="resources/{source}/files.json",
        annotations="resources/{source}/annotations.json",
    output:
        pixels="resources/{source}/scenes{packing}.npy",
        table="resources/{source}/scenes{packing}.csv",
        skipped="resources/{source}/scenes{packing}.skipped.csv",
        receipt="resources/{source}/scenes{packing}.receipt.json",
    log:
        "logs/scenes/{source}-{packing}.log",
    wildcard_constraints:
        source=any_of(name for name, d in plan.datasets.items() if d.has_boxes),
        packing=r"\d+-\d+-(least|doubled)",
    priority: 10
    conda:
        ENVIRONMENT
    threads: 16  # or as many as there are
    resources:
        runtime=60,
        mem_mb=8000,
    params:
        **traced("scenes", lambda w: specs.boxed(w.packing)),
    message:
        "Packing {wildcards.source} at {wildcards.packing} pixels"
    shell:
        "{PYTHON} -m florilegium.stages.scenes --files {input.files:q} --annotations {input.annotations:q}"
        " --workers {threads} --out {output.pixels:q} --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"
