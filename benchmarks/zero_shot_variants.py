"""Zero-shot variant effects on real experiments: a checkpoint, random weights and baselines.

    python -m benchmarks.zero_shot_variants --data_dir DIR --folder FOLDER \\
        [--checkpoint runs/small] [--alignments ALIGNED]

DIR has β-lactamase (ESM's example P62593.fasta; Ranganathan's 2015 screen at 2,500 µg/ml), avGFP
(TAPE's training and test split), GB1 (FLIP's two_vs_rest) and AAV (windows of the capsid; variants
with at most two substitutions are the training split). The numbers are those of the benchmarks
`variants_…` of `python -m eval`. Random weights have the checkpoint's shape, or that of
`configs/quickstart.py`. Several seeds are used, because random weights from a single seed may
correlate with an experiment by chance.
"""

import argparse
import json
import statistics
import types
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax

from configs import quickstart
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.json_object import to_json
from data_pipelines.common.markdown import interval, number, table
from data_pipelines.common.progress import print_status
from data_pipelines.tokenizers.text_tokenizer import SPECIAL_TOKENS, TextTokenizer
from eval.benchmarks.base.family import Setup
from eval.benchmarks.variant_effects import correlations, measured_assay, predictions
from eval.data import manifest
from eval.data.base.task import Assay
from protclip_jax.checkpoints import metadata
from protclip_jax.checkpoints.parameters import save_params
from protclip_jax.convert.checkpoint import converted_config, network
from protclip_jax.distributed.cpu_devices import split_cpu
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.inference.variant_effects import METHODS, SINGLY
from protclip_jax.models.initialize import init_params

LACTAMASE = (
    "PROTEIN NAME: Beta-lactamase TEM. FUNCTION: Hydrolyzes the beta-lactam bond of penicillins "
    "and cephalosporins, which makes bacteria resistant to them."
)
TEXTS = {
    "beta_lactamase": LACTAMASE,
    "beta_lactamase_2015": LACTAMASE,
    "gb1": "PROTEIN NAME: Immunoglobulin G-binding protein G. FUNCTION: Binds to the constant Fc "
    "region of IgG with high affinity.",
    "fluorescence": "PROTEIN NAME: Green fluorescent protein. FUNCTION: Energy-transfer acceptor "
    "that transduces the blue chemiluminescence of aequorin into green fluorescent light.",
    "aav": "PROTEIN NAME: Capsid protein VP1. FUNCTION: Self-assembles to form an icosahedral "
    "capsid around the viral genome.",
}
"""Short versions of UniProt's texts on the proteins."""


def entries(data: Path) -> dict[str, dict[str, dict]]:
    """Builds a manifest for each experiment."""

    def at(name: str) -> str:
        return str((data / name).resolve())

    tape = {
        split: at(f"real/bench/tape_fluorescence.{split}.csv.gz") for split in ("train", "test")
    }
    screen = at("real/bench/BLAT_ECOLX_Ranganathan2015-2500.csv.gz")
    capsid = {"file": at("aav/ggs_aav_ground_truth.csv.gz"), "reference": at("aav/P03135.fasta")}
    rows = {
        "beta_lactamase": {"format": "variant_fasta", "file": at("beta_lactamase/P62593.fasta.gz")},
        "beta_lactamase_2015": {
            "format": "tables",
            "train": screen,
            "target_column": "log_fitness",
        },
        "fluorescence": {"format": "tables"} | tape,
        "gb1": {"format": "flip", "file": at("flip_format/flip_gb1_two_vs_rest.csv.gz")},
        "aav": {"format": "windows", "train_substitutions": 2} | capsid,
    }
    wild_types = {"fluorescence": at("fluorescence/avgfp_wt.txt"), "aav": at("aav/P03135.fasta")}
    manifests = {}
    for name, entry in rows.items():
        own = {"format": "assay"}
        own |= {"wild_type": wild_types[name]} if name in wild_types else {}
        task = name.removesuffix("_2015")
        manifests[name] = {task: entry, f"variants_{task}": own}
    return manifests


def read_assays(
    data: Path, folder: Path, texts: Sequence[str], alignments: Mapping[str, Path]
) -> dict[str, Assay]:
    """Reads the experiments and prints the numbers of variants and rejected rows."""
    assays = {}
    for name, entry in entries(data).items():
        benchmark = f"variants_{name.removesuffix('_2015')}"
        if name in texts:
            entry[benchmark]["text"] = TEXTS[name]
        if name in alignments:
            entry[benchmark]["alignment"] = str(alignments[name].resolve())
        own = folder / name
        own.mkdir(parents=True, exist_ok=True)
        (own / manifest.MANIFEST).write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")
        read = manifest.load(own, benchmark)
        (assays[name],) = read.assays
        counts = f"{len(assays[name].variants):,} variants, {len(read.rejects):,} rows rejected"
        print_status(f"{name}: {counts}", *read.notes)
    return assays


def alignments_of(folder: Path | None) -> dict[str, Path]:
    """Finds the alignments of a folder, `EXPERIMENT.fasta`; {} without a folder.

    Raises:
      UserError: a file is not named after an experiment, or there is none.
    """
    if folder is None:
        return {}
    found = {path.stem: path for path in sorted(folder.glob("*.fasta"))}
    if not found or not found.keys() <= TEXTS.keys():
        raise UserError(
            f"{folder} should hold EXPERIMENT.fasta for some of {', '.join(TEXTS)}; "
            f"it has {', '.join(found) or 'no .fasta file'}."
        )
    return found


def random_checkpoint(shape: Path | None, folder: Path, seed: int) -> Path:
    """Creates a checkpoint of initial parameters; its shape is another's or the quickstart's."""
    if (folder / "config.json").exists():
        return folder
    if shape is not None:
        config, tokenizer = metadata.read_model_config(shape), metadata.load_text_tokenizer(shape)
    else:
        model = quickstart.get_config().model
        letters = [chr(code) for code in range(33, 127)]
        tokenizer = TextTokenizer(
            [*SPECIAL_TOKENS, *letters, *(f"##{letter}" for letter in letters)]
        )
        config = converted_config(
            model.protein.to_dict(),
            model.text.to_dict() | {"max_positions": 512},
            projection_dim=model.projection_dim,
            num_prototypes=model.num_prototypes,
            prototype_temperature=model.prototype_temperature,
        )
    save_params(folder, init_params(network(config, tokenizer), jax.random.key(seed)))
    metadata.write_metadata(folder, config, tokenizer)
    return folder


def setup(checkpoint: Path, method: str) -> Setup:
    """Wraps a model for the benchmark family; nothing is trained."""
    model = ProtCLIP.load(checkpoint)
    return Setup(
        embed=model.mean_embeddings,
        project=model.encode_proteins,
        texts=model.encode_texts,
        text_means=model.mean_text_embeddings,
        variants=model.variant_scores,
        protocol=None,
        splits={},
        controls=(),
        configs={"variant_effects": types.SimpleNamespace(method=method)},
    )


def seed_values(assay: Assay, of_seed: Setup) -> dict[str, float]:
    """The correlations of random weights, without intervals."""
    targets = [measured.target for measured in assay.variants]
    return correlations(predictions(assay, of_seed), targets)


def rows(
    name: str,
    own: Mapping,
    of_seeds: Sequence[Mapping[str, float]],
    *,
    random: bool,
) -> list[list[str]]:
    """Formats a row per metric: checkpoint (none if `random`), random weights, baselines."""
    lines = []
    for metric, value in own["headline"].items():
        cell = "–" if random else f"{number(value['mean'])} {interval(value['interval'])}"
        drawn = [of_seed[metric] for of_seed in of_seeds]
        spread = f"{number(statistics.mean(drawn))} ({number(min(drawn))} to {number(max(drawn))})"
        lines.append([name, metric, cell, spread, controls(own, metric)])
    return lines


def controls(own: Mapping, metric: str) -> str:
    """Formats the baselines with their intervals."""
    cells = []
    for control in own["result"]["controls"]:
        if metric in control["metrics"]:
            column = own["result"]["columns"][control["protocol"]]
            cells.append(
                f"{control['protocol']} {number(column['mean'])} {interval(column['interval'])}"
            )
    return "; ".join(cells) or "–"


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data_dir", type=Path, required=True, metavar="DIR", help="folder of the real files"
    )
    parser.add_argument(
        "--folder", type=Path, required=True, metavar="DIR", help="folder for the results"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="DIR",
        help="a trained checkpoint (default: only random weights)",
    )
    parser.add_argument(
        "--seeds", type=int, default=5, help="seeds of random weights (default: %(default)s)"
    )
    parser.add_argument(
        "--method", choices=METHODS, default=SINGLY, help="scoring method (default: %(default)s)"
    )
    parser.add_argument(
        "--texts",
        nargs="*",
        choices=TEXTS,
        default=["beta_lactamase"],
        help="experiments on which to measure the value of a text; embeds every variant "
        "(default: beta_lactamase)",
    )
    parser.add_argument(
        "--alignments",
        type=Path,
        metavar="DIR",
        help="folder of alignments EXPERIMENT.fasta of homologues, for the site-independent "
        "baseline; the first sequence is a stretch of the wild type",
    )
    parser.add_argument(
        "--wild_types_only",
        action="store_true",
        help="only write FOLDER/wild_types.fasta, to search for homologues",
    )
    options = parser.parse_args(arguments)

    split_cpu(None)
    aligned = alignments_of(options.alignments)
    assays = read_assays(options.data_dir, options.folder, options.texts, aligned)
    if options.wild_types_only:
        path = options.folder / "wild_types.fasta"
        lines = [f">{name}\n{assay.wild_type}\n" for name, assay in assays.items()]
        path.write_text("".join(lines), encoding="utf-8")
        print_status(f"wrote {path}")
        return
    weights = []
    for seed in range(options.seeds):
        weights.append(
            random_checkpoint(options.checkpoint, options.folder / f"random_{seed}", seed)
        )
    setups = [setup(checkpoint, options.method) for checkpoint in weights]
    chosen = setup(options.checkpoint, options.method) if options.checkpoint else setups[0]
    report, lines = {}, []
    for name, assay in assays.items():
        own = measured_assay(assay, chosen)._asdict()
        others = setups if options.checkpoint else setups[1:]
        of_seeds = [seed_values(assay, of_seed) for of_seed in others]
        if not options.checkpoint:
            of_seeds.insert(0, {metric: value["mean"] for metric, value in own["headline"].items()})
        report[name] = {"model": own, "random": of_seeds}
        lines += rows(name, own, of_seeds, random=options.checkpoint is None)
        print_status(f"{name}: done")
    header = [
        "experiment",
        "metric",
        "checkpoint [95 %]",
        f"random weights, {options.seeds} seeds",
        "baselines [95 %]",
    ]
    page = table(header, lines) + "\n"
    stem = options.folder / options.method
    stem.with_suffix(".md").write_text(page, encoding="utf-8")
    stem.with_suffix(".json").write_text(
        json.dumps(to_json(report), indent=1) + "\n", encoding="utf-8"
    )
    print(page)


if __name__ == "__main__":
    raise SystemExit(main())
