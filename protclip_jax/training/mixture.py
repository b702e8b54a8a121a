"""The cluster mixture of a run: configured shares and actual draws."""

import json
import pathlib
from collections.abc import Mapping

import numpy as np

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import is_number, read_json
from data_pipelines.protanno.clusters import CLUSTERS
from data_pipelines.protanno.dataset import ProtAnno
from data_pipelines.training.sampling import Sampler, make_sampler

MAX_COUNTED = 1 << 20
"""Maximum number of latest draws that are counted."""


def source_shares(sources: Mapping[str, float | None]) -> dict[str, float] | None:
    """The shares set in `config.sampling.sources`; None if none is set."""
    shares = {source: share for source, share in sources.items() if share is not None}
    return shares or None


def training_sampler(config: Mapping, dataset: ProtAnno) -> Sampler:
    """Makes the sampler of a run over a dataset's training records.

    Raises:
      UserError: as in `make_sampler`.
    """
    sizes = {
        cluster: dataset.train_size(cluster) for cluster in dataset.statistics.get("clusters", ())
    }
    sampling = config["sampling"]
    return make_sampler(
        sizes,
        seed=config["seed"],
        alpha=sampling["alpha"],
        beta=sampling["beta"],
        gamma=sampling["gamma"],
        drop_confidence=sampling["drop_confidence"],
        drop_coverage=sampling["drop_coverage"],
        sources=source_shares(sampling["sources"]),
        without_text=sampling["without_text"],
    )


def write(path: pathlib.Path, sampler: Sampler, states: Mapping[int, np.ndarray]) -> None:
    """Writes each cluster's configured share and its count among the draws read so far."""
    end = int(max(state[0] for state in states.values()))
    clusters, _ = sampler.draws(np.arange(max(0, end - MAX_COUNTED), end))
    drawn = np.bincount(clusters, minlength=len(sampler.clusters))
    table = {
        name: {"configured": float(share), "drawn": int(count)}
        for name, share, count in zip(sampler.clusters, sampler.probabilities, drawn, strict=True)
    }
    atomic_write(path, json.dumps({"total": int(drawn.sum()), "clusters": table}, indent=2) + "\n")


def read(path: pathlib.Path) -> dict:
    """Reads what `write` wrote: `total`, and `configured` and `drawn` for each of the `clusters`.

    Raises:
      UserError: the file has other content; it may come from elsewhere.
    """
    table = read_json(path)
    total, clusters = table.get("total"), table.get("clusters")
    if (
        not isinstance(clusters, dict)
        or not is_number(total)
        or not all(map(_is_row, clusters.items()))
    ):
        raise UserError(
            f"{path} is damaged: it does not list clusters with their draws; remove it."
        )
    return table


def _is_row(cluster: tuple[str, object]) -> bool:
    name, shares = cluster
    return (
        name in CLUSTERS
        and isinstance(shares, dict)
        and all(is_number(shares.get(key)) and shares[key] >= 0 for key in ("configured", "drawn"))
    )
