"""Compares variants of one config over several seeds, to show which parts of the method help.

    python -m benchmarks.ablation --data_dir runs/sample/protanno \\
        --vocabulary runs/sample/vocab.txt --folder runs/ablation

Every variant trains for the same number of steps on the same data and is evaluated on the same
held-out records. ablation.json and ablation.md are rewritten after every run. Finished runs are not
repeated, so the script can be stopped and restarted, also with more variants or seeds.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from scipy import stats

import protclip_train as train
from data_pipelines.common.markdown import table

PARTS = {
    "paper": {},
    "uniform sampling": {
        "sampling.alpha": 0.0,
        "sampling.beta": 0.0,
        "sampling.drop_confidence": (),
        "sampling.drop_coverage": (),
    },
    "without BSR": {"loss.bsr": 0.0},
    "without PDA": {"loss.pda": 0.0},
    "separate masked passes": {"masking.passes": "separate"},
}
"""Variant → the config fields it sets; the first variant is the reference."""

BARE = {"pda.prototypes": False}
ACROSS, LATE = {"pda.negatives": "across_records"}, {"pda.negatives": "late_interaction"}
SEGMENTS = {
    "across records": ACROSS,
    "both": {"pda.negatives": "both"},
    "theta 0": {"pda.theta": 0.0},
    "theta 0.6": {"pda.theta": 0.6},
    "text gradient": {"pda.text_gradient": True},
    "masked prefix": {"pda.mask_prefix": True},
    "features 0.3": {"loss.features": 0.3},
    "without PDA, no prototypes": {"loss.pda": 0.0} | BARE,
    "no prototypes": BARE,
    "across, no prototypes": ACROSS | BARE,
    "across, no prototypes, masked prefix": ACROSS | BARE | {"pda.mask_prefix": True},
    "across, no prototypes, features 0.3": ACROSS | BARE | {"loss.features": 0.3},
    "across, no prototypes, features 1": ACROSS | BARE | {"loss.features": 1.0},
    "features 1 instead of PDA, no prototypes": {"loss.pda": 0.0, "loss.features": 1.0} | BARE,
    "late interaction, segments": LATE | BARE,
    "late interaction, residues": LATE | BARE | {"pda.pooling": "residue"},
    "late interaction, sequences": LATE | BARE | {"pda.pooling": "sequence"},
}
VARIANTS = PARTS | SEGMENTS

METRICS = {
    "R@1 protein → text": "retrieval/p2t_r1",
    "R@1 text → protein": "retrieval/t2p_r1",
    "MRR": "retrieval/mrr",
    "BSR recovery, true text": "bsr/recovery_true_text",
    "BSR recovery, other family's text": "bsr/recovery_shuffled_text",
}
PROPERTIES = ("function", "location", "similarity")


def run_one(options: argparse.Namespace, variant: str, seed: int) -> dict[str, float]:
    """Trains one variant with one seed unless finished; returns its last evaluation."""
    workdir = options.folder / f"{file_name(variant)}_{seed}"
    if not (found := last_evaluation(workdir, options.steps)):
        fields = {"seed": seed, "data.dir": options.data_dir, "tokenizer.text": options.vocabulary}
        fields |= dict.fromkeys(("total_steps", "eval_every", "checkpoint_every"), options.steps)
        fields |= VARIANTS[variant]
        overrides = [f"--config.{name}={value}" for name, value in fields.items()]
        command = ["train.py", "--config", options.config, "--workdir", str(workdir), *overrides]
        code = train.main(command)
        if code:
            raise SystemExit(code)
        found = last_evaluation(workdir, options.steps)
    return found


def file_name(variant: str) -> str:
    """The variant's name as the start of a folder name."""
    return variant.replace(",", "").replace(" ", "_")


def last_evaluation(workdir: Path, steps: int) -> dict[str, float]:
    """The evaluation after `steps` steps, by metric; empty if missing. Undefined values are NaN."""
    path = workdir / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else ()
    latest: dict[str, float] = {}
    for line in map(json.loads, lines):
        if line["step"] == steps and any(name.startswith("eval/") for name in line):
            latest = line
    values = {name.removeprefix("eval/"): value for name, value in latest.items()}
    return {name: float("nan") if value is None else value for name, value in values.items()}


def mean_and_interval(values: np.ndarray) -> dict:
    """Mean over seeds and its 95 % interval (Student's t); None for a single seed."""
    mean, interval = float(values.mean()), None
    if len(values) > 1:
        spread = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
        interval = [mean - spread, mean + spread]
    return {"values": values.tolist(), "mean": mean, "interval": interval}


def without_pda(variant: str) -> str:
    """The variant without PDA that reads weights from the same kind of property vectors."""
    return (
        "without PDA"
        if VARIANTS[variant].get("pda.prototypes", True)
        else "without PDA, no prototypes"
    )


def compare(runs: Mapping[str, Mapping[int, Mapping[str, float]]]) -> dict:
    """Compares the variants: seeds, metrics, differences to the first variant, and AUROCs.

    The AUROCs come with their differences to both controls. Differences are paired by seed, over
    the seeds that both variants have.
    """
    base = next(iter(PARTS))

    def numbers(variant: str, key: str, seeds: Sequence[int]) -> np.ndarray:
        return np.array([runs[variant][seed][key] for seed in seeds])

    def paired(variant: str, key: str, other: str) -> dict | None:
        seeds = sorted(runs[variant].keys() & runs.get(other, {}).keys())
        if not seeds or other == variant:
            return None
        return mean_and_interval(numbers(variant, key, seeds) - numbers(other, key, seeds))

    results = {}
    for variant, of_seed in runs.items():
        seeds = sorted(of_seed)
        metrics = {}
        for name, key in METRICS.items():
            metrics[name] = mean_and_interval(numbers(variant, key, seeds))
            metrics[name]["to_paper"] = paired(variant, key, base)
        auroc = {}
        for name in PROPERTIES:
            own, other = f"pda/auroc_{name}", f"pda/auroc_other_record_text_{name}"
            auroc[name] = mean_and_interval(numbers(variant, own, seeds)) | {
                "to_other_text": mean_and_interval(
                    numbers(variant, own, seeds) - numbers(variant, other, seeds)
                ),
                "to_without_pda": paired(variant, own, without_pda(variant)),
            }
        results[variant] = {"seeds": seeds, "metrics": metrics, "auroc": auroc}
    return results


def cell(result: Mapping, difference: Mapping | None) -> str:
    """Formats a mean, or a mean with its difference; brackets have the interval of the latter."""
    if difference is None:
        return f"{result['mean']:.3f}{bounds(result, '.3f')}"
    return f"{result['mean']:.3f} ({difference['mean']:+.3f}{bounds(difference, '+.3f')})"


def bounds(result: Mapping, form: str) -> str:
    """Formats an interval in brackets; '' if there is none."""
    if result["interval"] is None:
        return ""
    low, high = (format(bound, form) for bound in result["interval"])
    return f" [{low}, {high}]"


def differences(result: Mapping) -> str:
    """Formats an AUROC and its gain over both controls, bold if the interval is above zero."""
    shown = [f"{result['mean']:.3f}"]
    for difference in (result["to_other_text"], result["to_without_pda"]):
        if difference is None:
            shown.append("–")
        else:
            bold = "**" if difference["interval"] and difference["interval"][0] > 0 else ""
            shown.append(f"{bold}{difference['mean']:+.3f}{bold}{bounds(difference, '+.3f')}")
    return ", ".join(shown)


def markdown(results: Mapping) -> str:
    """Formats two tables: the effect of each part, and the segments of each variant of PDA."""
    parts = [name for name in results if name in PARTS]
    rows = []
    for name in METRICS:
        found = [results[variant]["metrics"][name] for variant in parts]
        rows.append([name, *(cell(result, result["to_paper"]) for result in found)])
    for name in PROPERTIES:
        found = [results[variant]["auroc"][name]["mean"] for variant in parts]
        rows.append([f"AUROC {name}", *(f"{mean:.3f}" for mean in found)])
    of_segments = []
    for variant, result in results.items():
        if variant not in ("uniform sampling", "without BSR", "separate masked passes"):
            aurocs = [differences(result["auroc"][name]) for name in PROPERTIES]
            mrr = result["metrics"]["MRR"]
            seeds = str(len(result["seeds"]))
            of_segments.append([variant, seeds, *aurocs, cell(mrr, mrr["to_paper"])])
    titles = [f"AUROC {name}, Δ other text, Δ without PDA" for name in PROPERTIES]
    header = ["variant", "seeds", *titles, "MRR (Δ paper)"]
    return f"{table(['', *parts], rows)}\n\n{table(header, of_segments)}\n"


def main() -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "--config", default="configs/ablation.py", help="config file (default: %(default)s)"
    )
    parser.add_argument("--data_dir", type=Path, required=True, help="a built dataset")
    parser.add_argument("--vocabulary", type=Path, required=True, help="the text tower's vocab.txt")
    parser.add_argument(
        "--folder", type=Path, required=True, help="folder for the runs and the results"
    )
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=VARIANTS,
        default=list(VARIANTS),
        help="variants to train (default: all)",
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds (default: 0 1 2)"
    )
    parser.add_argument(
        "--steps", type=int, default=300, help="training steps (default: %(default)s)"
    )
    options = parser.parse_args()

    options.folder.mkdir(parents=True, exist_ok=True)
    # Variants often differ only in numbers and then share a compiled program.
    jax.config.update("jax_compilation_cache_dir", str(options.folder.absolute() / "compiled"))
    # Seeds are the outer loop, so that a stopped script has complete comparisons.
    for seed in options.seeds:
        for variant in options.variants:
            run_one(options, variant, seed)
            write(options)
    print((options.folder / "ablation.md").read_text(encoding="utf-8"))


def write(options: argparse.Namespace) -> None:
    """Writes the results of all finished runs in the folder, including those of earlier calls."""
    runs: dict[str, dict[int, dict]] = {}
    for variant in VARIANTS:
        for workdir in options.folder.glob(f"{file_name(variant)}_*"):
            seed = workdir.name.removeprefix(f"{file_name(variant)}_")
            if seed.isdecimal() and (found := last_evaluation(workdir, options.steps)):
                runs.setdefault(variant, {})[int(seed)] = found
    results = compare(runs)
    written = {"steps": options.steps, "config": options.config, "results": results}
    (options.folder / "ablation.json").write_text(
        json.dumps(written, indent=2) + "\n", encoding="utf-8"
    )
    (options.folder / "ablation.md").write_text(markdown(results), encoding="utf-8")


if __name__ == "__main__":
    main()
