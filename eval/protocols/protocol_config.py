"""The fields of the protocols' configs in configs/eval, their allowed values, and the check."""

import reprlib
from collections.abc import Mapping

from data_pipelines.common.errors import UserError
from data_pipelines.common.settings import (
    FLAG,
    FRACTION,
    ROWS,
    STEPS,
    WIDTH,
    Kind,
    integer,
    number,
    one_of,
    unset_or,
)
from protclip_jax.config.schema import FIELDS
from protclip_jax.models.layers import REMAT_POLICIES

_SEED = integer(0, 2**32 - 1)

FROM_0 = integer(0, 2**31 - 1)
ABOVE_0 = number("above 0", lambda x: x > 0)

SPLITS = {
    **dict.fromkeys(("splits.valid_fraction", "splits.test_fraction"), FRACTION),
    "splits.remove_leaks": FLAG,
}
"""Shares of the training sequences that become a missing split."""


def some(each: Kind) -> Kind:
    """Tuples of such values, not empty."""
    return Kind(
        f"a tuple with one or more of {each.wanted}",
        lambda value: (
            isinstance(value, list | tuple) and len(value) > 0 and all(map(each.allows, value))
        ),
    )


def _of_training(group: str) -> dict[str, Kind]:
    """The fields of a group that training has too."""
    return {path: setting.kind for path, setting in FIELDS.items() if path.startswith(f"{group}.")}


_SHARED = {
    "seeds": Kind(
        "a tuple of different whole numbers from 0, such as (0, 1, 2)",
        lambda value: (
            isinstance(value, list | tuple)
            and len(set(value)) == len(value) > 0
            and all(map(_SEED.allows, value))
        ),
    ),
    "hidden": unset_or(WIDTH),
    **dict.fromkeys(("max_epochs", "patience"), STEPS),
    **_of_training("optimizer"),
    **SPLITS,
}

PROBE = _SHARED | {"batch_size": ROWS}

FINE_TUNING = _SHARED | {
    # <cls>, a residue, <eos>.
    "max_protein_tokens": integer(3, 1 << 24),
    "standardise": FLAG,
    "dtype": FIELDS["model.dtype"].kind,
    "remat": one_of(tuple(REMAT_POLICIES)),
    **dict.fromkeys(("batch.records", "batch.rows", "batch.slots", "batch.protein_tokens"), ROWS),
    **_of_training("mesh"),
}


def check(config: Mapping, fields: Mapping[str, Kind], *, name: str) -> None:
    """Checks a config against the fields of a protocol or family.

    `name` is the file that shows every field.

    Raises:
      UserError: a field is missing, unknown, of the wrong type or out of range.
    """
    flat = dict(_flat(config))
    for path in fields.keys() ^ flat.keys():
        raise UserError(
            f"the config {'lacks the' if path in fields else 'has the unknown'} field {path}; "
            f"{name} shows every field."
        )
    for path, field in fields.items():
        if not field.allows(flat[path]):
            raise UserError(
                f"the config's {path}={reprlib.repr(flat[path])} must be {field.wanted}; see "
                f"{name}."
            )


def _flat(config: Mapping, prefix: str = ""):
    for key, value in config.items():
        if isinstance(value, Mapping) or hasattr(value, "to_dict"):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
