# trained classifier and test pixels -> its attention, and the pixels that its answers depend on

ATTENTION = f"{RUN}/attention"
ATTENTIVE = {e.key: e for e in plan.experiments if e.attention}
ATTRIBUTION = f"{RUN}/attribution"
EXPLAINED = {e.key: e for e in plan.experiments if e.attribution}


rule explain_attention:
    """Measure and show the attention of a trained transformer's tokens."""
    input:
        unpack(by_run(paths.tested_inputs)),
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
        run=any_run(key for key, e in ATTENTIVE.items() if e.attention.of == "tokens"),
        seed=r"\d+",
    conda:
        ENVIRONMENT
    resources:
        gpu=GPU,
        runtime=30,
        mem_mb=8000,
    params:
        **traced("attention", by_run(specs.attention), network_of),
        device=plan.settings.device,
        out=lambda w: ATTENTION.format(run=w.run, seed=w.seed),
    message:
        "Looking at the attention of {wildcards.run}, seed {wildcards.seed}"
    shell:
        "{PYTHON} -m florilegium.stages.attention --checkpoint {input.checkpoint:q} --pixels {input.pixels:q}"
        " --device {params.device} --out {params.out:q} --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"


use rule explain_attention as explain_nodes with:
    """Measure and show the attention between the nodes of a trained graph head."""
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
        run=any_run(key for key, e in ATTENTIVE.items() if e.attention.of == "nodes"),
        seed=r"\d+",


# One rule for each number of explained images, since each such image is an output of its own.
for count in sorted({e.attribution.figures for e in EXPLAINED.values()}):

    rule:
        """Explain answers of a trained classifier by the pixels that they depend on, and test each explanation."""
        name:
            f"explain_attribution_{count}"
        input:
            unpack(by_run(paths.tested_inputs)),
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
                for file in outputs.attribution_images(count)
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
            run=any_run(key for key, e in EXPLAINED.items() if e.attribution.figures == count),
            seed=r"\d+",
        conda:
            ENVIRONMENT
        resources:
            gpu=GPU,
            runtime=120,
            mem_mb=16000,
        params:
            **traced("attribution", by_run(specs.attribution), network_of),
            device=plan.settings.device,
            out=lambda w: ATTRIBUTION.format(run=w.run, seed=w.seed),
        message:
            "Explaining answers of {wildcards.run}, seed {wildcards.seed}"
        shell:
            "{PYTHON} -m florilegium.stages.attribution --checkpoint {input.checkpoint:q} --pixels {input.pixels:q}"
            " --device {params.device} --out {params.out:q} --spec {params.spec:q} --code {params.code} > {log:q} 2>&1"
