# verified files -> perceptual hashes -> leaks between every pair of data sets that meet

PAIRS = plan.audits()


def audit_inputs(w):
    found = {}
    for side in "ab":
        name = w[side]
        found[f"files_{side}"] = files_of(name)
        found[f"hashes_{side}"] = f"resources/{plan.source(name)[0]}/hashes.npz"
        found[f"images_{side}"] = f"resources/{name}/images.csv"
    return found


rule hash:
    input:
        files="resources/{source}/files.json",
    output:
        hashes="resources/{source}/hashes.npz",
        receipt="resources/{source}/hashes.receipt.json",
    log:
        "logs/hash/{source}.log",
    wildcard_constraints:
        source=any_of(plan.datasets),
    priority: 10
    threads: 16  # or as many as there are
    resources:
        runtime=60,
        mem_mb=8000,
    params:
        **traced("hash"),
        spec=reading_spec,
        corrupt=plan.settings.corrupt_images,
    message:
        "Hashing the original images of {wildcards.source}"
    shell:
        "{PYTHON} -m florilegium.stages.hash --files {input.files} --corrupt {params.corrupt}"
        " --workers {threads} --out {output.hashes} --spec {params.spec:q} --code {params.code} > {log} 2>&1"


rule audit_pair:
    input:
        unpack(audit_inputs),
    output:
        pairs=f"{RESULTS}/audit/{{a}}__{{b}}/pairs.csv",
        dropped=f"{RESULTS}/audit/{{a}}__{{b}}/dropped.csv",
        summary=f"{RESULTS}/audit/{{a}}__{{b}}/summary.json",
        sheet=report(
            f"{RESULTS}/audit/{{a}}__{{b}}/contact_sheet.png",
            caption="../report/contact_sheet.rst",
            category="Audit",
            labels={"data sets": "{a} and {b}", "figure": "contact sheet"},
        ),
        distances=report(
            f"{RESULTS}/audit/{{a}}__{{b}}/distances.png",
            caption="../report/distances.rst",
            category="Audit",
            labels={"data sets": "{a} and {b}", "figure": "distances"},
        ),
        receipt=f"{RESULTS}/audit/{{a}}__{{b}}/receipt.json",
    log:
        "logs/audit/{a}__{b}.log",
    wildcard_constraints:
        a=any_of({a for a, _ in PAIRS}),
        b=any_of({b for _, b in PAIRS}),
    priority: 10
    resources:
        runtime=60,
        mem_mb=4000,
    params:
        **traced("audit"),
        spec=canonical({"audit": plan.settings.audit.model_dump(mode="json")}),
        out=lambda w: audit_folder(w.a, w.b),
    message:
        "Looking for pictures of {wildcards.b} in {wildcards.a}"
    shell:
        "{PYTHON} -m florilegium.stages.audit --name-a {wildcards.a} --name-b {wildcards.b}"
        " --hashes-a {input.hashes_a} --hashes-b {input.hashes_b}"
        " --images-a {input.images_a} --images-b {input.images_b}"
        " --files-a {input.files_a} --files-b {input.files_b}"
        " --spec {params.spec:q} --code {params.code} --out {params.out} > {log} 2>&1"
