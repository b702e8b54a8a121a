"""What a traced program costs one device, read from its jaxpr: FLOPs, and what it sends.

XLA's own analysis counts the body of a loop once and kernels not at all. Here a loop counts as
often as it runs and a Pallas kernel as often as its grid says, for any platform.
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
"""What XLA calls each primitive that sends."""

SENT = {
    "all-gather": lambda size, group: size * (group - 1) / group,
    "all-reduce": lambda size, group: 2 * size * (group - 1) / group,
    "reduce-scatter": lambda size, group: size * (group - 1),
    "all-to-all": lambda size, group: size * (group - 1) / group,
    "collective-permute": lambda size, group: size,
}
"""Bytes that a device sends in each collective, from the bytes of its result and the devices that
take part: those of a ring, which no algorithm that uses every link once does better than."""

CUDNN_PRODUCTS = {
    "dot_product_attention_fwd_wrapper": 2,
    "dot_product_attention_bwd_wrapper": 5,
}
"""Products of all pairs of tokens in each pass of cuDNN's flash attention."""

Visits = Callable[[JaxprEqn], float | None]
"""From a `pallas_call`: how often a step of its grid takes a branch of the kernel (the share of
blocks that it does not skip) or runs a loop of unknown length (the blocks that it visits). From a
`while` outside kernels: how often it runs. None where it is not known."""


@dataclasses.dataclass
class Cost:
    """Of one run on one device, as the program asks for it.

    The compiler may leave out products and gathers whose results it has already, and may write a
    reduce-scatter as an all-reduce and a slice, which in a ring sends twice as much: docs/tpu.md
    has measured figures.
    """

    flops: float = 0.0
    """Of matrix products (`dot_general`); the rest of a transformer is below one per cent."""
    kernel_flops: float = 0.0
    """The part of `flops` inside Pallas kernels and cuDNN's."""
    bytes_sent: Counter = dataclasses.field(default_factory=Counter)
    """By kind of collective."""
    largest: Counter = dataclasses.field(default_factory=Counter)
    """Bytes of the largest array that a collective of each kind gives."""

    def add(self, other: "Cost", times: float = 1) -> None:
        """Adds what it costs to run `other` so many times."""
        self.flops += times * other.flops
        self.kernel_flops += times * other.kernel_flops
        for kind, sent in other.bytes_sent.items():
            self.bytes_sent[kind] += times * sent
        self.largest |= other.largest


def cost(jaxpr: ClosedJaxpr, visits: Visits | None = None) -> Cost:
    """The cost of a traced program (`jax.jit(f).trace(...).jaxpr`), without what nothing uses.

    Inside `jax.shard_map` shapes are a device's own. Outside they are those of whole arrays, which
    the compiler divides as it likes: products there count as if every device computed all of them,
    and collectives that the compiler adds do not count.

    Args:
      visits: of kernels that skip blocks; without it a kernel's branches count as always taken.

    Raises:
      ValueError: how often a loop with products or collectives runs is not known.
    """
    used, _ = dce_jaxpr(jaxpr.jaxpr, True)
    return _program(used, _Place({}, visits))


class _Place(NamedTuple):
    """Where an equation stands."""

    mesh: Mapping[str, int]
    """Devices along each axis of the enclosing `shard_map`."""
    visits: Visits | None
    visited: float | None = None
    """The enclosing kernel's `visits`; None elsewhere and inside the branch or loop they are of."""


def _program(jaxpr: Jaxpr, place: _Place) -> Cost:
    total = Cost()
    for equation in jaxpr.eqns:
        rule = _RULES.get(equation.primitive.name, _call)
        total.add(*rule(equation, place))
    return total


def _call(equation: JaxprEqn, place: _Place) -> tuple[Cost, float]:
    """What is inside once: of `jit`, `jax.checkpoint`, custom derivatives."""
    total = Cost()
    for inner in jaxprs_in_params(equation.params):
        total.add(_program(inner, place))
    return total, 1


def _scan(equation: JaxprEqn, place: _Place) -> tuple[Cost, float]:
    body, _ = _call(equation, place)
    return body, equation.params["length"]


def _loop(equation: JaxprEqn, place: _Place) -> tuple[Cost, float]:
    """A `while`, which says nothing of its length."""
    body, _ = _call(equation, place._replace(visited=None))
    if not body.flops and not body.bytes_sent:
        return body, 0
    visited = place.visited
    if visited is None and place.visits:
        visited = place.visits(equation)
    if visited is None:
        raise ValueError(
            "how often a while loop with products or collectives runs is not known; "
            "use lax.scan, or give the visits of it or of the kernel that it is in."
        )
    return body, visited


def _branches(equation: JaxprEqn, place: _Place) -> tuple[Cost, float]:
    """The most expensive one."""
    inside = place._replace(visited=None)
    costs = [_program(branch, inside) for branch in jaxprs_in_params(equation.params)]
    dearest = max(costs, key=lambda branch: (branch.flops, branch.bytes_sent.total()))
    return dearest, 1 if place.visited is None else place.visited


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
    """Devices that exchange among themselves."""
    params = equation.params
    if groups := params.get("axis_index_groups"):
        return len(groups[0])
    axes = params["axes"] if "axes" in params else params["axis_name"]
    names = axes if isinstance(axes, tuple) else (axes,)
    # An axis of `jax.vmap` is a number here, and stays on the device.
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
