# archive -> verified files -> table (image, class, split); verified files -> packed pixels
# Data and audits go before trainings: they take all cores, and would wait for ever for a free pair.
# Resources are for a cluster (minutes, megabytes). What is light, or needs the internet, is a `localrule`: there
# it runs where Snakemake does.

DOWNLOADED = [name for name, d in plan.datasets.items() if d.rendered is None]
RENDERED = [name for name, d in plan.datasets.items() if d.rendered is not None]


# To readers only, and to estimates.
SHOWN = dict.fromkeys(("title", "citation", "terms", "homepage", "images", "sides"), True)
ORIGIN = {"files": {"__all__": {"urls", "md5", "sha256"}}}  # what counts once the files are verified


def dataset_spec(name, **without):
    """A data set as JSON values, without what is only shown to readers."""
    return plan.datasets[name].model_dump(mode="json", exclude_none=True, exclude=SHOWN | without)


def reading_spec(w):
    """What decoding the images of a data set depends on."""
    return canonical({"layout": plan.datasets[w.source].layout, "corrupt": plan.settings.corrupt_images})


def fetch_spec(w):
    override = plan.override(w.source)
    return canonical(
        {
            "dataset": dataset_spec(w.source),
            "override": override.model_dump(mode="json") if override else None,
        }
    )


def index_spec(w):
    source, split = plan.source(w.dataset)
    return canonical({"dataset": dataset_spec(source, **ORIGIN), "split": split})


def own_files(override):
    """The paths that an entry of config.yaml gives in place of published files."""
    files = override.files.values() if override else ()
    return [str(Path(file.path).expanduser()) for file in files if file != "absent"]


def local_files(w):
    """Files on this machine that a data set is made of, so that a change in one is seen."""
    dataset = plan.datasets[w.source]
    if dataset.folder is not None:
        folder = Path(dataset.folder).expanduser()
        return sorted(str(path) for path in folder.rglob("*") if path.is_file())
    return own_files(plan.override(w.source))


rule fetch:
    input:
        local_files,
    output:
        files="resources/{source}/files.json",
        receipt="resources/{source}/files.receipt.json",
    log:
        "logs/fetch/{source}.log",
    wildcard_constraints:
        source=any_of(DOWNLOADED),
    priority: 10
    localrule: True
    params:
        **traced("fetch"),
        spec=fetch_spec,
    message:
        "Fetching and verifying {wildcards.source}"
    shell:
        "{PYTHON} -m florilegium.stages.fetch --name {wildcards.source} --out {output.files}"
        " --spec {params.spec:q} --code {params.code} > {log} 2>&1"


rule render:
    output:
        files="resources/{source}/files.json",
        receipt="resources/{source}/files.receipt.json",
    log:
        "logs/render/{source}.log",
    wildcard_constraints:
        source=any_of(RENDERED),
    priority: 10
    localrule: True
    params:
        **traced("render"),
        spec=lambda w: canonical({"dataset": dataset_spec(w.source)}),
    message:
        "Drawing {wildcards.source}"
    shell:
        "{PYTHON} -m florilegium.stages.render --name {wildcards.source} --out {output.files}"
        " --spec {params.spec:q} --code {params.code} > {log} 2>&1"


rule index:
    input:
        files=lambda w: files_of(w.dataset),
    output:
        table="resources/{dataset}/images.csv",
        summary="resources/{dataset}/images.json",
        receipt="resources/{dataset}/images.receipt.json",
    log:
        "logs/index/{dataset}.log",
    priority: 10
    localrule: True
    params:
        **traced("index"),
        spec=index_spec,
    message:
        "Listing images, classes and splits of {wildcards.dataset}"
    shell:
        "{PYTHON} -m florilegium.stages.index --files {input.files} --out {output.table}"
        " --spec {params.spec:q} --code {params.code} > {log} 2>&1"


rule pack:
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
    threads: 16  # or as many as there are
    resources:
        runtime=60,
        mem_mb=8000,
    params:
        **traced("pack"),
        spec=reading_spec,
        corrupt=plan.settings.corrupt_images,
    message:
        "Packing {wildcards.source} at {wildcards.size} pixels"
    shell:
        "{PYTHON} -m florilegium.stages.pack --files {input.files} --size {wildcards.size}"
        " --corrupt {params.corrupt} --workers {threads} --out {output.pixels}"
        " --spec {params.spec:q} --code {params.code} > {log} 2>&1"
