# metrics and receipts -> comparison with what was published -> figures -> one page

from florilegium.report.names import CAPTIONS, figure_names


def runs_of(study, *files):
    return [
        f"{RESULTS}/{e.key}/seed{seed}/{file}" for e in plan.of(study) for seed in e.seeds for file in files
    ]
