"""The import hook of `tests/conftest.py` checks shapes and dtypes in each package, in every
process of the suite."""

from collections.abc import Callable, Iterable

import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float, TypeCheckError

from eval.metrics.statistics import auroc
from protclip_jax.objectives.masked_language_model import masked_cross_entropy
from protclip_jax.objectives.segment_alignment import mean_over_records
from tests.support.shape_checks import mentions_array


def wrong_length():
    auroc(np.zeros(3), np.zeros(4, bool))


def wrong_dtype():
    auroc(np.zeros(3), np.zeros(3))


def wrong_number_of_axes():
    masked_cross_entropy(jnp.zeros((2, 3)), jnp.zeros((2, 3), int), jnp.zeros((2, 3), bool))


def wrong_inside_a_tuple():
    log_sums = jnp.zeros((2, 1)), jnp.zeros((2, 4))
    mean_over_records(jnp.zeros((2, 4)), log_sums, jnp.ones((2, 4), bool))


@pytest.mark.parametrize(
    "call", [wrong_length, wrong_dtype, wrong_number_of_axes, wrong_inside_a_tuple]
)
def test_wrong_arrays_are_refused(call):
    with pytest.raises(TypeCheckError, match="checking the parameters"):
        call()


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (Float[Array, "n D"], True),
        (Float[Array, "n D"] | None, True),
        (dict[str, tuple[Float[Array, "n D"], ...]], True),
        (Callable[[int], Float[Array, "n D"]], False),
        (Iterable[Float[Array, "n D"]], False),
        (Array, False),
        (tuple[int, ...], False),
    ],
)
def test_only_annotations_with_a_shape_are_checked(hint, expected):
    assert mentions_array(hint) is expected
