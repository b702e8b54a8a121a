"""The protocols of `--protocol`, by which heads are learnt on benchmarks of single proteins."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ml_collections import ConfigDict

from data_pipelines.common.settings import Kind
from eval.protocols import protocol_config
from eval.protocols.fine_tuning import FineTuning
from eval.protocols.probe import FrozenProbe
from eval.protocols.problem import Features, FittingProtocol
from eval.protocols.ridge import Ridge
from eval.protocols.supervised import composition_probe, standard_controls

Configs = Mapping[str, ConfigDict]


class Made(NamedTuple):
    """A protocol and its controls."""

    protocol: FittingProtocol
    controls: Sequence[FittingProtocol]


class Source(NamedTuple):
    """What a protocol learns from.

    Attributes:
      embed: sequences to the model's embeddings.
      checkpoint, step: where the model came from.
      folder: for states of a training that may be stopped.
    """

    embed: Features
    checkpoint: pathlib.Path
    step: int
    folder: pathlib.Path


class ProtocolChoice(NamedTuple):
    """One of the protocols.

    Attributes:
      fields: every field of its file in configs/eval and what it may be.
      configs: the names of the configs of `PROTOCOLS` that it depends on.
      make: the protocol and its controls, from the model and all configs.
    """

    fields: Mapping[str, Kind]
    configs: tuple[str, ...]
    make: Callable[[Source, Configs], Made]


def _probe(source: Source, configs: Configs) -> Made:
    protocol = FrozenProbe(source.embed, configs["probe"])
    return Made(protocol, standard_controls(protocol, configs["probe"]))


def _fine_tuning(source: Source, configs: Configs) -> Made:
    config = configs["fine_tuning"]
    protocol = FineTuning(source.checkpoint, config, source.folder, step=source.step)
    # Shuffled labels would cost as much as the fine-tuning itself.
    return Made(protocol, [Ridge(), composition_probe(configs["probe"])])


PROTOCOLS: dict[str, ProtocolChoice] = {
    "probe": ProtocolChoice(
        fields=protocol_config.PROBE,
        configs=("probe",),
        make=_probe,
    ),
    "fine_tuning": ProtocolChoice(
        fields=protocol_config.FINE_TUNING,
        configs=("probe", "fine_tuning"),
        make=_fine_tuning,
    ),
}
"""By the names of their files in configs/eval."""
