"""The training state: what a step changes, what other code reads, and what checkpoints store."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import jax
import optax
from jax.sharding import NamedSharding

from protclip_jax.models.logit_scale import bound_scales
from protclip_jax.training.lora import PREFIX, merge
from protclip_jax.training.optimizer import flatten, unflatten


class TrainState(NamedTuple):
    """Everything that training changes, plus the frozen parameters.

    Parameters are flat path → array dicts.
    """

    step: jax.Array
    trainable: dict[str, jax.Array]
    frozen: dict[str, jax.Array]
    optimizer: optax.OptState
    averaged: dict[str, jax.Array] | None = None
    """Averages of the trainable parameters over the steps so far; None without averaging."""

    @property
    def params(self) -> dict:
        """All parameters before the next step, as the tree that the model applies."""
        return unflatten(merge({**self.trainable, **self.frozen}))

    @property
    def published(self) -> dict:
        """The parameters for evaluations and readers of checkpoints: averages if they exist."""
        return unflatten(merge({**self.trainable, **self.frozen, **(self.averaged or {})}))

    @property
    def unpublished(self) -> Any:
        """What training needs besides `published`: optimiser state and differing parameters."""
        kept = self._kept()
        return {"optimizer": self.optimizer, **kept} if kept["params"] else self.optimizer

    def _kept(self) -> dict[str, dict]:
        """The parameters and averages that `published` does not contain unchanged."""
        seen, kept = flatten(self.published), {}
        own_params, own_averages = {**self.trainable, **self.frozen}, self.averaged or {}
        for name, own in {"params": own_params, "averaged": own_averages}.items():
            others = {path: leaf for path, leaf in own.items() if seen.get(path) is not leaf}
            kept[name] = unflatten(others)
        return kept

    def going_on(self, step: jax.Array, published: Mapping, unpublished: Any) -> Self:
        """Rebuilds the state at another step from its `published` and `unpublished` values."""
        seen, kept = flatten(published), unpublished
        if not self._kept()["params"]:
            kept = {"optimizer": unpublished, "params": {}, "averaged": {}}
        params = bound_scales({**seen, **flatten(kept["params"])})
        averages = bound_scales({**seen, **flatten(kept["averaged"])})
        trainable = {path: params[path] for path in self.trainable}
        frozen = {path: params[path] for path in self.frozen}
        averaged = self.averaged and {path: averages[path] for path in self.averaged}
        return type(self)(step, trainable, frozen, kept["optimizer"], averaged)

    @property
    def trains_text(self) -> bool:
        """Whether gradients reach the text tower."""
        return any(path.removeprefix(PREFIX).startswith("text/") for path in self.trainable)

    @property
    def shardings(self) -> dict[str, NamedSharding]:
        """The sharding of each parameter."""
        return {path: leaf.sharding for path, leaf in {**self.trainable, **self.frozen}.items()}
