# packed pixels and clean split -> a trained and tested classifier

from florilegium.core.devices import gpu_wanted

RUN = f"{RESULTS}/{{run}}/seed{{seed}}"
RUN_FILES = (
    "metrics.json",
    "history.csv",
    "predictions.csv",
    "cost.json",
    "checkpoint.safetensors",
    "receipt.json",
)


def train_inputs(w, seeds):
    """Everything that one training reads, by role: images, or the features of a cached probe."""
    if is_cached(w):
        folders = {features_folder(w).format(seed=seed) for seed in seeds}
        cached = [f"{folder}/{name}" for folder in sorted(folders) for name in FEATURE_FILES]
        return {"features": cached} | init_inputs(w, seeds)
    return image_inputs(w) | generated_inputs(w, seeds) | init_inputs(w, seeds) | finder_inputs(w, seeds)


def image_inputs(w):
    """The images that an experiment sees, and the audits that decide which."""
    data = experiment_of(w).data
    source, _ = plan.source(data.dataset)
    found = {
        "pixels": f"resources/{source}/pixels{data.storage_size}.npy",
        "packed": f"resources/{source}/pixels{data.storage_size}.csv",
        "images": f"resources/{data.dataset}/images.csv",
        "classes": f"resources/{data.dataset}/images.json",
        "dropped": [f"{audit_folder(data.dataset, target)}/dropped.csv" for target in data.clean],
    }
    if data.holdout is not None:
        found["pairs"] = f"{audit_folder(data.dataset, data.dataset)}/pairs.csv"
    return found


def generated_inputs(w, seeds):
    made = generated_images(w)
    if made is None:
        return {}
    files = [made.format(seed=seed) for seed in seeds]
    return {"generated": [*files, *(f"{file.removesuffix('.npy')}.csv" for file in files)]}


def generated_images(w):
    """The file of generated images that a run learns from, too, `{seed}` left open; or None."""
    e = experiment_of(w)
    made = e.data.generated
    if made is None or not made.share:
        return None
    return f"{RESULTS}/{e.study}/{made.experiment}/{made.arm}/seed{{seed}}/samples/{made.samples}/samples.npy"


def init_inputs(w, seeds):
    start = first_weights(w)
    if start is None:
        return {}
    return {"init": [start.format(seed=seed) for seed in seeds] if "{seed}" in start else start}


def first_weights(w):
    """The path of the first weights, `{seed}` left open when they are another run's; or None."""
    e = experiment_of(w)
    if e.init is None:
        return None
    if e.init.experiment:
        return f"{RESULTS}/{e.study}/{e.init.experiment}/{e.init.arm}/seed{{seed}}/checkpoint.safetensors"
    return e.init.file or f"resources/weights/{e.init.weights}.safetensors"


def train_options(w, input):
    """Where a training writes, and arguments of its stage that only some experiments have; in one
    parameter, since Snakemake takes time for each of every job."""
    reading = ["--features", features_folder(w)] if is_cached(w) else image_options(input)
    return [
        *place_options(w),
        *reading,
        *finder_options(w),
        *init_options(w),
        *generated_options(w),
    ]


def place_options(w):
    place = f"{plan.settings.preset}/{w.run}"
    return [
        *("--out", f"results/{place}", "--state", f"state/{place}"),
        *("--tensorboard", f"logs/tensorboard/{place}"),
    ]


def init_options(w):
    start = first_weights(w)
    return ["--init", start] if start else []


def generated_options(w):
    made = generated_images(w)
    return ["--generated", made] if made else []


def image_options(input):
    """Arguments of the stages that read images."""
    options = ["--pixels", input.pixels, "--images", input.images, *dropped_options(input)]
    if input.get("pairs"):
        options += ["--pairs", input.pairs]
    return options


def dropped_options(input):
    dropped = input.get("dropped", [])
    return ["--dropped", *([dropped] if isinstance(dropped, str) else dropped)] if dropped else []


def train_modules(w):
    """The roots of a training's code: its stage, and the family of its network."""
    return "train", *registry.modules(experiment_of(w).model.name)


def weights_spec(w):
    entry = catalogue[w.name].model_dump(mode="json", exclude=set(SHOWN))
    override = plan.settings.weights.get(w.name)
    return canonical({"weights": entry, "override": override and override.model_dump(mode="json")})


rule weights:
    input:
        lambda w: own_files(plan.settings.weights.get(w.name)),
    output:
        weights="resources/weights/{name}.safetensors",
        receipt="resources/weights/{name}.receipt.json",
    log:
        "logs/weights/{name}.log",
    wildcard_constraints:
        name=any_of(plan.weights()),
    localrule: True
    params:
        **traced("weights"),
        spec=weights_spec,
    message:
        "Fetching the weights {wildcards.name}"
    shell:
        "{PYTHON} -m florilegium.stages.weights --name {wildcards.name} --out {output.weights}"
        " --spec {params.spec:q} --code {params.code} > {log} 2>&1"


# One job is one run, but in a preset whose runs are shorter than their imports.
for seeds in seeds_of("classification"):

    rule:
        name:
            f"train_seed{'_'.join(map(str, seeds))}"
        input:
            unpack(partial(train_inputs, seeds=seeds)),
        output:
            expand(f"{RUN}/{{file}}", seed=seeds, file=RUN_FILES, allow_missing=True),
        log:
            f"logs/train/{plan.settings.preset}/{{run}}/seed{'_'.join(map(str, seeds))}.log",
        wildcard_constraints:
            run=runs_together("classification", seeds),
        retries: 1
        threads: plan.settings.gpus_per_training
        resources:
            gpu=plan.settings.gpus_per_training * gpu_wanted(plan.settings.device),
            runtime=480,
            mem_mb=16000,
        params:
            **traced(train_modules),
            spec=lambda w: canonical(plan.spec(experiment_of(w))),
            seeds=seeds,
            options=train_options,
            device=DEVICE,
        message:
            "Training {wildcards.run}, seeds {params.seeds}"
        shell:
            "{PYTHON} -m florilegium.stages.train --seeds {params.seeds}"
            " {params.options:q} --device {params.device}"
            " --spec {params.spec:q} --code {params.code} > {log} 2>&1"
