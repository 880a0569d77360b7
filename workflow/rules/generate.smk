# trained generator -> images by class -> their judgement

GENERATORS = {e.key: e for e in plan.experiments if e.samples}
SAMPLES = f"{RUN}/samples/{{set}}"


def judge_of(w):
    """The network of the classifier that judges a run's images, for `traced`."""
    e = experiment_of(w)
    return [plan.find(e.study, e.samples.judge.experiment, e.samples.judge.arm).model.name]


rule generate_samples:
    """Make a set of images with a trained generator, class by class."""
    input:
        checkpoint=f"{RUN}/checkpoint.safetensors",
        receipt=f"{RUN}/receipt.json",
    output:
        images=f"{SAMPLES}/samples.npy",
        table=f"{SAMPLES}/samples.csv",
        grid=report(
            f"{SAMPLES}/grid.png",
            caption="../report/samples_grid.rst",
            category="Generation",
            labels={"run": "{run}, seed {seed}", "set": "{set}", "figure": "images by class"},
        ),
        noise=f"{SAMPLES}/noise.png",
        animation=report(
            f"{SAMPLES}/animation.gif",
            caption="../report/samples_animation.rst",
            category="Generation",
            labels={"run": "{run}, seed {seed}", "set": "{set}", "figure": "from noise to images"},
        ),
        cost=f"{SAMPLES}/cost.json",
        receipt=f"{SAMPLES}/receipt.json",
    log:
        f"logs/sample/{plan.settings.preset}/{{run}}/seed{{seed}}-{{set}}.log",
    wildcard_constraints:
        run=any_run(GENERATORS),
        seed=r"\d+",
        set=r"[^/]+",
    retries: 1
    conda:
        ENVIRONMENT
    resources:
        gpu=GPU,
        runtime=240,
        mem_mb=8000,
    params:
        **traced("sample", lambda w: specs.sampling(experiment_of(w), w.set), network_of),
        device=plan.settings.device,
        out=lambda w: SAMPLES.format(**w),
    message:
        "Making images with {wildcards.run}, seed {wildcards.seed}: {wildcards.set}"
    shell:
        "{PYTHON} -m florilegium.stages.sample --checkpoint {input.checkpoint:q} --out {params.out:q}"
        " --device {params.device} --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"


rule generate_judgement:
    """Judge generated images by a classifier of real ones, and by their nearest real images."""
    input:
        unpack(by_run(paths.image_inputs)),
        samples=f"{SAMPLES}/samples.npy",
        table=f"{SAMPLES}/samples.csv",
        generator=f"{RUN}/receipt.json",
        classifier=lambda w: paths.judge(experiment_of(w), w.seed),
        hashes=lambda w: paths.hashes(experiment_of(w).data.dataset),
    output:
        judgement=f"{SAMPLES}/judge.json",
        neighbours=f"{SAMPLES}/neighbours.csv",
        picture=report(
            f"{SAMPLES}/neighbours.png",
            caption="../report/samples_neighbours.rst",
            category="Generation",
            labels={"run": "{run}, seed {seed}", "set": "{set}", "figure": "nearest real images"},
        ),
        receipt=f"{SAMPLES}/judge.receipt.json",
    log:
        f"logs/judge/{plan.settings.preset}/{{run}}/seed{{seed}}-{{set}}.log",
    wildcard_constraints:
        run=any_run(key for key, e in GENERATORS.items() if e.samples.judge),
        seed=r"\d+",
        set=r"[^/]+",
    conda:
        ENVIRONMENT
    resources:
        gpu=GPU,
        runtime=60,
        mem_mb=8000,
    params:
        **traced("judge", specs.audit(), judge_of),
        hashes=lambda w: paths.of_source(experiment_of(w).data.dataset, "hashes"),
        options=by_run(paths.image_options),
        device=plan.settings.device,
        out=lambda w: SAMPLES.format(**w),
    message:
        "Judging the images of {wildcards.run}, seed {wildcards.seed}: {wildcards.set}"
    shell:
        "{PYTHON} -m florilegium.stages.judge --samples {input.samples:q} --generator {input.generator:q}"
        " --classifier {input.classifier:q} --hashes {params.hashes:q} {params.options:q} --out {params.out:q}"
        " --device {params.device} --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"
