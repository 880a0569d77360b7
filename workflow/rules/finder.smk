# packed pixels and first weights -> the rate at which the loss falls fastest, and the largest batch that fits
#
# Any classifier's finder can be asked for by its path; a recipe takes a rate from it by `lr: from_finder`.

from florilegium.core.training_recipe import FROM_FINDER

FINDER = f"{RESULTS}/{{run}}/seed{{seed}}/finder"
FINDER_FILES = ("finder.csv", "finder.json", "receipt.json")
BATCH_FILES = ("batch_size.csv", "batch_size.json", "batch_size.png", "batch_size.receipt.json")


def takes_finder(e):
    return e.recipe.lr == FROM_FINDER


def finder_inputs(w, seeds):
    """What a training reads of its finder."""
    if not takes_finder(experiment_of(w)):
        return {}
    return {"finder": [f"{RESULTS}/{w.run}/seed{seed}/finder/finder.json" for seed in seeds]}


def finders_of(study):
    """The pictures behind the rates that experiments of a study take from their finders."""
    return [
        f"{RESULTS}/{e.key}/seed{seed}/finder/finder.png"
        for e in plan.of(study)
        for seed in e.seeds
        if takes_finder(e)
    ]


def finder_options(w):
    """Where a training is told its rate."""
    if not takes_finder(experiment_of(w)):
        return []
    return ["--finder", f"{RESULTS}/{w.run}/seed{{seed}}/finder/finder.json"]


def finder_modules(w, stage):
    return stage, *registry.modules(experiment_of(w).model.name)


for seeds in seeds_of("classification"):

    rule:
        name:
            f"find_lr_seed{'_'.join(map(str, seeds))}"
        input:
            unpack(image_inputs),
            unpack(partial(init_inputs, seeds=seeds)),
        output:
            expand(f"{FINDER}/{{file}}", seed=seeds, file=FINDER_FILES, allow_missing=True),
        log:
            f"logs/find_lr/{plan.settings.preset}/{{run}}/seed{'_'.join(map(str, seeds))}.log",
        wildcard_constraints:
            run=runs_together("classification", seeds),
        retries: 1
        resources:
            gpu=gpu_wanted(plan.settings.device),
            runtime=60,
            mem_mb=16000,
        params:
            **traced(partial(finder_modules, stage="find_lr")),
            spec=lambda w: canonical(plan.finder_spec(experiment_of(w))),
            seeds=seeds,
            options=features_options,
            device=plan.settings.device,
        message:
            "Finding a rate for {wildcards.run}, seeds {params.seeds}"
        shell:
            "{PYTHON} -m florilegium.stages.find_lr --seeds {params.seeds} {params.options:q}"
            " --device {params.device} --spec {params.spec:q} --code {params.code} > {log} 2>&1"


rule draw_finder:
    input:
        table=f"{FINDER}/finder.csv",
        found=f"{FINDER}/finder.json",
    output:
        picture=report(
            f"{FINDER}/finder.png",
            caption="../report/finder.rst",
            category="Learning-rate finders",
            labels={"run": "{run}", "seed": "{seed}"},
        ),
        receipt=f"{FINDER}/finder.receipt.json",
    log:
        f"logs/draw_finder/{plan.settings.preset}/{{run}}/seed{{seed}}.log",
    wildcard_constraints:
        run=r"[^/]+/[^/]+/[^/]+",
        seed=r"\d+",
    localrule: True
    params:
        **traced("draw_finder"),
        spec=lambda w: canonical(plan.caption_facts(experiment_of(w))),
    message:
        "Drawing the finder of {wildcards.run}, seed {wildcards.seed}"
    shell:
        "{PYTHON} -m florilegium.stages.draw_finder --table {input.table} --out {output.picture}"
        " --spec {params.spec:q} --code {params.code} > {log} 2>&1"


rule find_batch_size:
    input:
        unpack(image_inputs),
        unpack(lambda w: init_inputs(w, [w.seed])),
    output:
        expand(f"{FINDER}/{{file}}", file=BATCH_FILES, allow_missing=True),
    log:
        f"logs/find_batch_size/{plan.settings.preset}/{{run}}/seed{{seed}}.log",
    wildcard_constraints:
        run=r"[^/]+/[^/]+/[^/]+",
        seed=r"\d+",
    resources:
        gpu=gpu_wanted(plan.settings.device),
        runtime=60,
        mem_mb=lambda w: 4000 + round(1024 * plan.settings.batch_finder_gib),
    params:
        **traced(partial(finder_modules, stage="find_batch_size")),
        spec=lambda w: canonical(plan.finder_spec(experiment_of(w)) | plan.caption_facts(experiment_of(w))),
        options=features_options,
        gib=plan.settings.batch_finder_gib,
        device=plan.settings.device,
    message:
        "Finding the largest batch of {wildcards.run}, seed {wildcards.seed}"
    shell:
        "{PYTHON} -m florilegium.stages.find_batch_size --seeds {wildcards.seed} {params.options:q}"
        " --memory-gib {params.gib} --device {params.device} --spec {params.spec:q} --code {params.code}"
        " > {log} 2>&1"
