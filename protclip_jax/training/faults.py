"""Handles steps whose loss or gradient is not finite: skips, reports and records them.

Too many of them end the run. The train step itself leaves the state unchanged (see `train_step`).
The host looks at a step's outcome one step later, so that it never waits for the device, and then
writes down the step's records and counts it against the limit.
"""

import json
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.errors import RunError
from data_pipelines.protanno.record import Record
from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.training.batch import Batch
from protclip_jax.distributed import sharding
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.training.train_state import TrainState
from protclip_jax.training.train_step import skipped_steps


class Pending(NamedTuple):
    """A step whose outcome the host has not checked yet."""

    step: int
    metrics: Mapping[str, jax.Array]
    batch: Batch
    draws: np.ndarray


class Faults:
    """Follows the steps of a run and limits how many may be skipped.

    `limit` covers the whole run, including restarts. `keep` is called with every file written and
    returns its final location.

    Raises:
      RunError: the resumed run has already skipped more steps.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        model: ProtCLIPModel,
        state: TrainState,
        mesh: Mesh,
        *,
        limit: int,
        keep: Callable[[pathlib.Path], str] = str,
    ):
        self._keep = keep
        self._folder = workdir / "faults"
        self._limit = limit
        self._skipped = skipped_steps(state)
        if self._skipped > limit:
            raise RunError(
                f"this run has skipped {self._skipped} steps, but max_skipped_steps is {limit}; "
                f"inspect their records in {self._folder}, then raise config.max_skipped_steps or "
                "start over with a lower learning rate."
            )
        self._pending: Pending | None = None
        self._mesh = mesh
        self._finite_slots = jax.jit(
            lambda params, batch: finite_slots(model, params, batch),
            out_shardings=sharding.replicated(mesh),
        )

    def follow(
        self,
        latest: Pending | None,
        state: TrainState,
        records: Callable[[np.ndarray], Sequence[Record]],
    ) -> None:
        """Checks the step before `latest` (None at the end of the run); all hosts call it alike.

        Args:
          latest: the step just started.
          state: the latest state.
          records: returns the records of the given draws.

        Raises:
          RunError: more steps were skipped than the limit allows.
        """
        pending, self._pending = self._pending, latest
        if pending is None or bool(pending.metrics["finite"]):
            return
        self._skipped += 1
        path = self._keep(self._write(pending, state, records))
        sentence = (
            f"step {pending.step} was skipped: its loss or gradient is not finite; its records "
            f"are in {path}"
        )
        if self._skipped > self._limit:
            raise RunError(
                f"{sentence}; this run has skipped {self._skipped} steps, but max_skipped_steps is "
                f"{self._limit}; inspect the records, then lower the learning rate or raise "
                "config.max_skipped_steps."
            )
        print(f"warning: {sentence} ({self._skipped} of at most {self._limit}).", file=sys.stderr)

    def _write(self, pending: Pending, state: TrainState, records) -> pathlib.Path:
        """Writes the step's losses and this host's records; non-finite embeddings come first."""
        finite = np.asarray(self._finite_slots(state.params, pending.batch))
        finite = finite[sharding.local_rows(self._mesh, len(finite))]
        losses = {name: loss.value() for name, loss in pending.metrics["losses"].items()}
        taken = pending.draws >= 0
        table = [
            {
                "accession": record.accession,
                "source": record.source,
                "draw": int(draw),
                "finite_embedding": bool(own),
            }
            for record, draw, own in zip(
                records(pending.draws[taken]), pending.draws[taken], finite[taken], strict=True
            )
        ]
        fault = {
            "step": pending.step,
            "losses": {name: _number(loss) for name, loss in losses.items()},
            "gradient_norm": _number(pending.metrics["scalars"]["gradient_norm"]),
            "records": sorted(table, key=lambda row: row["finite_embedding"]),
        }
        path = self._folder / f"step_{pending.step:08}.host_{jax.process_index()}.json"
        self._folder.mkdir(exist_ok=True)
        atomic_write(path, json.dumps(fault, indent=2) + "\n")
        return path


def finite_slots(model: ProtCLIPModel, params: Mapping, batch: Batch) -> Bool[Array, "R S"]:
    """Whether each record's protein and texts have finite embeddings when alone in their row.

    Each record is computed alone because a NaN stays a NaN when attention weights it with 0, and so
    spreads to the whole row.
    """
    bound = model.bind({"params": params})
    num_slots = batch.slot_mask.shape[1]

    def alone(slot):
        tokens = jnp.where(
            batch.protein_slot_ids == slot, batch.protein_tokens, protein_tokenizer.PAD
        )
        slot_ids = (batch.protein_slot_ids == slot).astype(jnp.int32)
        hidden = bound.encode_protein(tokens, slot_ids, batch.protein_positions, 1)
        proteins = bound.embed_proteins(hidden, slot_ids, 1)
        tokens, segment_ids = (
            jnp.where(batch.text_slot_ids == slot, ids, 0)
            for ids in (batch.text_tokens, batch.text_segment_ids)
        )
        hidden = bound.encode_text(tokens, segment_ids, batch.text_positions)
        texts = bound.project_text_segments(hidden, segment_ids, num_slots)
        return jnp.isfinite(proteins).all((1, 2)) & jnp.isfinite(texts).all((1, 2, 3))

    return jax.lax.map(alone, jnp.arange(1, num_slots + 1)).T


def _number(value: jax.Array) -> float | str:
    """Converts to a float; NaN and infinity become strings because JSON lacks them."""
    number = float(value)
    return number if np.isfinite(number) else str(number)
