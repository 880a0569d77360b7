# packed pixels and clean split -> a trained generator -> images by class -> what they are worth

GENERATOR_FILES = tuple(name for name in RUN_FILES if name != "predictions.csv")
SAMPLES = f"{RUN}/samples/{{set}}"
SAMPLE_FILES = ("samples.npy", "samples.csv", "grid.png", "noise.png", "animation.gif", "cost.json")
JUDGE_FILES = ("judge.json", "neighbours.csv", "neighbours.png")
GENERATORS = {e.key: e for e in plan.experiments if e.samples}


def samples_of(study, *files):
    """What is made with the generators of a study."""
    return [
        f"{SAMPLES}/{file}".format(run=e.key, seed=seed, set=name)
        for e in GENERATORS.values()
        if e.study == study
        for seed in e.seeds
        for name in e.samples.sets
        for file in files
        if file not in (*JUDGE_FILES, "judge.receipt.json") or e.samples.judge
    ]


def sampling_spec(w):
    """How the images are drawn. Network and classes stand in the run's receipt, which is an input."""
    samples = experiment_of(w).samples
    return canonical({"sampling": samples.sets[w.set].model_dump(mode="json"), "shown": samples.shown})


def judge_checkpoint(w):
    e = experiment_of(w)
    judge = e.samples.judge
    return f"{RESULTS}/{e.study}/{judge.experiment}/{judge.arm}/seed{w.seed}/checkpoint.safetensors"


def generator_options(w, input):
    """As `train_options`."""
    return [*place_options(w), *image_options(input), *init_options(w)]


def generator_modules(w):
    return "train_generator", *registry.modules(experiment_of(w).model.name)


def sample_modules(w):
    return "sample", *registry.modules(experiment_of(w).model.name)


def judge_modules(w):
    """The roots of the code: the stage, and the family of the classifier."""
    e = experiment_of(w)
    judge = plan.find(e.study, e.samples.judge.experiment, e.samples.judge.arm)
    return "judge", *registry.modules(judge.model.name)


for seeds in seeds_of("generation"):

    rule:
        name:
            f"train_generator_seed{'_'.join(map(str, seeds))}"
        input:
            unpack(image_inputs),
            unpack(partial(init_inputs, seeds=seeds)),
        output:
            expand(f"{RUN}/{{file}}", seed=seeds, file=GENERATOR_FILES, allow_missing=True),
        log:
            f"logs/train/{plan.settings.preset}/{{run}}/seed{'_'.join(map(str, seeds))}.log",
        wildcard_constraints:
            run=runs_together("generation", seeds),
        retries: 1
        threads: plan.settings.gpus_per_training
        resources:
            gpu=plan.settings.gpus_per_training * gpu_wanted(plan.settings.device),
            runtime=1440,
            mem_mb=16000,
        params:
            **traced(generator_modules),
            spec=lambda w: canonical(plan.spec(experiment_of(w))),
            seeds=seeds,
            options=generator_options,
            device=DEVICE,
        message:
            "Training the generator {wildcards.run}, seeds {params.seeds}"
        shell:
            "{PYTHON} -m florilegium.stages.train_generator --seeds {params.seeds}"
            " {params.options:q} --device {params.device}"
            " --spec {params.spec:q} --code {params.code} > {log} 2>&1"


rule sample:
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
        run=any_of(GENERATORS),
        seed=r"\d+",
        set=r"[^/]+",
    retries: 1
    resources:
        gpu=gpu_wanted(plan.settings.device),
        runtime=240,
        mem_mb=8000,
    params:
        **traced(sample_modules),
        spec=sampling_spec,
        device=plan.settings.device,
        out=lambda w: SAMPLES.format(**w),
    message:
        "Drawing images from {wildcards.run}, seed {wildcards.seed}: {wildcards.set}"
    shell:
        "{PYTHON} -m florilegium.stages.sample --checkpoint {input.checkpoint} --out {params.out}"
        " --device {params.device} --spec {params.spec:q} --code {params.code} > {log} 2>&1"


rule judge:
    input:
        unpack(image_inputs),
        samples=f"{SAMPLES}/samples.npy",
        table=f"{SAMPLES}/samples.csv",
        generator=f"{RUN}/receipt.json",
        classifier=judge_checkpoint,
        hashes=lambda w: f"resources/{plan.source(experiment_of(w).data.dataset)[0]}/hashes.npz",
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
        run=any_of(key for key, e in GENERATORS.items() if e.samples.judge),
        seed=r"\d+",
        set=r"[^/]+",
    resources:
        gpu=gpu_wanted(plan.settings.device),
        runtime=60,
        mem_mb=8000,
    params:
        **traced(judge_modules),
        spec=canonical({"audit": plan.settings.audit.model_dump(mode="json")}),
        options=lambda w, input: image_options(input),
        device=plan.settings.device,
        out=lambda w: SAMPLES.format(**w),
    message:
        "Judging the images of {wildcards.run}, seed {wildcards.seed}: {wildcards.set}"
    shell:
        "{PYTHON} -m florilegium.stages.judge --samples {input.samples} --generator {input.generator}"
        " --classifier {input.classifier} --hashes {input.hashes} {params.options:q} --out {params.out}"
        " --device {params.device} --spec {params.spec:q} --code {params.code} > {log} 2>&1"
