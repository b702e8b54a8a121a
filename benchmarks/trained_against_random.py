"""Every benchmark that a folder of real files allows, of a trained checkpoint and of random weights of the same shape.

    python -m benchmarks.trained_against_random --data_dir DIR --checkpoint runs/demo --folder runs/real

DIR has real files of the public benchmarks, in part only: what is at hand stands in for what is not (a validation file is cut
into three, large files are thinned to `ROWS` rows, genes get their sequences from UniProt entries with that Entrez number). So
the numbers say whether training has put anything into the weights, not how good the model is. Entries of UniProt become a built
dataset, for retrieval and for active and binding sites. Results lie in FOLDER, and a second run goes on where a first stopped.
"""

import argparse
import csv
import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jax

from data_pipelines.build import __main__ as build
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.hashing import hash64
from data_pipelines.common.markdown import interval, number, table
from eval import __main__ as evaluate
from eval.benchmarks.families import BENCHMARKS
from eval.pretraining.site_localisation import NULLS
from protclip_jax.checkpoints import metadata
from protclip_jax.checkpoints.parameters import save_params
from protclip_jax.convert.checkpoint import network
from protclip_jax.models.initialize import init_params

ROWS = 1000
SMALL = (
    *("probe.seeds=(0, 1, 2)", "probe.max_epochs=25", "probe.hidden=128"),
    *("protein_interaction.seeds=1", "protein_interaction.epochs=30", 'protein_interaction.messages=("all",)'),
    *("cross_modal.seeds=1", "cross_modal.epochs=20.0", "cross_modal.bridge.width=64", "cross_modal.bridge.layers=2"),
    *("cross_modal.bridge.heads=4", "cross_modal.bridge.feed_forward=128", "cross_modal.eval_every=50"),
    *("cross_modal.no_relation_control=False", "cross_modal.batch_triplets=1024"),
)
"""What makes the protocols affordable on a CPU core; the shipped hyper-parameters are the full ones."""
BUILT = ("retrieval", "site_localisation")
SEQUENCES = (
    *("deepfri_ec/nrPDB-EC_2020.04_test_sequences.fasta.gz", "deepfri_ec/ses_EC_valid.jsonl.gz"),
    *(f"deepfri_go/ses_{aspect}_valid.jsonl.gz" for aspect in ("MF", "BP", "CC")),
)


def manifest(data: Path, folder: Path) -> dict[str, dict]:
    """The entries of a manifest for what DIR has; thinned and derived files are written into the folder."""
    at = {name: str((data / name).resolve()) for name in map(str, _files(data))}
    chains = {"sequences": [at[name] for name in SEQUENCES]}
    ec, reaction, ppi = "deepfri_ec/nrPDB-EC_2020.04_", "reaction_ec/", "ppi/protein."
    prompts = {"format": "protst_prompts"}
    deeploc = {"format": "deeploc_fasta", "train": at["deeploc/deeploc_our_val_set.fasta.gz"]}
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
        **{
            f"go_{aspect.lower()}": {"format": "ses_jsonl", "train": at[f"deepfri_go/ses_{aspect}_valid.jsonl.gz"]}
            for aspect in ("MF", "BP", "CC")
        },
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
        "fluorescence": {"format": "tables", "train": thinned(data / "fluorescence/tape_fluorescence.valid.csv.gz", folder)},
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
            "contents": {"gene/protein": [gene_sequences(sorted((data / "uniprot/flat").glob("*.dat.gz")), folder)]},
        },
        "shs27k": {
            "format": "string_actions",
            "actions": at[f"{ppi}actions.SHS27k.STRING.txt.gz"],
            "sequences": at[f"{ppi}SHS27k.sequences.dictionary.tsv.gz"],
        },
        "zero_shot_localisation": prompts
        | {
            "tables": {name: at[f"deeploc/protst_subloc_{name}.tsv"] for name in ("template", "language")},
            "columns": ["name", "description"],
        },
        "zero_shot_reaction": prompts
        | {
            "tables": {name: at[f"{reaction}protst_reaction_{name}.tsv.gz"] for name in ("template", "language")},
            "functions": at[f"{reaction}unique_functions.txt.gz"],
        },
    }


def _files(data: Path) -> Iterator[Path]:
    return (path.relative_to(data) for path in data.rglob("*") if path.is_file())


def thinned(source: Path, folder: Path) -> str:
    """A copy of a gzipped CSV with its header and the `ROWS` rows of lowest hash; its path."""
    with gzip.open(source, "rt", encoding="utf-8") as file:
        header, *rows = file.read().splitlines()
    path = folder / source.name.removesuffix(".gz")
    path.write_text("\n".join([header, *sorted(rows, key=hash64)[:ROWS]]) + "\n", encoding="utf-8")
    return str(path.resolve())


def gene_sequences(flat_files: Sequence[Path], folder: Path) -> str:
    """A table of Entrez numbers and sequences from UniProt entries that refer to one; its path."""
    path, found = folder / "gene_sequences.csv", {}
    for file in flat_files:
        with gzip.open(file, "rt", encoding="utf-8", errors="replace") as content:
            for entry in content.read().split("\n//"):
                sequence = "".join(re.findall(r"^     ([A-Z ]+)$", entry, re.MULTILINE)).replace(" ", "")
                for gene in re.findall(r"^DR   GeneID; (\d+);", entry, re.MULTILINE) if sequence else ():
                    found.setdefault(gene, sequence)
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("node_id", "sequence"), *sorted(found.items())])
    return str(path.resolve())


def random_checkpoint(trained: Path, folder: Path) -> Path:
    """A checkpoint with the trained one's config and tokenizer, and the parameters that a training would start from."""
    if not (folder / "config.json").exists():
        config, tokenizer = metadata.read_model_config(trained), metadata.load_text_tokenizer(trained)
        save_params(folder, init_params(network(config, tokenizer), jax.random.key(config["seed"])))
        metadata.write_metadata(folder, config, tokenizer)
    return folder


def evaluated(checkpoint: Path, data_dir: Path, output: Path, *more: str) -> dict:
    """The report of `python -m eval`."""
    asked = ["--checkpoint", checkpoint, "--data_dir", data_dir, "--output", output, "--cache", output / "embeddings", *more]
    if evaluate.main(list(map(str, asked))):
        raise UserError(f"the evaluation of {checkpoint} has failed; its own message says why.")
    return json.loads((output / "report.json").read_text(encoding="utf-8"))


def built_numbers(report: Mapping) -> dict[str, dict]:
    """The headline numbers of the evaluations on a built dataset, in the form of the benchmarks' own."""
    retrieval = report["retrieval"]
    numbers = {
        f"retrieval {name}": {"mean": retrieval[f"{name}_r1"], "interval": retrieval[f"{name}_r1_interval"], "control": control}
        for name in ("p2t", "t2p")
        for control in [f"chance {number(retrieval['chance'][f'{name}_r1'])}, k-mers {number(retrieval['kmer'][f'{name}_r1'])}"]
    }
    for kind, own in report["sites"]["kinds"].items():
        nulls = {told: own[name] for name, told in NULLS.items()}
        control = "; ".join(f"{told} {number(null['mean'])} (p {number(null['p_value'])})" for told, null in nulls.items())
        numbers[f"sites {kind}"] = {"mean": own["auroc"], "interval": own["auroc_interval"], "control": control}
    return numbers


def rows(trained: Mapping, random: Mapping) -> list[list[str]]:
    """A row for each headline number of both reports."""
    told = []
    for name, result in trained["benchmarks"].items():
        if "headline" not in result:
            continue
        for metric, value in result["headline"].items():
            controls = [
                f"{control['protocol']} {number(control['metrics'][metric]['mean'])}"
                for control in result["result"].get("controls", ())
            ]
            told.append(row(name, metric, value, random["benchmarks"][name]["headline"][metric], "; ".join(controls)))
    other = built_numbers(random)
    for name, value in built_numbers(trained).items():
        told.append(row(*name.split(" ", 1), value, other[name], value["control"]))
    return told


def row(name: str, metric: str, trained: Mapping, random: Mapping, controls: str) -> list[str]:
    """Both numbers with their intervals, and which is better."""
    cells = [f"{number(value['mean'])} {interval(value['interval'])}" for value in (trained, random)]
    return [name, metric, *cells, better(trained, random, smaller=metric in ("mae", "rmse")), controls]


def better(trained: Mapping, random: Mapping, *, smaller: bool) -> str:
    """`within noise` where one number lies in the other's interval."""
    a, b = trained["mean"], random["mean"]
    if a is None or b is None:
        return "undefined"
    if not (trained["interval"] or random["interval"]):
        return "no interval"
    if a == b or _within(b, trained["interval"]) or _within(a, random["interval"]):
        return "within noise"
    return "trained" if (a < b if smaller else a > b) else "random"


def _within(value: float, bounds: Sequence[float | None] | None) -> bool:
    return bool(bounds) and None not in bounds and bounds[0] <= value <= bounds[1]


@command
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", type=Path, required=True, metavar="DIR", help="folder of the real files")
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="DIR", help="a trained checkpoint")
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR", help="for results")
    parser.add_argument(
        "--benchmarks", nargs="+", default=["all"], metavar="NAME", help="some of them (default: all there are)"
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

    weights = {"trained": options.checkpoint, "random": random_checkpoint(options.checkpoint, options.folder / "random")}
    reports = {}
    for name, checkpoint in weights.items():
        output = options.folder / f"of_{name}"
        asked = ["--benchmarks", *options.benchmarks, "--set", *SMALL]
        reports[name] = evaluated(checkpoint, public, output / "public", *asked)
        stored = output / "built" / "report.json"
        if not stored.exists():
            evaluated(checkpoint, built, stored.parent, "--pool", "1024", "--benchmarks", *BUILT)
        reports[name] |= json.loads(stored.read_text(encoding="utf-8"))

    told = rows(reports["trained"], reports["random"])
    header = ["benchmark", "metric", "trained [95 %]", "random weights [95 %]", "better", "controls (trained)"]
    counts = {
        word: sum(line[4] == word for line in told)
        for word in ("trained", "within noise", "random", "no interval", "undefined")
    }
    absent = {name: result["missing"] for name, result in reports["trained"]["benchmarks"].items() if "missing" in result}
    absent |= {name: "no data at hand" for name in BENCHMARKS if name not in reports["trained"]["benchmarks"]}
    page = [table(header, told), ", ".join(f"{word}: {count}" for word, count in counts.items())]
    page += [f"Not measured: {name} ({reason})." for name, reason in absent.items()]
    (options.folder / "table.md").write_text("\n\n".join(page) + "\n", encoding="utf-8")
    print("\n\n".join(page))


if __name__ == "__main__":
    raise SystemExit(main())
