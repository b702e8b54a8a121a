"""Measures every model of a form once, on validation, on test and on an outside test set."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.evidence.measure import Measured
from benchmarks.evidence.training_records import records, training
from benchmarks.real.datasets import Known, outside_set, with_questions
from benchmarks.real.kept import (
    BASELINES,
    LINEAR_PREFIX,
    LOSSES,
    OUTSIDE,
    PROBE,
    SEGMENTS,
    Run,
    outside_name,
)
from benchmarks.real.measure import Bench
from benchmarks.real.plan import (
    ARMS,
    CONFIG,
    MAIN,
    MASKED,
    PLANTED,
    RANDOM,
    WHOLE,
    WITHOUT_PDA,
)
from benchmarks.real.planted import SIGNALS
from benchmarks.real.probe import LocationProbe
from benchmarks.real.residue_entropy import cross_entropies
from benchmarks.real.segments import RealSegments, folds_of
from benchmarks.real.training import Models, Setting, dataset_of
from data_pipelines.common.progress import print_status
from data_pipelines.protanno.clusters import TEST, VALIDATION
from data_pipelines.protanno.dataset import ProtAnno, open_dataset
from eval.pretraining.held_out_losses import HeldOutLosses
from eval.pretraining.pool import fixed_pool
from eval.pretraining.trained_baselines import TrainedBaselines
from eval.protocols.embedding_cache import CachedEmbedder
from protclip_jax.config.config_file import load_config
from protclip_jax.config.schema import completed

LOSS_POOL = 256
BenchOf = Callable[[str], Bench]
"""Maps a split to its bench, which is made on first use."""


class Inputs(NamedTuple):
    """The data to measure on.

    Attributes:
      known: what the data folder knows about its entries.
      hits: files of hits by the name of their search.
      public: the folder of public benchmarks.
      outside: an outside test set, or None.
    """

    known: Known
    hits: Mapping[str, Path]
    public: Path
    outside: Path | None


def measure_all(setting: Setting, run: Run, inputs: Inputs, splits: Sequence[str]) -> None:
    """Trains and measures what is missing, most important first: models for primary endpoints."""
    run.results.mkdir(parents=True, exist_ok=True)
    dataset = with_questions(open_dataset(setting.dataset), inputs.known)
    named = dict.fromkeys(splits, dataset)
    if inputs.outside:
        own = next(iter(inputs.hits.values()), None)
        name = outside_name(inputs.outside)
        outside = outside_set(inputs.outside, setting.folder / name, dataset, own)
        named[name] = with_questions(outside, inputs.known)
    bench_of = functools.cache(lambda split: _bench(setting, inputs, named[split], split))
    measure_baselines(run, _baselines(setting, inputs, dataset), list(named), bench_of)
    models = Models(setting)
    measure_model(run, models, MAIN, list(named), bench_of)
    measure_public(setting, run, models, inputs.public, dataset)
    measure_losses(run, models, dataset)
    measure_segments(setting, run, models, inputs.known, dataset)
    if PLANTED in setting.form.arms:
        measure_planted(setting, run, models, inputs, splits)
    measure_model(run, models, RANDOM, list(named), bench_of)
    for arm in setting.form.arms:
        if ARMS[arm].records:
            measure_curve(setting, run, models, arm, inputs, list(named), bench_of)
        elif arm not in (MAIN, PLANTED):
            measure_model(run, models, arm, list(named), bench_of)


def measure_baselines(
    run: Run, baselines: TrainedBaselines, splits: Sequence[str], bench_of: BenchOf
) -> None:
    """Measures every baseline on the splits where this is not done yet."""
    for split in splits:
        if run.missing(split, [BASELINES]):
            print_status(f"measuring {BASELINES} on {split}")
            for name, found in bench_of(split).baselines(baselines).items():
                run.keep(split, name, found)
            run.keep(split, BASELINES, {})


def measure_model(
    run: Run, models: Models, name: str, splits: Sequence[str], bench_of: BenchOf
) -> None:
    """Measures an arm or random weights on the splits where this is not done yet.

    Arms are trained first if necessary.
    """
    if missing := [split for split in splits if run.missing(split, [name])]:
        model = models[name]
        for split in missing:
            print_status(f"measuring {name} on {split}")
            run.keep(split, name, bench_of(split).model(model))


def measure_curve(
    setting: Setting,
    run: Run,
    models: Models,
    arm: str,
    inputs: Inputs,
    splits: Sequence[str],
    bench_of: BenchOf,
) -> None:
    """Measures an arm trained on some of the records; `linear_…` is the linear model on the same.

    Only where this is not done yet.
    """
    missing = [split for split in splits if run.missing(split, [arm])]
    if not missing:
        return
    model = models[arm]
    baselines = _baselines(setting, inputs, open_dataset(dataset_of(setting, ARMS[arm])))
    for split in missing:
        print_status(f"measuring {arm} on {split}")
        bench = bench_of(split)
        run.keep(split, arm, bench.model(model) | _of_linear(bench, baselines))


def measure_planted(
    setting: Setting, run: Run, models: Models, inputs: Inputs, splits: Sequence[str]
) -> None:
    """Measures the arm trained on planted signals, on the proteins that carry one.

    `linear_…` is the linear model after training on the same planted dataset.
    """
    missing = [split for split in splits if run.missing(split, [PLANTED])]
    if not missing:
        return
    dataset, model = open_dataset(dataset_of(setting, ARMS[PLANTED])), models[PLANTED]
    baselines = _baselines(setting, inputs, dataset)
    for split in missing:
        print_status(f"measuring {PLANTED} on {split}")
        bench = _bench(setting, inputs, dataset, split)
        found = bench.model(model) | _of_linear(bench, baselines)
        for kind in SIGNALS:
            by_chance, own = bench.chance(kind), found[f"map_{kind}"]
            above = Measured(own.value - by_chance, own.replicates - by_chance)
            found[f"map_{kind}_over_chance"] = above
        run.keep(split, PLANTED, found)


def measure_public(
    setting: Setting, run: Run, models: Models, folder: Path, dataset: ProtAnno
) -> None:
    """Probes the main model, its masked stage, and random weights; skipped without the data."""
    missing = run.missing(PROBE, [MAIN, MASKED, RANDOM])
    if not missing or not folder.is_dir():
        return
    probe = LocationProbe(
        folder,
        dataset,
        limit=setting.form.probed,
        replicates=setting.form.replicates,
        seed=setting.seed,
    )
    for model in missing:
        print_status(f"measuring {model} with the location probe")
        features = CachedEmbedder(models[model], setting.folder / "embeddings")
        run.keep(PROBE, model, probe.measure(features))


def measure_segments(
    setting: Setting, run: Run, models: Models, known: Known, dataset: ProtAnno
) -> None:
    """Measures where the weights of the main model, random weights and ablated arms lie."""
    ablated = [arm for arm in (WHOLE, WITHOUT_PDA) if arm in setting.form.arms]
    missing = run.missing(SEGMENTS, [MAIN, RANDOM, *ablated])
    if not missing:
        return
    folds = folds_of(dataset, known.clusters)
    if min(map(len, folds)) < 2:
        print_status("segments: too few annotated proteins to measure.")
        return
    segments = RealSegments(
        dataset,
        folds,
        known.clusters,
        replicates=setting.form.replicates,
        seed=setting.seed,
    )
    for model in missing:
        print_status(f"measuring {model} on {SEGMENTS}")
        run.keep(SEGMENTS, model, segments.measure(models[model]))


def measure_losses(run: Run, models: Models, dataset: ProtAnno) -> None:
    """Measures the masked language modelling loss on validation, and that of frequencies alone."""
    for model in run.missing(LOSSES, [MAIN, MASKED]):
        losses = HeldOutLosses(dataset, split=VALIDATION, pool=LOSS_POOL).metrics(models[model])
        run.keep(LOSSES, model, {"mlm": _constant(losses["mlm"])})
    for model in run.missing(LOSSES, ["residue frequencies"]):
        sequences = (record.sequence for record in records(training(dataset)))
        pool = fixed_pool(dataset, split=VALIDATION, size=LOSS_POOL)
        held_out = (record.sequence for record in pool.records)
        found = cross_entropies(sequences, held_out)
        run.keep(LOSSES, model, {name: _constant(value) for name, value in found.items()})


def _bench(setting: Setting, inputs: Inputs, dataset: ProtAnno, split: str) -> Bench:
    outside = split.startswith(OUTSIDE)
    return Bench(
        dataset,
        split=TEST if outside else split,
        clusters=inputs.known.clusters,
        worded=None if outside else inputs.known.worded,
        pool=setting.form.pool,
        questioned=setting.form.questioned,
        replicates=setting.form.replicates,
        seed=setting.seed,
    )


def _baselines(setting: Setting, inputs: Inputs, dataset: ProtAnno) -> TrainedBaselines:
    """The baselines trained on the draws and texts of the main model."""
    config = load_config(Path(CONFIG), f"contrast{setting.form.suffix}")
    config.seed = setting.seed
    return TrainedBaselines(dataset, completed(config.to_dict()), hits=inputs.hits)


def _of_linear(bench: Bench, baselines: TrainedBaselines) -> dict[str, Measured]:
    """What the linear model measures, as `linear_…`; empty without training records."""
    linear = baselines.linear
    found = bench.model(linear.model) if linear else {}
    return {f"{LINEAR_PREFIX}{quantity}": measured for quantity, measured in found.items()}


def _constant(value: float) -> Measured:
    """A number that is reported without an interval."""
    return Measured(float(value), np.full(1, float(value)))
