"""Compares a trained checkpoint with random weights on every benchmark that a data folder allows.

    python -m benchmarks.trained_against_random --data_dir DIR --checkpoint runs/demo \\
        --folder runs/real

DIR has real files of the public benchmarks, but not all of them. Missing files are replaced by
available ones: a validation file is cut into three, large files are thinned to `ROWS` rows, genes
get their sequences from UniProt entries with the same Entrez number. So the numbers show whether
training has put anything into the weights, not how good the model is. UniProt entries become a
built dataset for retrieval and for active and binding sites. The better model is determined from
paired resamples of the test data, corrected for all comparisons in the table (Holm). Variation over
trainings or seeds is not included.

Results of public benchmarks are stored in FOLDER, and a second run continues where the first one
stopped.
"""

import argparse
import csv
import gzip
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_pipelines.build import __main__ as build
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.hashing import hash64
from data_pipelines.common.markdown import interval, number, table
from data_pipelines.protanno.dataset import ProtAnno, open_dataset
from eval import __main__ as evaluate
from eval.benchmarks.families import BENCHMARKS
from eval.checkpoint_data import as_read_by
from eval.metrics.comparison import holm, paired_p_value
from eval.metrics.resamples import resamples_of
from eval.pretraining.site_localisation import NULLS
from eval.public.random_weights import VERDICTS, better
from eval.registry import make_evaluation
from protclip_jax.inference.protclip import ProtCLIP

ROWS = 1000
SMALL = (
    *("probe.seeds=(0, 1, 2)", "probe.max_epochs=25", "probe.hidden=128"),
    *(
        "protein_interaction.seeds=1",
        "protein_interaction.epochs=30",
        'protein_interaction.messages=("all",)',
    ),
    *('cross_modal.reverse_triplets=("removed",)', "cross_modal.learning_rate=5e-4"),
    *(
        "cross_modal.seeds=1",
        "cross_modal.epochs=20.0",
        "cross_modal.bridge.width=64",
        "cross_modal.bridge.layers=2",
    ),
    *(
        "cross_modal.bridge.heads=4",
        "cross_modal.bridge.feed_forward=128",
        "cross_modal.eval_every=50",
    ),
    *("cross_modal.no_relation_control=False", "cross_modal.batch_triplets=1024"),
)
"""Overrides that make the protocols affordable on a CPU core; the defaults are the full ones."""
BUILT = ("retrieval", "site_localisation")
SEQUENCES = (
    *("deepfri_ec/nrPDB-EC_2020.04_test_sequences.fasta.gz", "deepfri_ec/ses_EC_valid.jsonl.gz"),
    *(f"deepfri_go/ses_{aspect}_valid.jsonl.gz" for aspect in ("MF", "BP", "CC")),
)


def manifest(data: Path, folder: Path) -> dict[str, dict]:
    """Builds the manifest entries for DIR's files; writes thinned and derived files to `folder`."""
    at = {name: str((data / name).resolve()) for name in map(str, _files(data))}
    chains = {"sequences": [at[name] for name in SEQUENCES]}
    ec, reaction, ppi = "deepfri_ec/nrPDB-EC_2020.04_", "reaction_ec/", "ppi/protein."
    prompts = {"format": "protst_prompts"}
    deeploc = {"format": "deeploc_fasta", "train": at["deeploc/deeploc_our_val_set.fasta.gz"]}
    kinds = ("template", "language")
    subloc = {name: at[f"deeploc/protst_subloc_{name}.tsv"] for name in kinds}
    reactions = {name: at[f"{reaction}protst_reaction_{name}.tsv.gz"] for name in kinds}
    ontologies = {}
    for aspect in ("MF", "BP", "CC"):
        train = at[f"deepfri_go/ses_{aspect}_valid.jsonl.gz"]
        ontologies[f"go_{aspect.lower()}"] = {"format": "ses_jsonl", "train": train}
    return {
        "localisation": deeploc,
        "membrane": deeploc,
        "ec": {
            "format": "deepfri",
            "annotations": at[f"{ec}annot.tsv.gz"],
            "train": at[f"{ec}train.txt.gz"],
            "valid": at[f"{ec}valid.txt.gz"],
            "test": at[f"{ec}test.csv.gz"],
            **chains,
        },
        **ontologies,
        "reaction": {
            "format": "ieconv",
            "functions": at[f"{reaction}chain_functions.txt.gz"],
            "classes": at[f"{reaction}unique_functions.txt.gz"],
            "train": at[f"{reaction}training.txt.gz"],
            "valid": at[f"{reaction}validation.txt.gz"],
            **chains,
        },
        "beta_lactamase": {"format": "variant_fasta", "file": at["beta_lactamase/P62593.fasta.gz"]},
        "aav": {
            "format": "windows",
            "file": thinned(data / "aav/ggs_aav_ground_truth.csv.gz", folder),
            "reference": at["aav/P03135.fasta"],
        },
        "thermostability": {
            "format": "flip",
            "file": thinned(data / "thermostability/flip_meltome_clustered_task.csv.gz", folder),
        },
        "fluorescence": {
            "format": "tables",
            "train": thinned(data / "fluorescence/tape_fluorescence.valid.csv.gz", folder),
        },
        "stability": {
            "format": "tables",
            "train": thinned(data / "stability/tape_stability.train.csv.gz", folder),
            "valid": at["stability/tape_stability.valid.csv.gz"],
        },
        "knowledge_graph": {
            "format": "hetionet",
            "nodes": at["hetionet/nodes.tsv.gz"],
            "edges": at["hetionet/edges-5k.sif.gz"],
            "metaedges": at["hetionet/metaedges.tsv"],
            "annotations": [at["hetionet/GO_annotations-9606-direct-expev.tsv.gz"]],
            "contents": {
                "gene/protein": [
                    gene_sequences(sorted((data / "uniprot/flat").glob("*.dat.gz")), folder)
                ]
            },
        },
        "shs27k": {
            "format": "string_actions",
            "actions": at[f"{ppi}actions.SHS27k.STRING.txt.gz"],
            "sequences": at[f"{ppi}SHS27k.sequences.dictionary.tsv.gz"],
        },
        "zero_shot_localisation": {
            **prompts,
            "tables": subloc,
            "columns": ["name", "description"],
        },
        "zero_shot_reaction": {
            **prompts,
            "tables": reactions,
            "functions": at[f"{reaction}unique_functions.txt.gz"],
        },
    }


def _files(data: Path) -> Iterator[Path]:
    return (path.relative_to(data) for path in data.rglob("*") if path.is_file())


def thinned(source: Path, folder: Path) -> str:
    """Copies a gzipped CSV with its header and the `ROWS` rows of lowest hash; returns the path."""
    with gzip.open(source, "rt", encoding="utf-8") as file:
        header, *rows = file.read().splitlines()
    path = folder / source.name.removesuffix(".gz")
    path.write_text("\n".join([header, *sorted(rows, key=hash64)[:ROWS]]) + "\n", encoding="utf-8")
    return str(path.resolve())


def gene_sequences(flat_files: Sequence[Path], folder: Path) -> str:
    """Writes a table of Entrez numbers and sequences from UniProt entries; returns the path."""
    path, found = folder / "gene_sequences.csv", {}
    for file in flat_files:
        with gzip.open(file, "rt", encoding="utf-8", errors="replace") as content:
            for entry in content.read().split("\n//"):
                lines = re.findall(r"^     ([A-Z ]+)$", entry, re.MULTILINE)
                sequence = "".join(lines).replace(" ", "")
                genes = re.findall(r"^DR   GeneID; (\d+);", entry, re.MULTILINE)
                for gene in genes if sequence else ():
                    found.setdefault(gene, sequence)
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("node_id", "sequence"), *sorted(found.items())])
    return str(path.resolve())


def public_report(checkpoint: Path, data_dir: Path, output: Path, names: Sequence[str]) -> dict:
    """The public benchmarks in the report of `python -m eval --random_weights`."""
    arguments = ["--checkpoint", checkpoint, "--data_dir", data_dir, "--output", output]
    arguments += ["--cache", output / "embeddings", "--random_weights", "--benchmarks", *names]
    if evaluate.main([str(argument) for argument in (*arguments, "--set", *SMALL)]):
        raise UserError(f"the evaluation of {checkpoint} failed; see its message above.")
    return json.loads((output / "report.json").read_text(encoding="utf-8"))["benchmarks"]


class Evaluated(NamedTuple):
    """A model's report on the built dataset, by evaluation, and the resamples of its intervals."""

    report: dict
    resamples: dict[str, np.ndarray]


def evaluated(model: ProtCLIP, dataset: ProtAnno) -> Evaluated:
    """Measures a model on the built dataset."""
    report = {}
    for name in BUILT:
        evaluation = make_evaluation(name, dataset, {"split": "test", "pool": 1024})
        report[evaluation.key] = evaluation.report(model, control=None)
    return Evaluated(report, resamples_of(report))


class Compared(NamedTuple):
    """A headline number of both models.

    `p_value` is that of the paired difference, uncorrected; NaN if there is nothing to compare.
    """

    benchmark: str
    metric: str
    trained: dict
    random: dict
    p_value: float
    controls: str


def public_comparisons(results: Mapping[str, Mapping]) -> list[Compared]:
    """Every headline number of a public report, of both models."""
    compared = []
    for name, result in results.items():
        for metric, random in result.get("random_weights", {}).items():
            own, p_value = result["headline"][metric], random["p_value"]
            p_value = math.nan if p_value is None else p_value
            controls = shown_controls(result, metric)
            compared.append(Compared(name, metric, own, random, p_value, controls))
    return compared


def built_comparisons(trained: Evaluated, random: Evaluated) -> list[Compared]:
    """Every headline number on the built dataset, of both models."""
    compared, others = [], built_numbers(random.report)
    for key, own in built_numbers(trained.report).items():
        other, p_value = others[key], math.nan
        if own["key"] in trained.resamples:
            pair = trained.resamples[own["key"]], random.resamples[own["key"]]
            p_value = paired_p_value(own["mean"] - other["mean"], *pair)
        compared.append(Compared(*key.split(" ", 1), own, other, p_value, own["control"]))
    return compared


def shown_controls(result: Mapping, metric: str) -> str:
    """Formats the controls of a metric."""
    controls = result["result"].get("controls", ())
    own = [control for control in controls if metric in control["metrics"]]
    return "; ".join(f"{one['protocol']} {number(one['metrics'][metric]['mean'])}" for one in own)


def built_numbers(report: Mapping) -> dict[str, dict]:
    """The headline numbers of a dataset's evaluations, in the format of the benchmarks.

    `key` is the place of their intervals in the report.
    """
    retrieval, numbers = report["retrieval"], {}
    for name in ("p2t", "t2p"):
        chance, kmers = (number(retrieval[of][f"{name}_r1"]) for of in ("chance", "kmer"))
        numbers[f"retrieval {name}"] = {
            "mean": retrieval[f"{name}_r1"],
            "interval": retrieval[f"{name}_r1_interval"],
            "control": f"chance {chance}, k-mers {kmers}",
            "key": f"retrieval/{name}_r1_interval",
        }
    for kind, own in report["sites"]["kinds"].items():
        control = []
        for name, title in NULLS.items():
            null = own[name]
            control.append(f"{title} {number(null['mean'])} (p {number(null['p_value'])})")
        numbers[f"sites {kind}"] = {
            "mean": own["auroc"],
            "interval": own["auroc_interval"],
            "control": "; ".join(control),
            "key": f"sites/kinds/{kind}/auroc_interval",
        }
    return numbers


def rows(compared: Sequence[Compared]) -> list[list[str]]:
    """Formats one table row per comparison, all corrected together."""
    lines = []
    for own, corrected in zip(compared, holm([own.p_value for own in compared]), strict=True):
        models = (own.trained, own.random)
        cells = [f"{number(value['mean'])} {interval(value['interval'])}" for value in models]
        difference = (
            math.nan if math.isnan(own.p_value) else own.trained["mean"] - own.random["mean"]
        )
        decided = [better(own.metric, difference, corrected), number(corrected)]
        lines.append([own.benchmark, own.metric, *cells, *decided, own.controls])
    return lines


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
        "--checkpoint", type=Path, required=True, metavar="DIR", help="a trained checkpoint"
    )
    parser.add_argument(
        "--folder", type=Path, required=True, metavar="DIR", help="folder for the results"
    )
    parser.add_argument(
        "--benchmarks",
        nargs="+",
        default=["all"],
        metavar="NAME",
        help="benchmarks to run (default: all)",
    )
    options = parser.parse_args(arguments)

    public, built = options.folder / "public", options.folder / "protanno"
    public.mkdir(parents=True, exist_ok=True)
    entries = manifest(options.data_dir, public)
    (public / "benchmarks.json").write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    if not (built / "statistics.json").exists():
        flat = sorted((options.data_dir / "uniprot/flat").glob("*.dat.gz"))
        held_out = ["--validation_fraction", "0.05", "--test_fraction", "0.8", "--skip_overlap"]
        build.main(["--input", *map(str, flat), "--output", str(built), *held_out])

    output = options.folder / "report"
    results = public_report(options.checkpoint, public, output, options.benchmarks)
    model = ProtCLIP.load(options.checkpoint)
    names = model.config["tokenizer"]["names"]
    dataset = as_read_by(options.checkpoint, model.config, open_dataset(built, names=names))
    trained, random = (
        evaluated(weights, dataset) for weights in (model, model.with_random_weights())
    )
    lines = rows(public_comparisons(results) + built_comparisons(trained, random))
    header = [
        "benchmark",
        "metric",
        "trained [95 %]",
        "random weights [95 %]",
        "better",
        "p, Holm",
        "controls (trained)",
    ]
    verdicts = Counter(line[4] for line in lines)
    counts = {word: verdicts[word] for word in VERDICTS}
    absent = {name: result["missing"] for name, result in results.items() if "missing" in result}
    absent |= {name: "no data available" for name in BENCHMARKS if name not in results}
    totals = ", ".join(f"{word}: {count}" for word, count in counts.items())
    page = [table(header, lines), totals]
    page += [f"Not measured: {name} ({reason})." for name, reason in absent.items()]
    (options.folder / "table.md").write_text("\n\n".join(page) + "\n", encoding="utf-8")
    print("\n\n".join(page))


if __name__ == "__main__":
    raise SystemExit(main())
