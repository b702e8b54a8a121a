"""Pretrains ProtCLIP: `python train.py --config FILE --workdir DIR [--config.key=value …]`.

Example: `python train.py --config configs/quickstart.py --workdir DIR`. The installed command is
`protclip-train`, with the same arguments. Every host of a pod runs the same command. A stopped run
resumes by itself from its last checkpoint. Exit codes: 0 done, also when stopped early; 1 failure;
2 a mistake in the command or its inputs; 75 stopped by a signal and saved: rerun the command.
"""

import contextlib
import functools
import sys
from collections.abc import Sequence
from typing import NamedTuple

import jax
import ml_collections
import numpy as np
from absl import logging

import protclip_jax.config.build as config_lib
from data_pipelines.common.bucket import is_bucket
from data_pipelines.common.errors import command
from data_pipelines.common.open_files import require_open_files
from data_pipelines.common.progress import print_status, progress
from data_pipelines.protanno.dataset import ProtAnno, open_dataset, split_name
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from data_pipelines.training.masking import MASKS
from data_pipelines.training.pipeline import StreamSource, TrainPipeline
from eval.registry import Hook, check_best, make_hooks, run_hooks
from protclip_jax.aot import report
from protclip_jax.checkpoints import metadata, resume
from protclip_jax.checkpoints.best import Best
from protclip_jax.checkpoints.bucket_workdir import BucketWorkdir
from protclip_jax.checkpoints.manager import CheckpointManager
from protclip_jax.checkpoints.workdir import LocalWorkdir
from protclip_jax.config.checks import check, check_sources
from protclip_jax.config.command_line import CommandLine, parse_flags
from protclip_jax.distributed import multihost, sharding
from protclip_jax.distributed.cpu_devices import devices_of_training, split_cpu
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.training import flops, mixture, run_messages
from protclip_jax.training.compilation import compiled_once, keep_compiled_programs
from protclip_jax.training.early_stopping import EarlyStopping, earlier_evaluations
from protclip_jax.training.faults import Faults, Pending
from protclip_jax.training.initial_state import check_init, initial_state, restored_state
from protclip_jax.training.metrics import SHORTENED, IntervalMetrics, make_writer
from protclip_jax.training.metrics_hook import load_hook
from protclip_jax.training.optimizer import learning_rate_schedule
from protclip_jax.training.preemption import EXIT_STOPPED, PreemptionHandler
from protclip_jax.training.profiler import Profiler
from protclip_jax.training.run_gradients import make_run_gradients
from protclip_jax.training.train_step import make_gradient_norms, make_train_step, skipped_steps
from protclip_jax.training.watchdog import Watchdog

_OPEN_FILES = 256
"""Open files that even a small run needs: Orbax opens several for each array it writes."""

Workdir = LocalWorkdir | BucketWorkdir


def training_rows(
    config: ml_collections.ConfigDict, dataset: ProtAnno, tokenizer: TextTokenizer
) -> StreamSource:
    """The source of every logical stream: records by cluster, sampler, tokenizer, row shape."""
    sampler = mixture.training_sampler(config, dataset)
    splits = {cluster: dataset.splits[split_name(cluster)] for cluster in sampler.clusters}
    for split in splits.values():
        # Fetched here, not in the worker processes, which only read.
        split.fetch()
    objectives = config_lib.objective_config(config).objectives.values()
    if not any(objective.reads_features for objective in objectives):
        # Decoding the features takes most of the time.
        splits = {name: split.without_features() for name, split in splits.items()}
    return StreamSource(
        records=splits,
        sampler=sampler,
        text_tokenizer=tokenizer,
        masks=MASKS[config.masking.passes],
        streams=config.data.streams,
        slots=config.batch.slots,
        protein_tokens=config.batch.protein_tokens,
        text_tokens=config.batch.text_tokens,
        max_protein_tokens=config.tokenizer.max_protein_tokens,
        max_text_tokens=config.tokenizer.max_text_tokens,
        property_subset=config.tokenizer.property_subset,
        crop_ends=config.tokenizer.crop_ends,
    )


class Inputs(NamedTuple):
    """A run's inputs, opened and checked."""

    dataset: ProtAnno
    tokenizer: TextTokenizer
    source: StreamSource
    hooks: list[Hook]
    total_steps: int


def open_inputs(config: ml_collections.ConfigDict) -> Inputs:
    """Opens a run's inputs; needs no devices or other hosts, so a mistake ends a host early."""
    check_sources(config)
    dataset = open_dataset(config.data.dir, names=config.tokenizer.names)
    tokenizer = TextTokenizer.load(config.tokenizer.text)
    text_key = functools.partial(tokenizer.key, max_tokens=config.tokenizer.max_text_tokens)
    hooks = make_hooks(config.evals, dataset._replace(text_key=text_key))
    check_best(config.best.metric, hooks)
    if config.metrics_hook:
        load_hook(config.metrics_hook)
    source = training_rows(config, dataset, tokenizer)
    return Inputs(dataset, tokenizer, source, hooks, run_length(config, source))


def run_length(config: ml_collections.ConfigDict, source: StreamSource) -> int:
    """The number of steps; `total_epochs` is converted by the records per step."""
    if config.total_steps is not None:
        return config.total_steps
    pairs = config.batch.rows * source.records_per_row()
    steps = max(1, round(config.total_epochs * source.sampler.epoch_draws / pairs))
    drawn = f"{config.total_epochs:g} epochs of {source.sampler.epoch_draws:,} draws"
    print(f"note: {drawn} are {steps:,} steps of about {pairs:.0f} pairs.", file=sys.stderr)
    return steps


def cpu_devices(config: ml_collections.ConfigDict) -> int:
    """The number of devices into which a CPU is split."""
    rows = config.batch.microbatch_rows or config.batch.rows
    return devices_of_training(rows, data=config.mesh.data, fsdp=config.mesh.fsdp)


def shared_facts(values: CommandLine, inputs: Inputs) -> dict[str, object]:
    """What must be the same on all hosts of a run."""
    config = {
        f"config.{name}": value for name, value in resume.flat(values.config.to_dict()).items()
    }
    versions = {f"the version of {name}": version for name, version in metadata.versions().items()}
    own = {
        "--workdir": values.workdir,
        "--profile_steps": values.profile_steps,
        "--change": values.changes,
        "the dataset in data.dir": inputs.dataset.fingerprint,
        "the vocabulary of tokenizer.text": inputs.tokenizer.fingerprint,
    }
    return own | config | versions


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `[program, *arguments]`, by default sys.argv; returns the exit code."""
    values = parse_flags(sys.argv if argv is None else argv, about=__doc__)
    check(values.config)
    require_open_files(_OPEN_FILES)
    logging.set_verbosity(logging.WARNING)
    if values.aot:
        return report.run(values.config, values.aot)
    inputs = open_inputs(values.config)
    keep_compiled_programs()
    with PreemptionHandler() as stop, multihost.joined():
        if not jax.distributed.is_initialized():
            split_cpu(cpu_devices(values.config))
        multihost.check_same(shared_facts(values, inputs))
        # Orbax asks JAX for devices when it reads a checkpoint; after that no host can join.
        check_init(values.config)
        with open_workdir(values.workdir) as workdir, contextlib.ExitStack() as opened:
            options = {"changes": values.changes, "profiled_steps": values.profile_steps}
            return pretrain(values.config, inputs, workdir, stop, opened, **options)


def open_workdir(name: str) -> Workdir:
    """The workdir at a path, not yet created."""
    return BucketWorkdir(name) if is_bucket(name) else LocalWorkdir(name)


def pretrain(
    config: ml_collections.ConfigDict,
    inputs: Inputs,
    workdir: Workdir,
    stop: PreemptionHandler,
    opened: contextlib.ExitStack,
    *,
    changes: Sequence[str] = (),
    profiled_steps: int = 0,
) -> int:
    """Trains, resuming from the last checkpoint if there is one; returns the exit code.

    The fields of `changes` may have other values than the run was begun with; the workdir then says
    so. What has to be closed again, however the run ends, is entered into `opened`.
    """
    primary, folder = jax.process_index() == 0, workdir.folder
    dataset, tokenizer, source, hooks, total_steps = inputs
    best = Best(config.best.metric, config.best.mode)

    # ======== Mesh, model, optimiser, first state ========
    config_lib.check_platform(config)
    mesh = sharding.make_mesh(config.mesh.data, config.mesh.fsdp)
    network = config_lib.model_config(config, text_vocab_size=len(tokenizer.vocabulary))
    objective = config_lib.objective_config(config, prefix_tokens=tokenizer.prefix_tokens)
    model = ProtCLIPModel(network)
    local_streams = sharding.local_streams(mesh, config.batch.rows, config.data.streams)
    state, optimizer = initial_state(model, config, mesh, total_steps=total_steps)
    learning_rate = learning_rate_schedule(config.optimizer, total_steps)

    # ======== Workdir: created only now that the config is known to work ========
    workdir.begin()
    opened.enter_context(workdir.report_errors())
    resume.adopt(folder, config.to_dict(), tokenizer, dataset.fingerprint, changes, write=primary)
    workdir.share()
    checkpoints = CheckpointManager(
        folder,
        keep_best=config.keep_best,
        keep_every=config.keep_every,
        best=best,
        checkpoints=workdir.checkpoints,
        share=workdir.share,
    )

    # ======== Resume from the newest intact checkpoint ========
    watchdog = Watchdog(config.stall_seconds)
    interval = IntervalMetrics(heartbeat=lambda phase: watchdog.beat(f"{phase} at step {step}"))
    restored_step, stream_states = checkpoints.newest_intact(), None
    if primary:
        resume.record_changes(folder, config.to_dict(), changes, step=restored_step or 0)
    if restored_step is not None:
        first = np.tile(source.start(0), (config.data.streams, 1))
        wanted = {"streams": first, "interval": interval.unfinished(objective.weights)}
        state, restored = restored_state(checkpoints, restored_step, state, wanted)
        stream_states = dict(enumerate(restored["streams"]))
        interval.continue_from(restored["interval"], objective.weights)
    step = restored_step or 0

    # ======== Training step: the first remat policy that fits the devices' memory ========
    opened.enter_context(jax.set_mesh(mesh))
    candidates = {}
    for policy in config_lib.remat_policies(config):
        rematerialised = ProtCLIPModel(network.with_remat(policy))
        loss_and_gradients = make_run_gradients(rematerialised, state, config, objective)
        candidates[policy] = make_train_step(loss_and_gradients, optimizer, state, config.ema.decay)
    train_step = compiled_once(candidates)
    gradient_norms = make_gradient_norms(
        functools.partial(make_run_gradients, model, state, config), objective
    )
    text_trained = state.trains_text

    if primary:
        print_status(
            *run_messages.beginning(config, state, source, mesh),
            *run_messages.rarely_drawn(source.sampler),
        )
        print_status(run_messages.steps(step, total_steps, workdir.name))

    # ======== Input pipeline, metrics, and what watches the run ========
    pipeline = opened.enter_context(
        TrainPipeline(
            source,
            rows=config.batch.rows,
            local_streams=local_streams,
            workers=config.data.workers,
            states=stream_states,
        )
    )
    opened.enter_context(watchdog)
    opened.enter_context(checkpoints)
    bar = opened.enter_context(
        progress(description="training", unit="step", total=total_steps, initial=step)
    )
    opened.enter_context(interval)
    trace = opened.enter_context(
        Profiler(folder / "profile", first=step + 10, steps=profiled_steps)
    )
    # The first host decides for all when to stop early: it alone writes, and here reads,
    # metrics.jsonl.
    earlier = earlier_evaluations(folder, step) if primary else ()
    early = EarlyStopping(best, config.best.patience if primary else 0, earlier)
    writer = make_writer(folder, config, step=-1 if restored_step is None else step)
    opened.callback(writer.close)
    faults = Faults(folder, model, state, mesh, limit=config.max_skipped_steps, keep=workdir.keep)

    # ======== The loop. This order makes resuming exact: evaluate, save, fetch, step ========
    stopping = sharding.any_host(stop.received, mesh)
    exhausted = bool(sharding.any_host(early.exhausted, mesh))
    while True:
        checkpoints.raise_failure()
        done = step >= total_steps or exhausted

        # -------- Evaluate --------
        evaluated = {}
        if step != restored_step and (step % config.eval_every == 0 or done):
            with interval.timed("eval"):
                view = ProtCLIP(
                    model, state.published, tokenizer, config=config.to_dict(), mesh=mesh
                )
                evaluated = run_hooks(hooks, view, step=step, last=done, best=best.metric)
                early.judge(evaluated)
                exhausted = bool(sharding.any_host(early.exhausted, mesh))
                if exhausted and not done:
                    rest = [hook for hook in hooks if not hook.due(step, last=False)]
                    evaluated |= run_hooks(rest, view, step=step, last=True, best=best.metric)
                    done = True
            writer.write(step, {f"eval/{name}": value for name, value in evaluated.items()})
            if primary and evaluated:
                print_status(run_messages.evaluation(step, evaluated))

        # -------- Save --------
        # Requested one step ago, so no host waits for the others and all stop after the same step.
        with interval.timed("step"):
            # With several devices this waits for the previous step; on a CPU, the next line does.
            stopped = bool(stopping)
            stopping = sharding.any_host(stop.received, mesh)
        if step not in (0, restored_step) and (
            step % config.checkpoint_every == 0 or done or stopped
        ):
            with interval.timed("checkpoint"):
                states = sharding.gather_streams(pipeline.states(), config.data.streams)
                data = {"streams": states, "interval": interval.unfinished(objective.weights)}
                of_state = {"params": state.published, "optimizer": state.unpublished}
                checkpoints.save(step, **of_state, data=data, metrics=evaluated)
        if done or stopped:
            faults.follow(None, state, source.drawn_records)
            break

        # -------- Fetch the next batch --------
        with interval.timed("input"):
            before = pipeline.counts()
            local = pipeline.next()
            after = pipeline.counts()
            tokens = flops.count_tokens(local)
            shortened = {
                name: int(getattr(after, name) - getattr(before, name)) for name in SHORTENED
            }
            batch = sharding.global_batch(local, mesh, config.batch.rows)
        if config.gradient_norms_every and (step + 1) % config.gradient_norms_every == 0:
            with interval.timed("gradient_norms"):
                norms = jax.device_get(gradient_norms(state, batch))
            writer.write(
                step + 1, {f"gradient_norm/{name}": float(norm) for name, norm in norms.items()}
            )

        # -------- Step --------
        trace.before(step)
        with interval.timed("step"):
            state, metrics = train_step(state, batch)
            step += 1
            stop.something_to_save = True
            faults.follow(
                Pending(step, metrics, batch, pipeline.draws()), state, source.drawn_records
            )
            model_flops = flops.step_flops(tokens, network, objective, text_trained=text_trained)
            interval.add(metrics, tokens | shortened, model_flops)
            logging_due = step % config.log_every == 0 or step == total_steps
            if logging_due:
                jax.block_until_ready(metrics)
        if logging_due:
            logged = interval.summary(objective.weights)
            # The schedule counts the steps that changed the parameters.
            logged["learning_rate"] = float(learning_rate(step - 1 - skipped_steps(state)))
            writer.write(step, logged)
            shown = {
                "loss": f"{logged['loss']:.3f}",
                "pairs/s": f"{logged['pairs_per_second']:.0f}",
            }
            bar.set_postfix(shown, refresh=False)
        bar.update()

    # ======== End: everything is on disk before the exit code says so ========
    checkpoints.close()
    states = sharding.gather_streams(pipeline.states(), config.data.streams)
    if exhausted and primary:
        print(f"note: stopped early after step {step}: {early.reason}.", file=sys.stderr)
    if primary:
        mixture.write(folder / "mixture.json", source.sampler, dict(enumerate(states)))
    workdir.share()
    bar.close()
    if primary:
        print_status(run_messages.ending(step, workdir=workdir.name, done=done))
    return 0 if done else EXIT_STOPPED


if __name__ == "__main__":
    sys.exit(main())
