"""Makes worlds, trains their networks and linear models, and stores what `measure` returns.

Finished parts are not repeated.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import protclip_train as train
from benchmarks.evidence.measure import Bench, Measured, read_clusters
from benchmarks.evidence.plan import RECORDS, STUDIES, Arm, Study
from benchmarks.evidence.training_records import smaller
from data_pipelines import vocabulary
from data_pipelines.build import __main__ as build
from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.protanno.clusters import CLUSTERS, split_name
from data_pipelines.protanno.dataset import ProtAnno, open_dataset
from data_pipelines.sample import __main__ as sample
from eval.pretraining.trained_baselines import Budget, TrainedBaselines
from protclip_jax.config.config_file import load_config
from protclip_jax.config.schema import completed
from protclip_jax.inference.protclip import ProtCLIP

JUDGE = "judge"
LINEAR_CONFIG = "configs/quickstart.py"
"""The config whose draws and texts linear models learn from, except for the fields of a study."""
DIGITS = 5


def make_world(folder: Path, study: Study, seed: int) -> Path:
    """Makes a sample with its dataset and vocabulary, in a new folder."""
    world = folder / "worlds" / f"{study.like}_{study.records}_{seed}"
    if not (world / "vocab.txt").exists():
        data = world / "protanno"
        run(sample.main, output=world, like=study.like, records=study.records, seed=seed)
        files = {
            "input": world / "sample.dat.gz",
            "clusters": world / "clusters.tsv",
            "questions": world / "questions.tsv",
        }
        run(build.main, **files, random_test_fraction=0, output=data)
        run(vocabulary.main, data_dir=data, output=world / "vocab.txt")
    return world


def training_data(world: Path, study: Study) -> Path:
    """The dataset that the models of a study learn from: the world's, or a smaller one."""
    whole = world / "protanno"
    if study.training_records is None:
        return whole
    return smaller(whole, study.training_records, world / f"records_{study.training_records}")


def run(command, **options: object) -> None:
    """Runs a command in this process.

    Raises:
      SystemExit: the command failed.
    """
    arguments = []
    for name, value in options.items():
        arguments += [f"--{name}", str(value)]
    if code := command(arguments):
        raise SystemExit(code)


def resolved(fields: Mapping[str, object], dataset: ProtAnno) -> dict[str, object]:
    """Replaces `RECORDS` in the fields by numbers."""
    dropped = {f"C{level}" for level in fields.get("sampling.drop_confidence", (0, 4, 5))}
    dropped |= {f"R{count}" for count in fields.get("sampling.drop_coverage", (1, 2))}
    records = {"swissprot": 0, "trembl": 0}
    for cluster in CLUSTERS:
        source, *levels = cluster.split("/")
        if source in records and (source == "swissprot" or dropped.isdisjoint(levels)):
            records[source] += len(dataset.splits.get(split_name(cluster), ()))
    return {
        path: float(records[path.rpartition(".")[2]]) if value == RECORDS else value
        for path, value in fields.items()
    }


def train_network(
    workdir: Path, world: Path, data: Path, arm: Arm, fields: Mapping[str, object], *, seed: int
) -> ProtCLIP:
    """Returns the best checkpoint of a run; trains it, or resumes a stopped training.

    Args:
      data: the dataset to learn from.
      fields: the arm's, `resolved`.
    """
    every = {"seed": seed, "data.dir": str(data), "tokenizer.text": str(world / "vocab.txt")}
    overrides = [f"--config.{path}={value}" for path, value in {**every, **fields}.items()]
    command = ["train.py", "--config", arm.config, "--workdir", str(workdir), *overrides]
    if code := train.main(command):
        raise SystemExit(code)
    return ProtCLIP.load(workdir)


def linear_baselines(
    dataset: ProtAnno, fields: Mapping[str, object], *, seed: int, budget: Budget | None
) -> TrainedBaselines:
    """The baselines, trained on a config's draws and texts."""
    config = load_config(Path(LINEAR_CONFIG))
    config.update_from_flattened_dict({"seed": seed, **fields})
    return TrainedBaselines(dataset, completed(config.to_dict()), budget=budget)


def measure_world(
    folder: Path, results: Path, name: str, study: Study, seed: int, *, split: str, networks: bool
) -> None:
    """Measures everything in one world that is not stored yet.

    Args:
      networks: whether to train networks too; everything else takes minutes.
    """
    results.mkdir(parents=True, exist_ok=True)
    missing = [
        model
        for model in (JUDGE, *study.linear, *study.networks)
        if not kept(results, name, seed, model).exists()
    ]
    wanted = [model for model in missing if networks or model not in study.networks]
    if not wanted:
        return
    world = make_world(folder, study, seed)
    dataset = open_dataset(world / "protanno")
    bench = Bench(dataset, read_clusters(world / "clusters.tsv"), split=split, seed=seed)
    data = training_data(world, study)
    for model in wanted:
        if model == JUDGE:
            found = bench.judge()
        elif model in study.linear:
            fields = resolved(study.linear[model], dataset)
            baselines = linear_baselines(open_dataset(data), fields, seed=seed, budget=study.budget)
            found = bench.encoder(baselines.linear.model)
        else:
            arm = study.networks[model]
            fields = resolved(arm.fields, dataset)
            workdir = folder / "runs" / f"{world.name}_{model}"
            network = train_network(workdir, world, data, arm, fields, seed=seed)
            found = bench.network(network)
        keep(kept(results, name, seed, model), found)


def kept(results: Path, study: str, seed: int, model: str) -> Path:
    """The file for the measurements of a model."""
    return results / f"{study}_{seed}_{model}.json"


def keep(path: Path, found: Mapping[str, Measured]) -> None:
    """Writes measurements in the format of `read_kept`."""
    numbers = {}
    for name, measured in found.items():
        replicates = np.round(measured.replicates, DIGITS).tolist()
        numbers[name] = {"value": measured.value, "replicates": replicates}
    atomic_write(path, json.dumps(numbers) + "\n")


def read_kept(path: Path) -> dict[str, Measured]:
    """Reads the measurements of a model."""
    numbers = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: Measured(found["value"], np.array(found["replicates"]))
        for name, found in numbers.items()
    }


def load(results: Path, study: str, model: str) -> dict[int, dict[str, Measured]]:
    """Loads the measurements of a model for all measured seeds."""
    paths = {seed: kept(results, study, seed, model) for seed in STUDIES[study].seeds}
    return {seed: read_kept(path) for seed, path in paths.items() if path.exists()}
