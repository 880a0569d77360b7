# trained classifier and test pixels -> what its attention looks at

ATTENTION = f"{RUN}/attention"
ATTENTION_FILES = ("maps.npz", "attention.csv", "maps.png", "rollout.png", "receipt.json")
ATTENTIVE = plan.with_attention()


def attention_of(study, *files):
    """What is seen of the attention of a study's networks, in the first seed of each arm."""
    return [
        f"{ATTENTION}/{file}".format(run=e.key, seed=e.seeds[0])
        for e in ATTENTIVE.values()
        if e.study == study
        for file in files
    ]


def attention_pixels(w):
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
            "preset": plan.settings.preset,
            "comparable": plan.preset.comparable,
        }
    )


def attention_modules(w):
    """The roots of the code: the stage, and the family of the network."""
    return "attention", *registry.modules(experiment_of(w).model.name)


rule attention:
    input:
        unpack(attention_pixels),
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
        run=any_of(ATTENTIVE),
        seed=r"\d+",
    resources:
        gpu=gpu_wanted(plan.settings.device),
        runtime=30,
        mem_mb=8000,
    params:
        spec=attention_spec,
        code=lambda w: stage_code(*attention_modules(w)),
        versions=(lambda w: stage_versions(*attention_modules(w))) if plan.settings.rerun_on_versions else "",
        device=plan.settings.device,
        out=lambda w: ATTENTION.format(run=w.run, seed=w.seed),
    message:
        "Looking at the attention of {wildcards.run}, seed {wildcards.seed}"
    shell:
        "{PYTHON} -m florilegium.stages.attention --checkpoint {input.checkpoint} --pixels {input.pixels}"
        " --device {params.device} --out {params.out} --spec {params.spec:q} --code {params.code} > {log} 2>&1"
