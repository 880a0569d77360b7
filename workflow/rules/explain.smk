# trained classifier and test pixels -> what its attention looks at, and which pixels its answers depend on

ATTENTION = f"{RUN}/attention"
ATTENTION_FILES = ("maps.npz", "attention.csv", "receipt.json")
ATTENTION_PICTURES = {"tokens": ("maps.png", "rollout.png"), "nodes": ("nodes.png",)}
ATTENTIVE = plan.with_attention()
ATTRIBUTION = f"{RUN}/attribution"
ATTRIBUTION_FILES = ("maps.npz", "attribution.csv", "scores.csv", "cost.json", "scores.png", "receipt.json")
EXPLAINED = plan.with_attribution()


def attention_of(study, *files, pictures=False):
    """What is seen of the attention of a study's networks, in the first seed of each arm."""
    return [
        f"{ATTENTION}/{file}".format(run=e.key, seed=e.seeds[0])
        for e in ATTENTIVE.values()
        if e.study == study
        for file in [*files, *(ATTENTION_PICTURES[e.attention.of] if pictures else [])]
    ]


def tested_pixels(w):
    """The packed images that a run was tested on, and their names."""
    data = experiment_of(w).data
    source, _ = plan.source(data.dataset)
    return {
        "pixels": f"resources/{source}/pixels{data.storage_size}.npy",
        "packed": f"resources/{source}/pixels{data.storage_size}.csv",
    }


def attention_spec(w):
    """What is looked at. Network and images stand in the run's receipt, which is an input."""
    return canonical(
        {
            "attention": experiment_of(w).attention.model_dump(mode="json"),
            **plan.origin(experiment_of(w)),
        }
    )


def attention_modules(w):
    """The roots of the code: the stage, and the family of the network."""
    return "attention", *registry.modules(experiment_of(w).model.name)


def attribution_of(study, *files, figures=False):
    """What explains the answers of a study's classifiers, in the first seed of each arm."""
    return [
        f"{ATTRIBUTION}/{file}".format(run=e.key, seed=e.seeds[0])
        for e in EXPLAINED.values()
        if e.study == study
        for file in [*files, *(attribution_figures(e.attribution.figures) if figures else [])]
    ]


def attribution_figures(count):
    """A figure for each of `count` images."""
    return [f"image{number + 1}.png" for number in range(count)]


def attribution_spec(w):
    """What is explained, and how. Network and images stand in the run's receipt, which is an input."""
    return canonical(
        {
            "attribution": experiment_of(w).attribution.model_dump(mode="json"),
            **plan.origin(experiment_of(w)),
        }
    )


def attribution_modules(w):
    """The roots of the code: the stage, and the family of the network."""
    return "attribution", *registry.modules(experiment_of(w).model.name)


rule attention:
    input:
        unpack(tested_pixels),
        checkpoint=f"{RUN}/checkpoint.safetensors",
        receipt=f"{RUN}/receipt.json",
        predictions=f"{RUN}/predictions.csv",
    output:
        arrays=f"{ATTENTION}/maps.npz",
        table=f"{ATTENTION}/attention.csv",
        maps=report(
            f"{ATTENTION}/maps.png",
            caption="../report/attention_maps.rst",
            category="Explanation",
            labels={"run": "{run}, seed {seed}", "figure": "attention maps"},
        ),
        rollout=report(
            f"{ATTENTION}/rollout.png",
            caption="../report/attention_rollout.rst",
            category="Explanation",
            labels={"run": "{run}, seed {seed}", "figure": "attention rollout"},
        ),
        receipt=f"{ATTENTION}/receipt.json",
    log:
        f"logs/attention/{plan.settings.preset}/{{run}}/seed{{seed}}.log",
    wildcard_constraints:
        run=any_of(key for key, e in ATTENTIVE.items() if e.attention.of == "tokens"),
        seed=r"\d+",
    resources:
        gpu=gpu_wanted(plan.settings.device),
        runtime=30,
        mem_mb=8000,
    params:
        **traced(attention_modules),
        spec=attention_spec,
        device=plan.settings.device,
        out=lambda w: ATTENTION.format(run=w.run, seed=w.seed),
    message:
        "Looking at the attention of {wildcards.run}, seed {wildcards.seed}"
    shell:
        "{PYTHON} -m florilegium.stages.attention --checkpoint {input.checkpoint} --pixels {input.pixels}"
        " --device {params.device} --out {params.out} --spec {params.spec:q} --code {params.code} > {log} 2>&1"


use rule attention as attention_of_nodes with:
    output:
        arrays=f"{ATTENTION}/maps.npz",
        table=f"{ATTENTION}/attention.csv",
        nodes=report(
            f"{ATTENTION}/nodes.png",
            caption="../report/attention_nodes.rst",
            category="Explanation",
            labels={"run": "{run}, seed {seed}", "figure": "attention over nodes"},
        ),
        receipt=f"{ATTENTION}/receipt.json",
    wildcard_constraints:
        run=any_of(key for key, e in ATTENTIVE.items() if e.attention.of == "nodes"),
        seed=r"\d+",


# A rule for each number of images that have a figure, since these are its outputs.
for count in sorted({e.attribution.figures for e in EXPLAINED.values()}):

    rule:
        name:
            f"attribution_{count}"
        input:
            unpack(tested_pixels),
            checkpoint=f"{RUN}/checkpoint.safetensors",
            receipt=f"{RUN}/receipt.json",
            predictions=f"{RUN}/predictions.csv",
        output:
            *[
                report(
                    f"{ATTRIBUTION}/{file}",
                    caption="../report/attribution_image.rst",
                    category="Explanation",
                    labels={"run": "{run}, seed {seed}", "figure": file.removesuffix(".png")},
                )
                for file in attribution_figures(count)
            ],
            arrays=f"{ATTRIBUTION}/maps.npz",
            table=f"{ATTRIBUTION}/attribution.csv",
            scores=f"{ATTRIBUTION}/scores.csv",
            cost=f"{ATTRIBUTION}/cost.json",
            figure=report(
                f"{ATTRIBUTION}/scores.png",
                caption="../report/attribution_scores.rst",
                category="Explanation",
                labels={"run": "{run}, seed {seed}", "figure": "deletion and insertion"},
            ),
            receipt=f"{ATTRIBUTION}/receipt.json",
        log:
            f"logs/attribution/{plan.settings.preset}/{{run}}/seed{{seed}}.log",
        wildcard_constraints:
            run=any_of(key for key, e in EXPLAINED.items() if e.attribution.figures == count),
            seed=r"\d+",
        resources:
            gpu=gpu_wanted(plan.settings.device),
            runtime=120,
            mem_mb=16000,
        params:
            **traced(attribution_modules),
            spec=attribution_spec,
            device=plan.settings.device,
            out=lambda w: ATTRIBUTION.format(run=w.run, seed=w.seed),
        message:
            "Explaining answers of {wildcards.run}, seed {wildcards.seed}"
        shell:
            "{PYTHON} -m florilegium.stages.attribution --checkpoint {input.checkpoint} --pixels {input.pixels}"
            " --device {params.device} --out {params.out} --spec {params.spec:q} --code {params.code} > {log} 2>&1"
