"""Every field of the protocols' configs and what it may be: configs/eval/probe.py and configs/eval/fine_tuning.py."""

import reprlib
from collections.abc import Mapping

from data_pipelines.errors import UserError
from protclip_jax.config_fields import FIELDS, FRACTION, ROWS, STEPS, WIDTH, Field, one_of, unset_or, whole
from protclip_jax.models.layers import REMAT_POLICIES

_SEED = whole(0, 2**32 - 1)

_SHARED = {
    "seeds": Field(
        "a tuple of different whole numbers from 0, such as (0, 1, 2)",
        lambda value: isinstance(value, list | tuple) and len(set(value)) == len(value) > 0 and all(map(_SEED.allows, value)),
    ),
    "hidden": unset_or(WIDTH),
    **dict.fromkeys(("max_epochs", "patience"), STEPS),
    **{path: field for path, field in FIELDS.items() if path.startswith("optimizer.")},
    **dict.fromkeys(("splits.valid_fraction", "splits.test_fraction"), FRACTION),
    "splits.remove_leaks": Field("True or False", lambda value: type(value) is bool),
}

PROBE = _SHARED | {"batch_size": ROWS}

FINE_TUNING = _SHARED | {
    # <cls>, a residue, <eos>.
    "max_protein_tokens": whole(3, 1 << 24),
    "dtype": FIELDS["model.dtype"],
    "remat": one_of(tuple(REMAT_POLICIES)),
    **dict.fromkeys(("batch.records", "batch.rows", "batch.slots", "batch.protein_tokens"), ROWS),
    **{path: field for path, field in FIELDS.items() if path.startswith("mesh.")},
}


def check(config: Mapping, fields: Mapping[str, Field], *, name: str) -> None:
    """Checks a config against `PROBE` or `FINE_TUNING`; `name` is the file that shows every field.

    Raises:
      UserError: a field is missing, unknown, of the wrong type or out of its range.
    """
    flat = dict(_flat(config))
    for path in fields.keys() ^ flat.keys():
        raise UserError(f"the config has {'no' if path in fields else 'the unknown'} field {path}; {name} shows every field.")
    for path, field in fields.items():
        if not field.allows(flat[path]):
            raise UserError(f"the config's {path}={reprlib.repr(flat[path])} must be {field.wanted}.")


def _flat(config: Mapping, prefix: str = ""):
    for key, value in config.items():
        if isinstance(value, Mapping) or hasattr(value, "to_dict"):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
