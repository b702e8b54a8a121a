"""Progress messages of a run on stderr: its setup, each evaluation and its end."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import jax
from jax.sharding import Mesh

from data_pipelines.training.pipeline import StreamSource
from data_pipelines.training.sampling import Sampler
from protclip_jax.objectives.registry import OBJECTIVES
from protclip_jax.training.train_state import TrainState


def beginning(config: Mapping, state: TrainState, source: StreamSource, mesh: Mesh) -> list[str]:
    """Lines that describe the model of a run, its objectives, data and devices."""
    model, loss = config["model"], config["loss"]
    weights = ", ".join(f"{name} {loss[name]:g}" for name in OBJECTIVES if loss[name])
    shapes = [f"{name} {_shape(model[name])}" for name in ("protein", "text") if model[name]]
    trained = sum(leaf.size for leaf in state.trainable.values())
    frozen = sum(leaf.size for leaf in state.frozen.values())
    text = "" if state.trains_text else "; the text tower is frozen"
    sampler = source.sampler
    sizes = zip(sampler.sizes, sampler.weights, strict=True)
    drawn = [size for size, weight in sizes if weight]
    excluded = sum(sampler.sizes) - sum(drawn)
    hosts = jax.process_count()
    axes = " × ".join(f"{name} {size}" for name, size in mesh.shape.items())
    kind, rows = mesh.devices.flat[0].device_kind, config["batch"]["rows"]
    return [
        f"model: {', '.join(shapes)}; {trained:,} of {trained + frozen:,} parameters are "
        f"trained{text}.",
        f"objectives: {weights}.",
        f"data: {sum(drawn):,} training records in {len(drawn)} clusters of "
        f"{config['data']['dir']}; config.sampling excludes {excluded:,}; one epoch is "
        f"{sampler.epoch_draws:,} draws.",
        f"devices: {mesh.devices.size} × {kind} on {_counted(hosts, 'host')}, as {axes}; "
        f"{rows:,} rows per step.",
    ]


RARE = 0.25
"""A source is reported if its share of the draws is below this times its share of the records."""


def rarely_drawn(sampler: Sampler) -> list[str]:
    """Lines about sources whose records are drawn far less often than others.

    TrEMBL's are in a small dataset: the exponents that weight its clusters make the sum of its
    weights small, which is its default share. Records of existence 3 count about a thirtieth each.
    """
    drawn, records = Counter(), Counter()
    for cluster, size, share in zip(
        sampler.clusters, sampler.sizes, sampler.probabilities, strict=True
    ):
        if share > 0:
            source = cluster.partition("/")[0]
            drawn[source] += float(share)
            records[source] += size
    lines = []
    for source, share in drawn.items():
        held = records[source] / records.total()
        if share < RARE * held:
            lines.append(
                f"data: {source} has {held:.0%} of these records but gets only {share:.1%} of the "
                "draws; to draw it more often, set sampling.sources.swissprot and "
                "sampling.sources.trembl."
            )
    return lines


def _shape(tower: Mapping) -> str:
    return f"{_counted(tower['num_layers'], 'layer')} × {tower['hidden_size']}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def steps(step: int, total_steps: int, workdir: Path | str) -> str:
    """A line that says which steps the run will take; `step` is the last one done."""
    if step >= total_steps:
        return f"steps: all {total_steps:,} are done; {workdir} is unchanged."
    if step:
        return f"steps: resuming {workdir} after step {step:,} of {total_steps:,}."
    return f"steps: 0 to {total_steps:,}, into {workdir}."


def evaluation(step: int, metrics: Mapping[str, float]) -> str:
    """One line: `step 150: retrieval p2t_r1 0.125, mrr 0.211; losses gc 3.2.`, in given order."""
    parts = []
    named_groups = itertools.groupby(metrics.items(), key=lambda item: item[0].partition("/")[0])
    for key, group in named_groups:
        values = (f"{name.partition('/')[2]} {_number(value)}" for name, value in group)
        parts.append(f"{key} {', '.join(values)}")
    return f"step {step:,}: {'; '.join(parts)}."


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "none"


def ending(step: int, *, workdir: Path | str, done: bool) -> str:
    """The last line of a run that is done at `step`, or was stopped there by a signal."""
    if done:
        return f"done: trained to step {step:,}; pass --checkpoint {workdir} to the other commands."
    return f"stopped: step {step:,} is saved in {workdir}; rerun the same command to continue."
