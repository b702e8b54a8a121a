"""Computes from a jaxpr what a traced program costs one device: FLOPs and bytes sent.

XLA's own analysis counts the body of a loop only once, and kernels not at all. Here loops count
with their number of iterations and Pallas kernels with their grid, on any platform.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, jaxprs_in_params
from jax.interpreters.partial_eval import dce_jaxpr

COLLECTIVES = {
    "all_gather": "all-gather",
    "psum": "all-reduce",
    "psum_invariant": "all-reduce",
    "pmax": "all-reduce",
    "pmin": "all-reduce",
    "reduce_scatter": "reduce-scatter",
    "all_to_all": "all-to-all",
    "ppermute": "collective-permute",
}
"""XLA's name for each primitive that communicates."""

SENT = {
    "all-gather": lambda size, group: size * (group - 1) / group,
    "all-reduce": lambda size, group: 2 * size * (group - 1) / group,
    "reduce-scatter": lambda size, group: size * (group - 1),
    "all-to-all": lambda size, group: size * (group - 1) / group,
    "collective-permute": lambda size, group: size,
}
"""Bytes that a device sends in each collective, from the size of its result and the number of
devices. These are the costs of a ring, which is optimal if every link is used once."""

CUDNN_PRODUCTS = {
    "dot_product_attention_fwd_wrapper": 2,
    "dot_product_attention_bwd_wrapper": 5,
}
"""Products over all pairs of tokens in each pass of cuDNN's flash attention."""

Visits = Callable[[JaxprEqn], float | None]
"""For a `pallas_call`: how often a step of its grid takes a branch of the kernel (the fraction of
blocks not skipped), or runs a loop of unknown length (the number of blocks visited). For a `while`
outside kernels: its number of iterations. None if unknown."""


@dataclasses.dataclass
class Cost:
    """Cost of one run of a program on one device.

    The compiler may drop products and gathers whose results it already has. It may also replace a
    reduce-scatter by an all-reduce and a slice, which sends twice as much in a ring. docs/tpu.md
    has measurements.
    """

    flops: float = 0.0
    """FLOPs of matrix products (`dot_general`); the rest of a transformer is below one per cent."""
    kernel_flops: float = 0.0
    """The part of `flops` inside Pallas and cuDNN kernels."""
    bytes_sent: Counter = dataclasses.field(default_factory=Counter)
    """Bytes sent, by kind of collective."""
    largest: Counter = dataclasses.field(default_factory=Counter)
    """Bytes of the largest array that any collective of each kind returns."""

    def add(self, other: "Cost", times: float = 1) -> None:
        """Adds the cost of running `other` `times` times."""
        self.flops += times * other.flops
        self.kernel_flops += times * other.kernel_flops
        for kind, sent in other.bytes_sent.items():
            self.bytes_sent[kind] += times * sent
        self.largest |= other.largest


def cost(jaxpr: ClosedJaxpr, visits: Visits | None = None) -> Cost:
    """The cost of a traced program (`jax.jit(f).trace(...).jaxpr`), without unused results.

    Inside `jax.shard_map`, shapes are per device. Outside, they are global, and the compiler
    decides how to partition them: products there count as if every device computed them in full,
    and collectives that the compiler adds are not counted.

    Args:
      jaxpr: the program.
      visits: iterations of kernels that skip blocks; by default every branch counts as taken.

    Raises:
      ValueError: a loop with products or collectives has an unknown number of iterations.
    """
    used, _ = dce_jaxpr(jaxpr.jaxpr, True)
    return _program(used, _Place({}, visits))


class _Place(NamedTuple):
    """The surroundings of an equation."""

    mesh: Mapping[str, int]
    """Devices along each axis of the enclosing `shard_map`."""
    visits: Visits | None
    visited: float | None = None
    """`visits` of the enclosing kernel; None elsewhere, and inside the branch or loop it is for."""


def _program(jaxpr: Jaxpr, place: _Place) -> Cost:
    total = Cost()
    for equation in jaxpr.eqns:
        rule = _RULES.get(equation.primitive.name, _call)
        total.add(*rule(equation, place))
    return total


def _call(equation: JaxprEqn, place: _Place) -> tuple[Cost, float]:
    """Counts the inner programs of `jit`, `jax.checkpoint` and custom derivatives once."""
    total = Cost()
    for inner in jaxprs_in_params(equation.params):
        total.add(_program(inner, place))
    return total, 1


def _scan(equation: JaxprEqn, place: _Place) -> tuple[Cost, float]:
    body, _ = _call(equation, place)
    return body, equation.params["length"]


def _loop(equation: JaxprEqn, place: _Place) -> tuple[Cost, float]:
    """Counts a `while` loop, whose length the jaxpr does not contain."""
    body, _ = _call(equation, place._replace(visited=None))
    if not body.flops and not body.bytes_sent:
        return body, 0
    visited = place.visited
    if visited is None and place.visits:
        visited = place.visits(equation)
    if visited is None:
        raise ValueError(
            "a while loop with products or collectives has an unknown number of iterations; use "
            "lax.scan, or pass `visits` for the loop or the kernel around it."
        )
    return body, visited


def _branches(equation: JaxprEqn, place: _Place) -> tuple[Cost, float]:
    """Counts the most expensive branch of a `cond`."""
    inside = place._replace(visited=None)
    costs = [_program(branch, inside) for branch in jaxprs_in_params(equation.params)]
    costliest = max(costs, key=lambda branch: (branch.flops, branch.bytes_sent.total()))
    return costliest, 1 if place.visited is None else place.visited


def _kernel(equation: JaxprEqn, place: _Place) -> tuple[Cost, float]:
    visited = place.visits(equation) if place.visits else None
    body, _ = _call(equation, place._replace(visited=visited))
    body.kernel_flops = body.flops
    return body, math.prod(equation.params["grid_mapping"].grid)


def _shard_map(equation: JaxprEqn, place: _Place) -> tuple[Cost, float]:
    return _call(equation, place._replace(mesh=equation.params["mesh"].shape))


def _product(equation: JaxprEqn, _: _Place) -> tuple[Cost, float]:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    terms = math.prod(left[axis] for axis in contracted)
    return Cost(flops=2 * terms * equation.outvars[0].aval.size), 1


def _cudnn(equation: JaxprEqn, _: _Place) -> tuple[Cost, float]:
    queries, keys = (x.aval for x in equation.invars[:2])
    pairs = queries.size * keys.shape[1]
    flops = CUDNN_PRODUCTS[equation.primitive.name] * 2 * pairs
    return Cost(flops=flops, kernel_flops=flops), 1


def _collective(equation: JaxprEqn, place: _Place) -> tuple[Cost, float]:
    kind, group = COLLECTIVES[equation.primitive.name], _group_size(equation, place)
    (result,) = equation.outvars
    size = result.aval.size * result.aval.dtype.itemsize
    if group == 1:
        return Cost(), 1
    sent = SENT[kind](size, group)
    return Cost(bytes_sent=Counter({kind: sent}), largest=Counter({kind: size})), 1


def _group_size(equation: JaxprEqn, place: _Place) -> int:
    """Number of devices in each group that communicates."""
    params = equation.params
    if groups := params.get("axis_index_groups"):
        return len(groups[0])
    axes = params["axes"] if "axes" in params else params["axis_name"]
    names = axes if isinstance(axes, tuple) else (axes,)
    # The axes of `jax.vmap` are numbers here, and stay on the device.
    return math.prod(place.mesh[name] for name in names if isinstance(name, str))


_RULES = {
    "dot_general": _product,
    "scan": _scan,
    "while": _loop,
    "cond": _branches,
    "pallas_call": _kernel,
    "shard_map": _shard_map,
    **dict.fromkeys(COLLECTIVES, _collective),
    **dict.fromkeys(CUDNN_PRODUCTS, _cudnn),
}
