# archive -> verified files -> table (image, class, split), or checked annotations; published weights
#
# Jobs on data and audits have priority over trainings: they take all cores, and would otherwise wait until no training
# is left. Resources are for a cluster (minutes, megabytes). A rule that is light or needs the internet is a `localrule`,
# so that it runs beside Snakemake even on a cluster.

from florilegium.plan.specs import Specs

specs = Specs(plan, catalogue)


def mark_of(kind, name):
    """The mark of the files of one's own that a data set or weights are made of, and for people what has changed."""
    try:
        mark = specs.mark(kind, name)
    except UserError as error:
        refuse(error)
    if mark.told:
        reasons.CHANGED_FILES[mark.text] = mark.told
    return mark.text


rule download_files:
    """Download the archives of a data set, verify and extract them; or list a folder of your own."""
    output:
        files="resources/{source}/files.json",
        receipt="resources/{source}/files.receipt.json",
    log:
        "logs/fetch/{source}.log",
    wildcard_constraints:
        source=any_of(name for name, d in plan.datasets.items() if d.rendered is None),
    priority: 10
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **traced("fetch", lambda w: specs.download(w.source)),
        local_files=lambda w: mark_of("datasets", w.source),
    message:
        "Fetching and verifying {wildcards.source}"
    shell:
        "{PYTHON} -m florilegium.stages.fetch --name {wildcards.source:q} --out {output.files:q}"
        " --local-files '{params.local_files}'"
        " --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"


rule download_rendered:
    """Render a data set of the demo, which needs no network."""
    output:
        files="resources/{source}/files.json",
        receipt="resources/{source}/files.receipt.json",
    log:
        "logs/render/{source}.log",
    wildcard_constraints:
        source=any_of(name for name, d in plan.datasets.items() if d.rendered is not None),
    priority: 10
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **traced("render", lambda w: {"dataset": specs.dataset(w.source)}),
    message:
        "Rendering {wildcards.source}"
    shell:
        "{PYTHON} -m florilegium.stages.render --name {wildcards.source:q} --out {output.files:q}"
        " --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"


rule download_table:
    """List the images, classes and splits of a data set, or of one of its official splits."""
    input:
        files=lambda w: paths.of_source(w.dataset, "files.json"),
    output:
        table="resources/{dataset}/images.csv",
        summary="resources/{dataset}/images.json",
        receipt="resources/{dataset}/images.receipt.json",
    log:
        "logs/index/{dataset}.log",
    priority: 10
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **traced("index", lambda w: specs.table(w.dataset)),
    message:
        "Listing images, classes and splits of {wildcards.dataset}"
    shell:
        "{PYTHON} -m florilegium.stages.index --files {input.files:q} --out {output.table:q}"
        " --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"


ruleorder: download_boxes > download_table


rule download_boxes:
    """Check the annotations of a data set with boxes, and list its images, classes and splits."""
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
        source=any_of(name for name, d in plan.datasets.items() if d.has_boxes),
    priority: 10
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **traced("annotations", lambda w: specs.annotations(w.source)),
    message:
        "Checking the annotations of {wildcards.source}"
    shell:
        "{PYTHON} -m florilegium.stages.annotations --files {input.files:q} --out {output.annotations:q}"
        " --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"


rule download_weights:
    """Download published weights that experiments start from, and verify them."""
    output:
        weights="resources/weights/{name}.safetensors",
        receipt="resources/weights/{name}.receipt.json",
    log:
        "logs/weights/{name}.log",
    wildcard_constraints:
        name=any_of(plan.weights()),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **traced("weights", lambda w: specs.weights(w.name)),
        local_files=lambda w: mark_of("weights", w.name),
    message:
        "Fetching the weights {wildcards.name}"
    shell:
        "{PYTHON} -m florilegium.stages.weights --name {wildcards.name:q} --out {output.weights:q}"
        " --local-files '{params.local_files}'"
        " --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"
