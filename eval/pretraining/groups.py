"""Groups held-out records by nearness to training and by what training names.

A number over a whole split mixes proteins with a close relative in training and those without.
Nearness is what the build stored (`data_pipelines.protanno.nearest`): identity and coverage from a
search if it was given one, so that the groups are the same for every model of the dataset;
otherwise MinHash separates close relatives from the rest.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from data_pipelines.common.markdown import interval, number, table
from data_pipelines.protanno.dataset import ProtAnno
from data_pipelines.protanno.nearest import Nearest
from eval.data.base.task import IDENTITY_CUTOFFS
from eval.metrics.statistics import bootstrap_interval

MIN_COVERAGE = 0.5
"""The share of the held-out protein that a hit must align for the two to be relatives."""
REMOTE = 0.3
"""Identity from which a training record without text counts as a relative."""

NO_HIT, UNKNOWN = "no relative found", "not looked up"
CLOSE, NOT_CLOSE = "a close relative", "no close relative"


class Group(NamedTuple):
    """Some of N records; counts those with a relative among training records without text."""

    name: str
    members: Bool[np.ndarray, " N"]
    related_without_text: int | None = None


def everything(size: int) -> Group:
    """A group of all records."""
    return Group("all", np.ones(size, bool))


def by_nearness(dataset: ProtAnno, accessions: Sequence[str]) -> list[Group]:
    """Groups records by their nearest training record with text, the most distant first.

    Empty if the build stored nothing about nearness.
    """
    known = dataset.nearest()
    if not known:
        return []
    found = [known.get(accession, Nearest()) for accession in accessions]
    searched = any(one.identity is not None for one in found)
    names = np.array([_band(one) if searched else _relative(one) for one in found])
    bare = np.array([related_without_text(one) for one in found])
    groups = []
    for name in _bands() if searched else (NOT_CLOSE, CLOSE, UNKNOWN):
        members = names == name
        if members.any():
            groups.append(Group(name, members, int((bare & members).sum())))
    return groups


def _bands() -> list[str]:
    inner = [
        f"{low:.0%} to {high:.0%}"
        for low, high in zip(IDENTITY_CUTOFFS, IDENTITY_CUTOFFS[1:], strict=False)
    ]
    return [
        NO_HIT,
        f"below {IDENTITY_CUTOFFS[0]:.0%}",
        *inner,
        f"{IDENTITY_CUTOFFS[-1]:.0%} or more",
        UNKNOWN,
    ]


def _band(found: Nearest) -> str:
    if found.identity is None:
        return UNKNOWN
    if found.coverage < MIN_COVERAGE:
        return NO_HIT
    return _bands()[1 + int(np.searchsorted(IDENTITY_CUTOFFS, found.identity, side="right"))]


def _relative(found: Nearest) -> str:
    return UNKNOWN if found.related is None else CLOSE if found.related else NOT_CLOSE


def related_without_text(found: Nearest) -> bool:
    """Whether each record has a known relative among the training records without text."""
    if found.identity_without_text is None:
        return bool(found.related_without_text)
    return found.identity_without_text >= REMOTE and found.coverage_without_text >= MIN_COVERAGE


def measured(groups: Sequence[Group], values: Mapping[str, Float[np.ndarray, " N"]]) -> list[dict]:
    """Each group's `name`, `records` and `related_without_text`, and `mean` and `interval`.

    `mean` and its 95 % `interval` are by model.
    """
    rows = []
    for group in groups:
        of_models = {}
        for model, numbers in values.items():
            own = numbers[group.members]
            of_models[model] = {"mean": float(own.mean()), "interval": bootstrap_interval(own)}
        facts = {"name": group.name, "records": int(group.members.sum())}
        rows.append(
            facts | {"related_without_text": group.related_without_text, "models": of_models}
        )
    return rows


def group_table(rows: Sequence[Mapping], what: str) -> str:
    """A table of `measured`'s results; `what` heads the groups. Empty without rows."""
    if not rows:
        return ""
    models = list(rows[0]["models"])
    counted = rows[0]["related_without_text"] is not None
    header = [what, "records", *(["with a relative without text"] if counted else []), *models]
    lines = []
    for row in rows:
        cells = [
            f"{number(value['mean'])} {interval(value['interval'])}"
            for value in row["models"].values()
        ]
        bare = [str(row["related_without_text"])] if counted else []
        lines.append([row["name"], str(row["records"]), *bare, *cells])
    return table(header, lines)
