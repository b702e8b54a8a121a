"""The training step compiled for TPU slices that are not there: memory, FLOPs, exchange and bounds, as a table.

    python benchmarks/aot.py [--plans NAME…] [--output aot.json]

Every row is one `train.py --aot`, in a process of its own; nothing is run. Needs the `[tpu]` extra.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]

PLANS = {
    # The paper's recipe: about 2,100 pairs a step, whatever the slice.
    "v5e-16": ["--aot=v5e:4x4", "--config.batch.microbatch_rows=96"],
    "v5e-64": ["--aot=v5e:8x8"],
    "v5e-256": ["--aot=v5e:16x16", "--config.batch.rows=512", "--config.data.streams=128"],
    "v5p-64": ["--aot=v5p:4x4x4", "--config.model.remat=full"],
    "v5p-64 no remat": ["--aot=v5p:4x4x4", "--config.model.remat=none"],
    "v6e-64": ["--aot=v6e:8x8", "--config.model.remat=full"],
    # Six rows a chip, from 16 to 256.
    "v5e-16 6 rows": ["--aot=v5e:4x4", "--config.batch.rows=96"],
    "v5e-256 6 rows": ["--aot=v5e:16x16", "--config.batch.rows=1536"],
    # What remat and the shared masked pass change on 64 chips.
    "v5e-64 dots": ["--aot=v5e:8x8", "--config.model.remat=dots"],
    "v5e-64 no remat": ["--aot=v5e:8x8", "--config.model.remat=none"],
    "v5e-64 shared": ["--aot=v5e:8x8", "--config.masking.passes=shared"],
}

COLUMNS = {
    "fits": lambda r: "yes" if r["fits"] else "no",
    "HBM GiB": lambda r: f"{r['hbm_bytes_per_device'] / 2**30:.1f} of {r['hbm_capacity_bytes'] / 2**30:.1f}",
    "TFLOP/device": lambda r: f"{r['flops_per_device'] / 1e12:.0f}",
    "GFLOP/pair": lambda r: f"{r['flops_per_pair'] / 1e9:.0f}",
    "model FLOPs": lambda r: f"{100 * r['model_flops_share']:.0f} %",
    "GB to send/device": lambda r: f"{r['collective_bytes_per_device'] / 1e9:.2f}",
    "largest gather MB": lambda r: f"{r['collectives'].get('all-gather', {}).get('largest', 0) / 1e6:.1f}",
    "pairs/step": lambda r: f"{r['pairs_per_step']:.0f}",
    "step s ≥": lambda r: f"{r['predicted_step_seconds']:.2f}",
    "pairs/s ≤": lambda r: f"{r['pairs_per_second']:.0f}",
    "chip-hours ≥": lambda r: f"{r['run_chip_hours']:.0f}",
}


def compile_plan(arguments: list[str]) -> dict:
    """The report of one plan."""
    command = [sys.executable, "train.py", "--config", "configs/protclip_650m.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    return json.loads(done.stdout)


def row(name: str, report: dict) -> str:
    """A line of the table; what a step that does not fit leaves unknown is a dash."""
    cells = []
    for cell in COLUMNS.values():
        try:
            cells.append(cell(report))
        except (TypeError, AttributeError):
            cells.append("–")
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plans", nargs="+", choices=PLANS, default=list(PLANS), metavar="NAME", help=", ".join(PLANS))
    parser.add_argument("--output", type=pathlib.Path, help="JSON file of the whole reports; one that is there is added to")
    arguments = parser.parse_args()
    reports = json.loads(arguments.output.read_text()) if arguments.output and arguments.output.exists() else {}
    for name in arguments.plans:
        if name not in reports:
            reports[name] = compile_plan(PLANS[name])
            if arguments.output:
                arguments.output.write_text(json.dumps(reports, indent=2) + "\n")
    print("| plan | " + " | ".join(COLUMNS) + " |\n" + "|---" * (len(COLUMNS) + 1) + "|")
    for name in arguments.plans:
        print(row(name, reports[name]))


if __name__ == "__main__":
    main()
