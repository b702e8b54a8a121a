"""Frozen probe: a two-layer head on fixed embeddings, trained for several seeds in one program."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Float32, Int
from ml_collections import ConfigDict

from data_pipelines.common.progress import progress
from eval.protocols import protocol_config
from eval.protocols.heads import KINDS, Scale, TwoLayerHead
from eval.protocols.problem import Features, Fitted, Problem, best_epoch
from eval.protocols.standardise import mean_and_spread
from protclip_jax.training.optimizer import flatten, make_optimizer, unflatten

ROWS_AT_ONCE = 4096
"""The number of rows per prediction."""


class FrozenProbe:
    """The protocol: features are computed once and standardised by the training split.

    `config` is that of configs/eval/probe.py.
    """

    def __init__(self, features: Features, config: ConfigDict, *, name: str = "frozen probe"):
        protocol_config.check(config, protocol_config.PROBE, name="configs/eval/probe.py")
        self._features, self._config, self.name = features, config, name

    def __call__(self, problem: Problem) -> Fitted:
        """Trains on train, stops by valid, predicts valid and test with each seed's best epoch."""
        x = {
            split: self._features(problem.sequences(split)) for split in ("train", "valid", "test")
        }
        mean, spread = mean_and_spread(x["train"])
        x = {split: ((values - mean) / spread).astype(np.float32) for split, values in x.items()}
        targets, valid_targets = problem.targets("train"), problem.targets("valid")
        scale = Scale.of(targets)
        probe = fit(
            x["train"],
            scale.standardise(targets),
            x["valid"],
            lambda outputs: problem.score(scale.restore(outputs), valid_targets),
            kind=problem.kind,
            outputs=problem.outputs,
            config=self._config,
        )
        outputs = {split: scale.restore(probe.predict(x[split])) for split in ("valid", "test")}
        facts = probe.facts(width=x["train"].shape[1], rows={split: len(x[split]) for split in x})
        return Fitted(outputs, facts | {"config": self._config.to_dict()})


class Probe(NamedTuple):
    """Trained heads, one per seed."""

    head: TwoLayerHead
    params: dict[str, Float[Array, "seeds ..."]]
    """Flattened parameters of each seed's best epoch."""
    history: Float[np.ndarray, "seeds epochs"]
    """Scores on the validation split; NaN after a seed has stopped."""

    def predict(self, x: Float32[np.ndarray, "n D"]) -> Float32[np.ndarray, "seeds n C"]:
        """The heads' outputs."""
        return _predict(self.head, self.params, x)

    def facts(self, *, width: int, rows: dict[str, int]) -> dict:
        """The facts about training for reports."""
        epochs = (~np.isnan(self.history)).sum(1)
        return {
            "hidden": self.head.hidden,
            "epochs": epochs.tolist(),
            "best_epoch": [best_epoch(of_seed) + 1 for of_seed in self.history],
            "best_valid": np.nanmax(self.history, axis=1).tolist(),
            "flops": flops(
                self.head,
                width=width,
                rows=rows,
                epochs=self.history.shape[1],
                seeds=len(self.history),
            ),
        }


def flops(head: TwoLayerHead, *, width: int, rows: dict[str, int], epochs: int, seeds: int) -> int:
    """FLOPs of matrix products: training, validation after each epoch, and final predictions.

    A row costs 2·(D·H + H·C) forward, 2·D·H + 4·H·C backward (no gradient reaches the features).
    """
    first, second = width * head.hidden, head.hidden * head.outputs
    forward = 2 * (first + second)
    training = rows["train"] * (forward + 2 * first + 4 * second)
    return seeds * (
        epochs * (training + rows["valid"] * forward) + (rows["valid"] + rows["test"]) * forward
    )


class _State(NamedTuple):
    """State of one seed; in training every leaf has a leading seeds axis."""

    params: dict[str, Array]
    optimizer: optax.OptState


def fit(
    x: Float32[np.ndarray, "n D"],
    targets: np.ndarray,
    valid_x: Float32[np.ndarray, "m D"],
    score: Callable[[Float32[np.ndarray, "m C"]], float],
    *,
    kind: str,
    outputs: int,
    config: ConfigDict,
) -> Probe:
    """Trains a head for each of `config.seeds`, all in one vectorised program.

    A seed alone determines the initial parameters and the order of the rows. After every epoch
    `score` judges the outputs for the validation features. A seed stops once its best epoch lies
    `config.patience` epochs back, and training ends with the last seed. `targets` are standardised.
    """
    head = TwoLayerHead(config.hidden or x.shape[1], outputs)
    keys = jax.vmap(jax.random.key)(np.array(config.seeds, np.uint32))
    params = jax.vmap(lambda key: flatten(head.init(key, jnp.asarray(x[:1]))["params"]))(keys)
    batch = min(config.batch_size, len(x))
    steps = config.max_epochs * -(-len(x) // batch)
    optimizer = make_optimizer(config.optimizer, params, steps)
    train_epoch = make_train_epoch(head, KINDS[kind].loss, optimizer, batch)
    state, best = _State(params, jax.vmap(optimizer.init)(params)), params
    x, targets, valid_x = map(jnp.asarray, (x, targets, valid_x))
    history = np.full((len(keys), 0), np.nan)
    running = np.ones(len(keys), bool)
    with progress(description="probe", unit="epochs", total=config.max_epochs) as bar:
        while running.any() and history.shape[1] < config.max_epochs:
            epoch = history.shape[1]
            state = train_epoch(state, keys, epoch, x, targets)
            judged = _predict(head, state.params, valid_x)
            scores = [
                _defined(score(of_seed)) if runs else np.nan
                for of_seed, runs in zip(judged, running, strict=True)
            ]
            history = np.column_stack([history, scores])
            bests = np.array([best_epoch(of_seed) for of_seed in history])
            best = _select(jnp.asarray(running & (bests == epoch)), state.params, best)
            running &= epoch - bests < config.patience
            bar.update()
    return Probe(head, best, history)


def make_train_epoch(
    head: TwoLayerHead,
    loss: Callable[[Array, Array], Array],
    optimizer: optax.GradientTransformation,
    batch: int,
) -> Callable[[_State, Array, Int[Array, ""], Array, Array], _State]:
    """Builds a jitted `(state, keys, epoch, x, targets) -> state`: one epoch for all seeds at once.

    Rows are in random order. The last batch may be smaller than the others; every step's loss is
    the mean over its own rows.
    """

    def train_epoch(
        state: _State, key: Array, epoch: Int[Array, ""], x: Array, targets: Array
    ) -> _State:
        count, steps = len(x), -(-len(x) // batch)
        order = jax.random.permutation(jax.random.fold_in(key, epoch), count)
        rows = jnp.pad(order, (0, steps * batch - count)).reshape(steps, batch)
        counts = (jnp.arange(steps * batch) < count).reshape(steps, batch)

        def step(state: _State, of_step: tuple[Array, Array]) -> tuple[_State, None]:
            row, counted = of_step

            def mean_loss(params):
                losses = loss(head.apply({"params": unflatten(params)}, x[row]), targets[row])
                return jnp.sum(losses * counted) / jnp.sum(counted)

            gradients = jax.grad(mean_loss)(state.params)
            updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
            return _State(optax.apply_updates(state.params, updates), optimizer_state), None

        return jax.lax.scan(step, state, (rows, counts))[0]

    return jax.jit(jax.vmap(train_epoch, in_axes=(0, 0, None, None, None)))


def _predict(
    head: TwoLayerHead, params: dict[str, Array], x: Float32[Array | np.ndarray, "n D"]
) -> Float32[np.ndarray, "seeds n C"]:
    parts = [
        np.asarray(_apply(head, params, x[start : start + ROWS_AT_ONCE]))
        for start in range(0, len(x), ROWS_AT_ONCE)
    ]
    return np.concatenate(parts, axis=1)


@functools.partial(jax.jit, static_argnums=0)
def _apply(
    head: TwoLayerHead, params: dict[str, Array], x: Float[Array, "n D"]
) -> Float[Array, "seeds n C"]:
    return jax.vmap(lambda of_seed: head.apply({"params": unflatten(of_seed)}, x))(params)


@jax.jit
def _select(chosen: Array, new: dict[str, Array], old: dict[str, Array]) -> dict[str, Array]:
    """For each seed the new parameters where it is chosen."""
    return jax.tree.map(
        lambda a, b: jnp.where(chosen.reshape(-1, *[1] * (a.ndim - 1)), a, b), new, old
    )


def _defined(score: float) -> float:
    """NaN marks epochs that were not judged, so an undefined score becomes the lowest instead."""
    return -np.inf if np.isnan(score) else float(score)
