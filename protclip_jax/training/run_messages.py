"""What a run tells on stderr: what it trains on what, each evaluation, and how it ended."""

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
    """Lines on the model of a run, its objectives, its data and its devices."""
    model, loss = config["model"], config["loss"]
    weights = ", ".join(f"{name} {loss[name]:g}" for name in OBJECTIVES if loss[name])
    towers = ", ".join(
        f"{name} {_shape(model[name])}" for name in ("protein", "text") if model[name]
    )
    trained, frozen = (
        sum(leaf.size for leaf in part.values()) for part in (state.trainable, state.frozen)
    )
    text = "" if state.trains_text else "; the text tower is frozen"
    drawn = [
        size
        for size, weight in zip(source.sampler.sizes, source.sampler.weights, strict=True)
        if weight
    ]
    left_out = sum(source.sampler.sizes) - sum(drawn)
    hosts = jax.process_count()
    axes = " × ".join(f"{name} {size}" for name, size in mesh.shape.items())
    kind, rows = mesh.devices.flat[0].device_kind, config["batch"]["rows"]
    return [
        f"model: {towers}; {trained:,} of {trained + frozen:,} parameters are trained{text}.",
        f"objectives: {weights}.",
        f"data: {sum(drawn):,} training records in {len(drawn)} clusters of "
        f"{config['data']['dir']}, "
        f"{left_out:,} are left out by config.sampling; one epoch is "
        f"{source.sampler.epoch_draws:,} draws.",
        f"devices: {mesh.devices.size} × {kind} of {_counted(hosts, 'host')}, as {axes}; "
        f"{rows:,} rows a step.",
    ]


RARE = 0.25
"""A source whose share of the draws is below this times its share of the records is named."""


def rarely_drawn(sampler: Sampler) -> list[str]:
    """A line for each source whose records are drawn far less often than others, as TrEMBL's are
    from a small dataset.

    The exponents that weigh TrEMBL's clusters make the sum of its weights, its share by default,
    small: of records of existence 3 about a thirtieth of their number.
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
                f"data: {source} has {held:.0%} of these records and gets {share:.1%} of the "
                "draws; set both "
                "sampling.sources to draw it more often."
            )
    return lines


def _shape(tower: Mapping) -> str:
    return f"{_counted(tower['num_layers'], 'layer')} × {tower['hidden_size']}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def steps(step: int, total_steps: int, workdir: Path | str) -> str:
    """A line on the steps that a run begins with, which are after `step`."""
    if step >= total_steps:
        return f"steps: all {total_steps:,} are done already; {workdir} stays as it is."
    if step:
        return f"steps: {workdir} goes on after step {step:,} of {total_steps:,}."
    return f"steps: from 0 to {total_steps:,}, into {workdir}."


def evaluation(step: int, metrics: Mapping[str, float]) -> str:
    """One line: `step 150: retrieval p2t_r1 0.125, mrr 0.211; losses gc 3.2.`, in the order that
    they were measured in."""
    parts = []
    for key, group in itertools.groupby(
        metrics.items(), key=lambda item: item[0].partition("/")[0]
    ):
        values = (f"{name.partition('/')[2]} {_number(value)}" for name, value in group)
        parts.append(f"{key} {', '.join(values)}")
    return f"step {step:,}: {'; '.join(parts)}."


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "none"


def ending(step: int, *, workdir: Path | str, done: bool) -> str:
    """The last line of a run that is done after `step`, or that a signal has stopped there."""
    if done:
        return f"done: trained to step {step:,}; pass --checkpoint {workdir} to the other commands."
    return f"stopped: step {step:,} is saved in {workdir}; run the same command again to go on."
