# data sets with boxes: verified files -> checked annotations and their table -> packed pictures of any shape

DETECTION = [name for name, d in plan.datasets.items() if d.has_boxes]


def annotations_spec(w):
    return canonical({"dataset": dataset_spec(w.source, **ORIGIN), "bad_boxes": plan.settings.bad_boxes})


def scenes_spec(w):
    short_side, long_side, padding = w.packing.split("-")
    return canonical(
        {
            "short_side": int(short_side),
            "long_side": int(long_side),
            "padding": padding,
            "corrupt": plan.settings.corrupt_images,
        }
    )


ruleorder: annotations > index


rule annotations:
    input:
        files="resources/{source}/files.json",
    output:
        annotations="resources/{source}/annotations.json",
        table="resources/{source}/images.csv",
        summary="resources/{source}/images.json",
        bad_boxes="resources/{source}/bad_boxes.csv",
        receipt="resources/{source}/annotations.receipt.json",
    log:
        "logs/annotations/{source}.log",
    wildcard_constraints:
        source=any_of(DETECTION),
    priority: 10
    localrule: True
    params:
        **traced("annotations"),
        spec=annotations_spec,
    message:
        "Checking the annotations of {wildcards.source}"
    shell:
        "{PYTHON} -m florilegium.stages.annotations --files {input.files} --out {output.annotations}"
        " --spec {params.spec:q} --code {params.code} > {log} 2>&1"


rule scenes:
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
        source=any_of(DETECTION),
        packing=r"\d+-\d+-(least|doubled)",
    priority: 10
    threads: 16  # or as many as there are
    resources:
        runtime=60,
        mem_mb=8000,
    params:
        **traced("scenes"),
        spec=scenes_spec,
    message:
        "Packing {wildcards.source} at {wildcards.packing} pixels"
    shell:
        "{PYTHON} -m florilegium.stages.scenes --files {input.files} --annotations {input.annotations}"
        " --workers {threads} --out {output.pixels} --spec {params.spec:q} --code {params.code} > {log} 2>&1"
