# plan -> estimate of its GPU hours

HOURS = specs.hours()


rule estimate_hours:
    """Estimate the GPU hours of every study, before anything of it is run."""
    output:
        table=f"{RESULTS}/gpu_hours.csv",
        text=f"{RESULTS}/gpu_hours.txt",
        receipt=f"{RESULTS}/gpu_hours.receipt.json",
    log:
        f"logs/estimate/{plan.settings.preset}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **traced("estimate", HOURS, {e.model.name for e in plan.experiments}),
        description=description_file("gpu_hours"),
    message:
        "Estimating the GPU hours of every study"
    shell:
        "{PYTHON} -m florilegium.stages.estimate --out {output.table:q} --spec {params.description:q}"
        " --code {params.code} > {log:q} 2>&1"


rule gpu_hours:
    """Print the estimated GPU hours of every study."""
    input:
        f"{RESULTS}/gpu_hours.txt",
    localrule: True  # without an output, so that it prints each time
    conda:
        ENVIRONMENT
    shell:
        "cat {input:q}"
