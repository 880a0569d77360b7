# the plan alone -> how many GPU hours it takes
from florilegium.plan.plan import estimated, uncounted

ESTIMATED = canonical(
    {
        "preset": plan.settings.preset,
        "card": plan.settings.estimates.model_dump(mode="json"),
        "experiments": estimated(plan),
        "uncounted": uncounted(plan),
    }
)


rule estimate:
    output:
        table=f"{RESULTS}/gpu_hours.csv",
        text=f"{RESULTS}/gpu_hours.txt",
        receipt=f"{RESULTS}/gpu_hours.receipt.json",
    log:
        f"logs/estimate/{plan.settings.preset}.log",
    localrule: True
    params:
        **traced("estimate", *{m for e in plan.experiments for m in registry.modules(e.model.name)}),
        spec=ESTIMATED,
        told=told("gpu_hours", ESTIMATED),
    message:
        "Estimating the GPU hours of every study"
    shell:
        "{PYTHON} -m florilegium.stages.estimate --out {output.table} --spec {params.told}"
        " --code {params.code} > {log} 2>&1"


# Without an output of its own, so that it shows the table each time.
rule gpu_hours:
    input:
        f"{RESULTS}/gpu_hours.txt",
    localrule: True
    shell:
        "cat {input}"
