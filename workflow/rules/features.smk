# frozen backbone and packed pixels -> what stands before the heads, once for all epochs and rates of a probe

from florilegium.core.recipe import FEATURE_FILES


def is_cached(w):
    """Whether a run trains its heads alone, on features."""
    return experiment_of(w).recipe.features == "cached"


def features_folder(w):
    """Where the features of a run lie, `{seed}` left open when each seed has its own."""
    seed = plan.features_seed(experiment_of(w))
    return f"{RESULTS}/{w.run}/seed{'{seed}' if seed is None else seed}/features"


def features_options(w, input):
    options = [*image_options(input), "--out", f"{RESULTS}/{w.run}"]
    if start := first_weights(w):
        options += ["--init", start]
    return options


def features_modules(w):
    return "features", *registry.modules(experiment_of(w).model.name)


for seeds, keys in plan.feature_groups().items():

    rule:
        name:
            f"features_seed{'_'.join(map(str, seeds))}"
        input:
            unpack(image_inputs),
            unpack(partial(init_inputs, seeds=seeds)),
        output:
            expand(
                f"{RESULTS}/{{run}}/seed{{seed}}/features/{{file}}",
                seed=seeds,
                file=(*FEATURE_FILES, "receipt.json"),
                allow_missing=True,
            ),
        log:
            f"logs/features/{plan.settings.preset}/{{run}}/seed{'_'.join(map(str, seeds))}.log",
        wildcard_constraints:
            run=any_of(keys),
        retries: 1
        resources:
            gpu=gpu_wanted(plan.settings.device),
            runtime=240,
            mem_mb=16000,
        params:
            **traced(features_modules),
            spec=lambda w: canonical(plan.features_spec(experiment_of(w))),
            seeds=seeds,
            options=features_options,
            device=plan.settings.device,
        message:
            "Features of {wildcards.run}, seeds {params.seeds}"
        shell:
            "{PYTHON} -m florilegium.stages.features --seeds {params.seeds} {params.options:q}"
            " --device {params.device} --spec {params.spec:q} --code {params.code} > {log} 2>&1"
