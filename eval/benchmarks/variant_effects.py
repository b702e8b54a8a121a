"""Zero-shot variant effects: scores of the masked language model against experiments.

An assay's number is Spearman's correlation of the scores with the measurements. ProteinGym is
averaged as its own program does (`performance_DMS_benchmarks.py`): the mean over the assays of a
protein within a function type, over the proteins of the type, over the types. Next to the scores,
the report lists the baselines of `eval.protocols.variant_baselines` and, if a text of the protein
is given, the change of its cosine and the mean of both ranks, to show what the text adds.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from data_pipelines.common.markdown import interval, number
from data_pipelines.common.progress import progress
from data_pipelines.common.settings import one_of
from data_pipelines.inputs.substitutions import substituted
from eval.benchmarks.base.family import BenchmarkFamily, Measured, Setup
from eval.data.base import known_sources
from eval.data.base.audit import audit_files
from eval.data.base.benchmark import Benchmark
from eval.data.base.published import MASKED_LANGUAGE_MODEL, data_size, published_row
from eval.data.base.task import Assay, Assays
from eval.data.importers.assay import ASSAY
from eval.data.importers.proteingym import PROTEINGYM
from eval.metrics import spearman, spearman_of_counts
from eval.metrics.statistics import RESAMPLES, percentile_interval, resampled_counts
from eval.protocols.variant_baselines import baselines
from protclip_jax.inference.variant_effects import METHODS

SCORE, TEXT, BOTH = "spearman", "spearman, text", "spearman, score and text"
"""Metrics: the scores, the change of the text's cosine, and the mean of their ranks."""

Columns = Mapping[str, Float[np.ndarray, " n"]]
"""Predictions for the variants of an assay, by metric or by the name of a baseline."""
Values = Mapping[str, float]
"""Their correlations with the measurements."""


def predictions(assay: Assay, setup: Setup) -> dict[str, Float[np.ndarray, " n"]]:
    """The model's predictions for the assay's variants, by metric."""
    variants = [measured.changes for measured in assay.variants]
    method = setup.configs["variant_effects"].method
    (scores,) = setup.variants([assay.wild_type], [variants], method=method)
    columns = {SCORE: scores.astype(np.float64)}
    if assay.text:
        columns[TEXT] = text_changes(assay, setup)
        columns[BOTH] = rankdata(columns[SCORE]) + rankdata(columns[TEXT])
    return columns


def text_changes(assay: Assay, setup: Setup) -> Float[np.ndarray, " n"]:
    """cos(variant, text) − cos(wild type, text)."""
    made = [substituted(assay.wild_type, measured.changes) for measured in assay.variants]
    wild_type, *variants = setup.project([assay.wild_type, *made]).astype(np.float64)
    return (np.array(variants) - wild_type) @ setup.texts([assay.text])[0].astype(np.float64)


def correlations(columns: Columns, targets: Float[np.ndarray, " n"]) -> dict[str, float]:
    """Spearman correlation of each column with the measurements."""
    return {name: spearman(column, targets) for name, column in columns.items()}


def resampled(
    columns: Columns,
    targets: Float[np.ndarray, " n"],
    *,
    seed: int = 0,
) -> dict[str, Float[np.ndarray, " R"]]:
    """The correlations when variants are resampled, the same ones for all columns."""
    correlation = {name: spearman_of_counts(x, targets) for name, x in columns.items()}
    values = {name: [] for name in columns}
    for part in resampled_counts(len(targets), seed=seed):
        for counts in part:
            for name, of_counts in correlation.items():
                values[name].append(of_counts(counts))
    return {name: np.array(own) for name, own in values.items()}


def proteingym_average(assays: Sequence[Assay], values: Sequence[Values], name: str) -> float:
    """Averages over assays of each protein, then over proteins of each type, then over types.

    Undefined correlations are left out, as pandas does; NaN if none is defined. The published
    averages are of correlations rounded to three digits.
    """
    types = protein_means(assays, values, name)
    return float(np.mean([np.mean(of_type) for of_type in types.values()])) if types else np.nan


def protein_means(
    assays: Sequence[Assay],
    values: Sequence[Values],
    name: str,
) -> dict[str, Float[np.ndarray, " proteins"]]:
    """For each function type, in alphabetical order, the mean over the assays of each protein."""
    groups: dict[str, dict[str, list[float]]] = {}
    for assay, own in zip(assays, values, strict=True):
        if np.isfinite(own.get(name, np.nan)):
            groups.setdefault(assay.function, {}).setdefault(assay.protein, []).append(own[name])
    means = {}
    for function in sorted(groups):
        means[function] = np.array([np.mean(own) for own in groups[function].values()])
    return means


def resampled_average(
    types: Mapping[str, Float[np.ndarray, " proteins"]],
    *,
    seed: int = 0,
) -> Float[np.ndarray, " R"]:
    """The average when the proteins of each type are resampled.

    ProteinGym's standard error uses such resamples too, though of differences.

    NaN if a type has only one protein, which says nothing about the spread.
    """
    if not types or min(map(len, types.values())) < 2:
        return np.full(RESAMPLES, np.nan)
    rng = np.random.default_rng(seed)
    means = []
    for of_type in types.values():
        drawn = rng.integers(len(of_type), size=(RESAMPLES, len(of_type)))
        means.append(of_type[drawn].mean(1))
    return np.mean(means, axis=0)


def measured_assay(assay: Assay, setup: Setup) -> Measured:
    """The correlations of one assay, with intervals over its variants."""
    own, others = predictions(assay, setup), baselines(assay)
    targets = np.array([measured.target for measured in assay.variants])
    values = correlations(own | others, targets)
    drawn = resampled(own | others, targets)
    controls = [{"protocol": n, "metrics": {SCORE: {"mean": values[n]}}} for n in others]
    notes = differences(SCORE, others, drawn)
    if BOTH in own:
        notes += differences(BOTH, [SCORE], drawn)
    columns = {n: summary(values[n], percentile_interval(drawn[n])) for n in values}
    result = {"variants": len(targets), "columns": columns, "controls": controls, "notes": notes}
    return Measured(result, {n: columns[n] for n in own})


def measured_proteingym(assays: Sequence[Assay], setup: Setup) -> Measured:
    """ProteinGym's average and that of each function type, with intervals over proteins."""
    values = []
    for assay in progress(assays, description="ProteinGym", unit="assays"):
        targets = np.array([measured.target for measured in assay.variants])
        values.append(correlations(predictions(assay, setup) | baselines(assay), targets))
    known = {name for own in values for name in own}
    metrics = [name for name in (SCORE, TEXT, BOTH) if name in known]
    others = sorted(known - set(metrics))
    headline, controls = {}, {name: {} for name in others}
    for name in metrics:
        types = protein_means(assays, values, name)
        average = proteingym_average(assays, values, name)
        headline[name] = summary(average, percentile_interval(resampled_average(types)))
    for name in others:
        controls[name][SCORE] = {"mean": proteingym_average(assays, values, name)}
    for function, of_type in protein_means(assays, values, SCORE).items():
        own = percentile_interval(resampled_average({function: of_type}))
        headline[f"{SCORE}, {function}"] = summary(float(of_type.mean()), own)
        for name in others:
            means = protein_means(assays, values, name).get(function)
            if means is not None:
                controls[name][f"{SCORE}, {function}"] = {"mean": float(means.mean())}
    of_assays = {}
    for assay, own in zip(assays, values, strict=True):
        of_assays[assay.name] = {"variants": len(assay.variants), "columns": own}
    result = {
        "assays": of_assays,
        "controls": [{"protocol": name, "metrics": own} for name, own in controls.items()],
        "notes": average_differences(assays, values, others),
    }
    return Measured(result, headline)


def summary(value: float, of_value: tuple[float, float]) -> dict:
    """An entry of `Measured.headline`: without seeds there is no spread."""
    return {"mean": value, "std": None, "interval": of_value}


def differences(name: str, others: Sequence[str], drawn: Mapping[str, np.ndarray]) -> list[str]:
    """One sentence per other prediction: how much better `name` is, over paired resamples."""
    notes = []
    for other in others:
        gains = drawn[name] - drawn[other]
        if np.isfinite(gains).any():
            own = interval(percentile_interval(gains))
            middle = number(float(np.nanmedian(gains)))
            notes.append(f"{name} minus {other}: {middle} {own}, paired.")
    return notes


def average_differences(
    assays: Sequence[Assay],
    values: Sequence[Values],
    others: Sequence[str],
) -> list[str]:
    """Like `differences`, for the averages over ProteinGym, over proteins that have both."""
    notes = []
    for other in others:
        gains = [{"gain": own[SCORE] - own.get(other, np.nan)} for own in values]
        types = protein_means(assays, gains, "gain")
        if not types:
            continue
        average = proteingym_average(assays, gains, "gain")
        own = percentile_interval(resampled_average(types))
        notes.append(f"{SCORE} minus {other}: {number(average)} {interval(own)}, paired.")
    return notes


_PREFIX = "variants_"
_TASKS = ("beta_lactamase", "fluorescence", "gb1", "aav")
_PROTEINGYM = (
    "OATML-Markslab/ProteinGym@01b36e2, benchmarks/DMS_zero_shot/substitutions/Spearman/"
    "Summary_performance_DMS_substitutions_Spearman.csv"
)
_FUNCTIONS = ("Activity", "Binding", "Expression", "OrganismalFitness", "Stability")


def _published(model: str, values: str, protocol: str) -> tuple:
    """A row of ProteinGym's summary: the average, then each function type."""
    metrics = (SCORE, *(f"{SCORE}, {function}" for function in _FUNCTIONS))
    rows = []
    for metric, value in zip(metrics, values.split(), strict=True):
        rows += published_row("proteingym", model, metric, value, _PROTEINGYM, protocol)
    return tuple(rows)


class VariantEffects(BenchmarkFamily):
    """Variant effects from the model's scores, without training."""

    name = "variant_effects"
    title = "Zero-shot effects of variants"
    protocol = MASKED_LANGUAGE_MODEL
    beyond_vectors = "the probabilities of a masked language model at each residue"
    benchmarks = (
        *(
            Benchmark(
                f"{_PREFIX}{task}",
                f"the files of {task}; optionally its wild type and an alignment of homologues",
                (ASSAY,),
                {"format": "assay", "wild_type": f"{task}/wild_type.fasta"},
                proteins_of=task,
            )
            for task in _TASKS
        ),
        Benchmark(
            "proteingym",
            "DMS_substitutions.csv of github.com/OATML-Markslab/ProteinGym, reference_files, and "
            "the CSVs of DMS_ProteinGym_substitutions.zip, which its README links to",
            (PROTEINGYM,),
            {
                "format": "proteingym",
                "reference": "proteingym/DMS_substitutions.csv",
                "folder": "proteingym/DMS_ProteinGym_substitutions",
            },
            source=known_sources.PROTEINGYM,
        ),
    )
    published = (
        *_published("ESM-2 650M", "0.419 0.425 0.338 0.439 0.369 0.523", MASKED_LANGUAGE_MODEL),
        *_published("ESM-2 8M", "0.229 0.201 0.261 0.283 0.141 0.262", MASKED_LANGUAGE_MODEL),
        *_published(
            "site-independent", "0.361 0.369 0.345 0.351 0.382 0.358", "alignment of homologues"
        ),
        *_published(
            "TranceptEVE L",
            "0.457 0.487 0.381 0.456 0.46 0.5",
            "language model and alignment of homologues",
        ),
    )
    sizes = (data_size("proteingym", "README of OATML-Markslab/ProteinGym", assays=217),)
    fields = {"method": one_of(METHODS)}
    following = ("method=wild_type",)

    def proteins(self, data: Assays) -> list[str]:
        """The wild types."""
        return list(dict.fromkeys(assay.wild_type for assay in data.assays))

    def measure(self, setup: Setup, name: str, data: Assays) -> Measured:
        """The correlations, with intervals; see the module."""
        if name == "proteingym":
            return measured_proteingym(data.assays, setup)
        return measured_assay(data.assays[0], setup)

    def counts(self, data: Assays) -> dict[str, int]:
        """Rows by split for a benchmark of single proteins; assays and variants for ProteinGym."""
        return dict(data.rows)

    def audit(self, data: Assays) -> dict:
        """Variants by the number of their substitutions, and the counts of `audit_files`."""
        depths: dict[str, int] = {}
        for assay in data.assays:
            for measured in assay.variants:
                depth = str(len(measured.changes))
                depths[depth] = depths.get(depth, 0) + 1
        ordered = dict(sorted(depths.items(), key=lambda item: int(item[0])))
        return {"substitutions": ordered} | audit_files(data)
