"""Full fine-tuning: trains the protein tower and a two-layer head together, as in the paper.

Mean over residues, global batches of 512 records, a smaller learning rate for the tower than for
the head, early stopping on the validation split. All state is saved after every epoch; a killed run
resumes from there and ends as it would have without the kill.
"""

import hashlib
import json
import pathlib
import shutil
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Float32
from ml_collections import ConfigDict

from data_pipelines.common.atomic_write import atomic_path
from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import RunError
from data_pipelines.common.progress import progress
from data_pipelines.training.examples import protein_example
from eval.protocols import protocol_config
from eval.protocols.heads import KINDS, Scale
from eval.protocols.problem import Fitted, Problem, best_epoch
from eval.protocols.tuned_network import (
    TunedNetwork,
    initial_state,
    make_network,
    packed_batches,
    standardised,
)
from protclip_jax.checkpoints import best, checksums, workdir
from protclip_jax.checkpoints.best import Best
from protclip_jax.checkpoints.manager import CheckpointManager
from protclip_jax.checkpoints.parameters import load_params
from protclip_jax.distributed import sharding
from protclip_jax.embed.resume import adopt_plan
from protclip_jax.objectives.mean import Mean
from protclip_jax.training.initial_state import restored_state
from protclip_jax.training.optimizer import unflatten
from protclip_jax.training.train_state import TrainState

RESULT = "result.npz"
BEST = Best("valid", "max")
SPECIAL_TOKENS = 2
"""`<cls>` and `<eos>`."""


class FineTuning:
    """The fine-tuning protocol, configured by configs/eval/fine_tuning.py.

    States and results are saved in `folder`/PROBLEM/seed-N.
    """

    name = "fine-tuning"

    def __init__(
        self,
        checkpoint: pathlib.Path,
        config: ConfigDict,
        folder: pathlib.Path,
        *,
        step: str | int | None = None,
    ):
        protocol_config.check(
            config, protocol_config.FINE_TUNING, name="configs/eval/fine_tuning.py"
        )
        self._checkpoint, self._config, self._folder = checkpoint, config, folder
        self._step = best.resolve_step(checkpoint, step)

    def __call__(self, problem: Problem) -> Fitted:
        """Fine-tunes once per seed; reuses what earlier runs of the same setup left in the folder.

        Raises:
          UserError: the folder holds a run with another config, checkpoint or data, or another
          process has locked it.
          RunError: the loss is not finite.
        """
        mesh = sharding.make_mesh(self._config.mesh.data, self._config.mesh.fsdp)
        network = make_network(
            self._checkpoint,
            self._config,
            outputs=problem.outputs,
            loss=KINDS[problem.kind].loss,
            mesh=mesh,
        )
        data = _Data(problem, self._config.max_protein_tokens - SPECIAL_TOKENS)
        tuned = [self._tuned(problem, data, network, seed) for seed in self._config.seeds]
        best_epochs = [best_epoch(of_seed.history) + 1 for of_seed in tuned]
        best_valid = [float(max(of_seed.history)) for of_seed in tuned]
        facts = {
            "epochs": [len(of_seed.history) for of_seed in tuned],
            "best_epoch": best_epochs,
            "best_valid": best_valid,
            "truncated": data.truncated,
            "config": self._config.to_dict(),
        }
        outputs = {}
        for split in ("valid", "test"):
            outputs[split] = np.stack([getattr(of_seed, split) for of_seed in tuned])
        return Fitted(outputs, facts)

    def _tuned(self, problem: Problem, data: "_Data", network: TunedNetwork, seed: int) -> "Tuned":
        folder = self._folder / problem.name / f"seed-{seed}"
        config = json.loads(json.dumps(self._config.to_dict()))
        plan = {
            "checkpoint": hashlib.sha256(
                (self._saved_at / checksums.CHECKSUMS).read_bytes()
            ).hexdigest(),
            "data": data.digest,
            "seed": seed,
            # The mesh and the number of seeds do not affect a seed's run.
            "config": {
                name: value for name, value in config.items() if name not in ("mesh", "seeds")
            },
        }
        with (
            workdir.lock(folder),
            report_disk_errors(folder, kept="it resumes from the last epoch"),
        ):
            adopt_plan(folder, plan)
            if not (folder / RESULT).exists():
                tuned = self._tune(problem, data, network, seed, folder)
                with atomic_path(folder / RESULT) as partial, open(partial, "wb") as file:
                    np.savez(file, **tuned._asdict())
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            with np.load(folder / RESULT) as arrays:
                return Tuned(**arrays)

    @property
    def _saved_at(self) -> pathlib.Path:
        return self._checkpoint / "checkpoints" / str(self._step)

    def _tune(
        self,
        problem: Problem,
        data: "_Data",
        network: TunedNetwork,
        seed: int,
        folder: pathlib.Path,
    ) -> "Tuned":
        config = self._config
        steps = -(-len(data.targets) // config.batch.records)
        total_steps = config.max_epochs * steps
        state, optimizer = initial_state(
            network, self._checkpoint, self._step, config, seed=seed, total_steps=total_steps
        )
        history = np.full(config.max_epochs, np.nan)
        epoch = 0
        with (
            CheckpointManager(folder, keep_best=1, best=BEST) as saved,
            progress(
                description=f"fine-tuning {problem.name}, seed {seed}",
                unit="steps",
                total=total_steps,
            ) as bar,
        ):
            if (restored := saved.newest_intact()) is not None:
                state, data_state = restored_state(saved, restored, state, {"history": history})
                history, epoch = np.array(data_state["history"]), restored
                bar.update(epoch * steps)
            elif config.standardise:
                state = standardised(network, state, data.train)
            while epoch < config.max_epochs and not _stopped(history[:epoch], config.patience):
                rng = np.random.default_rng([seed, epoch])
                losses = []
                for records, parts in packed_batches(
                    data.train, data.targets, rng.permutation(len(data.targets)), config.batch
                ):
                    state, loss = network.train_step(optimizer, state, parts, records)
                    losses.append(loss)
                    bar.update()
                _check_finite(losses, problem.name)
                score = problem.score(
                    data.scale.restore(network.predict(state.params, data.valid)),
                    data.valid_targets,
                )
                history[epoch] = -np.inf if np.isnan(score) else score
                epoch += 1
                of_state = {
                    "params": state.params,
                    "optimizer": state.optimizer,
                    "data": {"history": history},
                }
                saved.save(epoch, **of_state, metrics={BEST.metric: history[epoch - 1]})
        best = _best_params(folder, state)
        outputs = {
            name: data.scale.restore(network.predict(best, getattr(data, name)))
            for name in ("valid", "test")
        }
        return Tuned(history=history[:epoch], **outputs)


class Tuned(NamedTuple):
    """The results of one seed's run."""

    history: Float[np.ndarray, " epochs"]
    """The validation split's score after each epoch."""
    valid: Float32[np.ndarray, "n C"]
    """Outputs of the best epoch's network, in the units of the data; `test` likewise."""
    test: Float32[np.ndarray, "m C"]


def _examples(sequences: Sequence[str], max_residues: int) -> list:
    return [protein_example(sequence[:max_residues]) for sequence in sequences]


class _Data:
    """The problem as the network reads it: proteins are cut to `max_residues`."""

    def __init__(self, problem: Problem, max_residues: int):
        sequences = {split: problem.sequences(split) for split in ("train", "valid", "test")}
        self.truncated = {}
        for split, some in sequences.items():
            self.truncated[split] = sum(len(s) > max_residues for s in some)
        self.train, self.valid, self.test = (
            _examples(some, max_residues) for some in sequences.values()
        )
        targets = problem.targets("train")
        self.scale = Scale.of(targets)
        self.targets, self.valid_targets = self.scale.standardise(targets), problem.targets("valid")
        samples = [
            (split, sample.sequence, sample.target)
            for split, some in problem.splits.items()
            for sample in some
        ]
        self.digest = hashlib.sha256(
            json.dumps([problem.kind, problem.classes, samples]).encode()
        ).hexdigest()


def _stopped(history: Float[np.ndarray, " epochs"], patience: int) -> bool:
    return len(history) > 0 and len(history) - 1 - best_epoch(history) >= patience


def _check_finite(losses: list[Mean], name: str) -> None:
    if not np.isfinite([float(loss.sum) for loss in losses]).all():
        raise RunError(
            f"the loss of fine-tuning on {name} is not finite; lower "
            "optimizer.learning_rate, or use dtype float32."
        )


def _best_params(folder: pathlib.Path, state: TrainState) -> dict:
    """The parameters of the best epoch, laid out as those of `state`."""
    abstract = {
        path: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
        for path, leaf in {**state.trainable, **state.frozen}.items()
    }
    return load_params(folder, best.resolve_step(folder, "best"), unflatten(abstract))
