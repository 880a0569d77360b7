# packed scenes with boxes -> a trained and tested detector

DETECTOR_FILES = (
    "metrics.json",
    "history.csv",
    "predictions.json",
    "detection.json",
    "matches.npz",
    "cost.json",
    "checkpoint.safetensors",
    "receipt.json",
)


def detector_inputs(w, seeds):
    """Everything that one training of a detector reads, by role."""
    data = experiment_of(w).data
    source, _ = plan.source(data.dataset)
    return {
        "pixels": f"resources/{source}/scenes{data.packing}.npy",
        "packed": f"resources/{source}/scenes{data.packing}.csv",
        "annotations": f"resources/{source}/annotations.json",
        "dropped": [f"{audit_folder(data.dataset, target)}/dropped.csv" for target in data.clean],
    } | init_inputs(w, seeds)


def detector_options(w, input):
    """As `train_options`."""
    return [*place_options(w), *dropped_options(input), *init_options(w)]


def detector_modules(w):
    return "train_detector", *registry.modules(experiment_of(w).model.name)


for seeds in seeds_of("detection"):

    rule:
        name:
            f"detect_seed{'_'.join(map(str, seeds))}"
        input:
            unpack(partial(detector_inputs, seeds=seeds)),
        output:
            expand(f"{RUN}/{{file}}", seed=seeds, file=DETECTOR_FILES, allow_missing=True),
        log:
            f"logs/train/{plan.settings.preset}/{{run}}/seed{'_'.join(map(str, seeds))}.log",
        wildcard_constraints:
            run=runs_together("detection", seeds),
        retries: 1
        threads: plan.settings.gpus_per_training
        resources:
            gpu=plan.settings.gpus_per_training * gpu_wanted(plan.settings.device),
            runtime=1440,
            mem_mb=16000,
        params:
            **traced(detector_modules),
            spec=lambda w: canonical(plan.spec(experiment_of(w))),
            seeds=seeds,
            options=detector_options,
            device=DEVICE,
        message:
            "Training the detector {wildcards.run}, seeds {params.seeds}"
        shell:
            "{PYTHON} -m florilegium.stages.train_detector --seeds {params.seeds} --pixels {input.pixels}"
            " --annotations {input.annotations} {params.options:q} --device {params.device}"
            " --spec {params.spec:q} --code {params.code} > {log} 2>&1"
