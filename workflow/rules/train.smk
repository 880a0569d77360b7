# packed pixels and clean split -> a trained and tested network, by phase and task
#
# One job is one run, except in a preset with `share_process`, whose runs are shorter than their imports.

TRAININGS = plan.trainings()
# Of each task: its stage, the suffix of its rules' names, and minutes on a cluster.
TASKS = {
    "classification": ("train", "", 480),
    "detection": ("train_detector", "_detector", 1440),
    "generation": ("train_generator", "_generator", 1440),
}
FASTEST_KERNELS = "" if plan.settings.deterministic else " --fastest-kernels"


def runs_together(group):
    """A wildcard constraint for the runs of a rule: any run, or a list of names where rules share seeds.

    Snakemake repeats the constraint in every pattern of every job, so that with a list of all runs the time to plan would
    grow with the square of their number.
    """
    return any_run(TRAININGS[group]) if shares_seeds(group, TRAININGS) else r"[^/]+/[^/]+/[^/]+"


for group in TRAININGS:
    phase, task, seeds = group
    stage, kind, minutes = TASKS[task]

    rule:
        """Train and test runs of one phase, named first, with these seeds."""
        name:
            f"{phase}{kind}_{seeds_in(seeds)}"
        input:
            unpack(by_run(paths.training_inputs, seeds=seeds)),
        output:
            expand(f"{RUN}/{{file}}", seed=seeds, file=(*outputs.RUN[task], outputs.RECEIPT), allow_missing=True),
        log:
            f"logs/train/{plan.settings.preset}/{{run}}/{seeds_in(seeds)}.log",
        wildcard_constraints:
            run=runs_together(group),
        retries: 1
        conda:
            ENVIRONMENT
        threads: plan.settings.gpus_per_training
        resources:
            gpu=plan.settings.gpus_per_training * GPU,
            runtime=minutes,
            mem_mb=16000,
        params:
            **traced(stage, by_run(plan.spec), network_of),
            first_weights=by_run(lambda e: specs.first_weights(e).text),
            stage=stage,
            seeds=seeds,
            options=by_run(paths.training_options),
            device=plan.settings.device + FASTEST_KERNELS,
        message:
            f"{phase.capitalize()} {{wildcards.run}}, seeds {{params.seeds}}"
        shell:
            "{PYTHON} -m florilegium.stages.{params.stage} --seeds {params.seeds}"
            " {params.options:q} --device {params.device}"
            " --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"


CLASSIFIERS = {seeds: keys for (task, seeds), keys in plan.groups().items() if task == "classification"}
# Jobs before a training: folder, stage, files, minutes, spec, and the runs by the seeds that share a process.
BEFORE = [
    ("features", "features", outputs.FEATURES, 240, plan.features_spec, plan.feature_groups()),
    ("finder", "find_lr", outputs.FINDER, 60, plan.finder_spec, CLASSIFIERS),
]

for folder, stage, files, minutes, spec, runs in BEFORE:
    for seeds, keys in runs.items():

        rule:
            """Compute the input of a training: features of a frozen backbone, or a finder's learning rate."""
            name:
                f"train_{folder}_{seeds_in(seeds)}"
            input:
                unpack(by_run(paths.start_inputs, seeds=seeds)),
            output:
                expand(
                    f"{RUN}/{folder}/{{file}}",
                    seed=seeds,
                    file=(*files, outputs.RECEIPT),
                    allow_missing=True,
                ),
            log:
                f"logs/{stage}/{plan.settings.preset}/{{run}}/{seeds_in(seeds)}.log",
            wildcard_constraints:
                run=any_run(keys),
            retries: 1
            conda:
                ENVIRONMENT
            resources:
                gpu=GPU,
                runtime=minutes,
                mem_mb=16000,
            params:
                **traced(stage, by_run(spec), network_of),
                first_weights=by_run(lambda e: specs.first_weights(e).text),
                stage=stage,
                seeds=seeds,
                options=by_run(paths.start_options),
                device=plan.settings.device,
            message:
                f"{folder.capitalize()} of {{wildcards.run}}, seeds {{params.seeds}}"
            shell:
                "{PYTHON} -m florilegium.stages.{params.stage} --seeds {params.seeds} {params.options:q}"
                " --device {params.device} --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"
