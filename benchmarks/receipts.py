"""Receipts read, and results verified, per second.

    python benchmarks/receipts.py --out receipts.json

writes that many small runs, each with the files and the receipt of a real one (a receipt of the demo is
about 5 kB), and reads them all back.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from machine import machine

from florilegium.core.files import write_json, write_text
from florilegium.core.lineage import open_ledger
from florilegium.core.receipts import read_receipt, write_receipt
from florilegium.core.verification import verify

NAMES = ("metrics.json", "history.csv", "predictions.csv", "cost.json", "checkpoint.safetensors")
SPEC = {"recipe": {f"key{i}": i / 7 for i in range(50)}, "data": {f"key{i}": f"value {i}" for i in range(10)}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    out = arguments.out.absolute()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        receipts = [write_run(Path(f"results/demo/many/run{i}/corrected/seed0")) for i in range(arguments.runs)]
        reading = seconds(lambda: [read_receipt(path) for path in receipts])
        verifying = seconds(lambda: verify(*open_ledger(Path("results"))))
        os.chdir(out.parent)
    write_json(
        out,
        {
            "machine": machine(),
            "runs": arguments.runs,
            "receipts_read_per_second": round(arguments.runs / reading),
            "runs_verified_per_second": round(arguments.runs / verifying),
        },
    )
    print(f"{arguments.runs / reading:,.0f} receipts read and {arguments.runs / verifying:,.0f} runs verified a second")


def write_run(folder: Path) -> Path:
    for name in NAMES:
        write_text(folder / name, f"{folder}/{name}\n" * 20)
    receipt = folder / "receipt.json"
    write_receipt(
        receipt, stage="train", spec=SPEC, code="0123456789abcdef", inputs=[],
        outputs=[folder / name for name in NAMES], started=time.time(), seed=0, device="cpu",
    )  # fmt: skip
    return receipt


def seconds(action: object) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
