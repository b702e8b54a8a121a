"""`python -m eval`: evaluates a checkpoint on a dataset or benchmarks, or vectors on benchmarks."""

import argparse
import dataclasses
import functools
import pathlib
import sys
from collections.abc import Mapping, Sequence

from data_pipelines.common.bucket import is_bucket
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.progress import print_status
from data_pipelines.inputs.source_options import refuse_unread
from data_pipelines.protanno.dataset import STATISTICS, ProtAnno
from data_pipelines.protanno.record import RECOMMENDED
from eval.benchmarks.families import BENCHMARKS
from eval.calibration.calibrate import calibrate_checkpoint, refuse_calibrated
from eval.checkpoint_data import as_read_by, built_dataset, is_own, pretraining_data
from eval.claims.check import check_claims
from eval.command_line import (
    ALL,
    BUILT_ONLY,
    PUBLIC_ONLY,
    changed,
    controls,
    parse_arguments,
)
from eval.pretraining.evaluation import Control, Evaluation
from eval.pretraining.evaluations import EVALUATIONS
from eval.pretraining.hit_files import hit_files
from eval.pretraining.trained_baselines import TrainedBaselines
from eval.public import random_weights, suite
from eval.public.config_files import load_configs
from eval.public.subjects import CheckpointModel
from eval.public.vector_report import evaluate_vectors
from eval.registry import make_evaluation, make_hooks, options_of
from eval.reporting import benchmark_figures, benchmark_report, training_figures
from eval.reporting.report import (
    claimed,
    digest,
    print_report,
    refuse_other_report,
    write_report,
)
from protclip_jax.checkpoints.best import resolve_step
from protclip_jax.checkpoints.metadata import read_config
from protclip_jax.config.schema import completed
from protclip_jax.convert.hub_folder import is_exported, open_checkpoint
from protclip_jax.distributed.cpu_devices import split_cpu
from protclip_jax.inference.protclip import ProtCLIP


def load(directory: pathlib.Path, step: str | None) -> tuple[ProtCLIP, int]:
    """The model of a checkpoint folder, and its step."""
    resolved = resolve_step(directory, step)
    return ProtCLIP.load(directory, step=resolved), resolved


def load_control(control: Control, directory: pathlib.Path, checkpoint: pathlib.Path) -> ProtCLIP:
    """The model of a control, with the config sections it shares taken from `checkpoint`."""
    control.check(str(directory), completed(read_config(directory)))
    model, _ = load(directory, None)
    config = completed(read_config(checkpoint))
    shared = {name: config[name] for name in control.shared}
    model.config = {**model.config, **shared}
    return model


def control_models(options: argparse.Namespace, checkpoint: pathlib.Path) -> dict[str, ProtCLIP]:
    """The models of the controls that the command line names, by their options."""
    given = {}
    # All are opened before the first is loaded, so that a mistake in any shows at once.
    for option in controls():
        folder = getattr(options, option)
        if folder:
            given[option] = open_checkpoint(folder)
    return {
        option: load_control(controls()[option], folder, checkpoint)
        for option, folder in given.items()
    }


def choose(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The evaluations on a built dataset and those on public data that `--benchmarks` names.

    Raises:
      UserError: an unknown name, a folder that does not exist, or a public benchmark without a
      folder of public data.
    """
    if options.data_dir is not None and not options.data_dir.is_dir():
        raise UserError(
            f"--data_dir={options.data_dir} does not exist; give a built dataset or a folder "
            "of public data."
        )
    public_data = options.data_dir is not None and not (options.data_dir / STATISTICS).exists()
    requested = list(dict.fromkeys(options.benchmarks))
    if "all" in requested:
        return ([], suite.choose(options.data_dir)) if public_data else (list(EVALUATIONS), [])
    if unknown := [name for name in requested if name not in (*EVALUATIONS, *BENCHMARKS)]:
        raise UserError(
            f"unknown evaluation {unknown[0]!r}; expected {', '.join((*EVALUATIONS, *BENCHMARKS))}."
        )
    public = [name for name in requested if name in BENCHMARKS]
    if public and not public_data:
        raise UserError(
            f"{public[0]} is measured on public data; pass --data_dir=DIR, a folder as "
            "docs/benchmarks.md describes."
        )
    return [name for name in requested if name in EVALUATIONS], public


def captions() -> dict[str, str]:
    """Of all figures that a report may have."""
    known = training_figures.CAPTIONS | benchmark_figures.CAPTIONS
    for evaluation in EVALUATIONS.values():
        known |= evaluation.captions
    return known


def followed(
    evals: Mapping[str, Mapping],
    dataset: ProtAnno | None,
    name: str,
) -> Evaluation | None:
    """The evaluation as a run followed it; None if it did not, or without the run's dataset."""
    if dataset is None or name not in evals:
        return None
    (hook,) = make_hooks({name: evals[name]}, dataset)
    return hook.evaluation


def selected_evaluation(name: str, dataset: ProtAnno, measured_on: Mapping) -> Evaluation:
    """The named evaluation, with the command line's options that it takes."""
    known = options_of(name)
    taken = {option: value for option, value in measured_on.items() if option in known}
    return make_evaluation(name, dataset, taken)


@command
def main(arguments: list[str] | None = None) -> None:
    """Measures what the command line names and writes the report."""
    options = parse_arguments(arguments)
    built, public = changed(options, BUILT_ONLY), changed(options, PUBLIC_ONLY)
    of_checkpoints = (*built, "step", "random_weights", "cpu_devices", *controls())
    if options.claims:
        unread = (*of_checkpoints, *public, "calibrate", "labels")
        refuse_unread(options, unread, owner="commands without --claims")
        check_claims(options)
    elif options.calibrate:
        unread = ("max_existence", "hits", "random_weights", *controls(), *public)
        refuse_unread(options, unread, owner="evaluations, not to --calibrate")
        if options.benchmarks != ALL:
            raise UserError(
                "--benchmarks only applies to evaluations, not to --calibrate; remove it."
            )
        calibrate(options)
    elif options.labels:
        refuse_unread(options, ("labels",), owner="--calibrate")
    elif options.embeddings:
        unread = (*of_checkpoints, "pretrained_on", "cache")
        refuse_unread(options, unread, owner="--checkpoint")
        evaluate_vectors(options)
    else:
        evaluate_checkpoint(options)


def refuse_without_reader(
    options: argparse.Namespace, own: Sequence[str], public: Sequence[str]
) -> None:
    """Raises UserError if an option is given that none of the chosen evaluations reads."""
    if not own:
        unread = changed(options, BUILT_ONLY)
        refuse_unread(options, unread, owner="evaluations on a built dataset")
    if not public:
        refuse_unread(options, changed(options, PUBLIC_ONLY), owner="benchmarks on public data")
    for option in controls():
        reading = [name for name, one in EVALUATIONS.items() if one.reads_control(option)]
        if not set(reading) & set(own):
            refuse_unread(options, [option], owner=" and ".join(reading))
    comparing = [name for name, one in EVALUATIONS.items() if one.compares_transfers]
    if not set(comparing) & set(own):
        owner = " and ".join(comparing)
        refuse_unread(options, ["hits"], owner=owner)
        if not public:
            refuse_unread(options, ["random_weights"], owner=f"{owner}, and to public data")
    if public and options.random_weights and options.protocol != "probe":
        raise UserError(
            f"--random_weights compares frozen networks, but --protocol={options.protocol} trains "
            "them; remove one of the two."
        )


def calibrate(options: argparse.Namespace) -> None:
    """Measures the table of a checkpoint on this machine and writes it there."""
    split_cpu(options.cpu_devices)
    if options.embeddings or is_bucket(options.checkpoint) or is_exported(options.checkpoint):
        raise UserError(
            "--calibrate keeps its table in the checkpoint; give a workdir or checkpoint on "
            "this machine."
        )
    checkpoint = open_checkpoint(options.checkpoint, options.step)
    refuse_calibrated(checkpoint, split=options.split)
    config = completed(read_config(checkpoint))
    # Names that a text mentions leave `other_names`, where EC numbers are looked up.
    data_dir, dataset = built_dataset(options, checkpoint, names=RECOMMENDED)
    dataset = as_read_by(checkpoint, config, dataset)
    held_out = is_own(checkpoint, data_dir, dataset)
    if not held_out:
        print_status(
            f"note: {options.checkpoint} was not trained on {data_dir}, so whether it has learnt "
            "from these records is not known; confidences may be too high for proteins that are "
            "new to it."
        )
    provenance = {
        "checkpoint": str(options.checkpoint),
        "dataset": str(data_dir),
        "dataset_fingerprint": dataset.fingerprint,
        "held_out_of_training": held_out,
    }
    with claimed(output := options.output or checkpoint / "calibration"):
        model, provenance["step"] = load(checkpoint, options.step)
        calibrate_checkpoint(
            model,
            dataset,
            checkpoint,
            output,
            names=config["tokenizer"]["names"],
            split=options.split,
            pool=options.pool,
            label_files=options.labels,
            provenance=provenance,
        )


def evaluate_checkpoint(options: argparse.Namespace) -> None:
    """Loads the checkpoint, runs the evaluations, writes the report."""
    # The packed rows of fine-tuning must divide evenly over the devices.
    split_cpu(options.cpu_devices or (None if options.protocol == "probe" else 1))
    copied = is_bucket(options.checkpoint) or is_exported(options.checkpoint)
    if copied and options.output is None:
        raise UserError(
            f"--output is missing; name a folder for the report on {options.checkpoint}."
        )
    checkpoint = open_checkpoint(options.checkpoint, options.step)
    config = read_config(checkpoint)
    own, public = choose(options)
    refuse_without_reader(options, own, public)
    beside = options.output if copied else checkpoint
    output, cache = options.output or beside / "eval", options.cache or beside / "embeddings"
    for folder, named in ((output, options.output), (cache, options.cache)):
        if folder.is_symlink() and not named:
            raise UserError(
                f"{folder} is a link and is not followed; remove it, or name a folder with "
                "--output or --cache."
            )
    with claimed(output):
        evaluate(options, checkpoint, config, output=output, cache=cache, chosen=(own, public))


def evaluate(
    options: argparse.Namespace,
    checkpoint: pathlib.Path,
    config: Mapping,
    *,
    output: pathlib.Path,
    cache: pathlib.Path,
    chosen: tuple[list[str], list[str]],
) -> None:
    """Runs the `chosen` evaluations, on a built dataset and on public data, and writes the report.

    Raises:
      UserError: the folder holds another evaluation's report, or a benchmark could not be
        measured.
    """
    own, public = chosen
    sections, figures, left_out, results, of_untrained = {}, {}, {}, {}, {}
    provenance = {
        "checkpoint": str(options.checkpoint),
        "config": digest(config),
        "benchmarks": ", ".join((*own, *public)),
    }

    evaluations = []
    if own:
        data_dir, dataset = built_dataset(options, checkpoint)
        dataset = as_read_by(checkpoint, completed(config), dataset)
        run_dataset = dataset if is_own(checkpoint, data_dir, dataset) else None
        measured_on = {
            "split": options.split,
            "pool": options.pool,
            "max_existence": options.max_existence,
        }
        hits = hit_files(options.hits)
        provenance |= {
            "hits": {name: str(path) for name, path in hits.items()},
            "random_weights": options.random_weights,
        }
        evaluations = [selected_evaluation(name, dataset, measured_on) for name in own]
        provenance |= {
            "dataset": str(data_dir),
            "dataset_records": dataset.statistics.get("records"),
        }
        provenance |= {"dataset_statistics": digest(dataset.statistics), **measured_on}
        as_followed = functools.partial(followed, config.get("evals") or {}, run_dataset)
    configs = load_configs(options.configs, options.set) if public else {}
    beside_models = control_models(options, checkpoint)
    provenance |= {option: str(getattr(options, option)) for option in beside_models}
    model, provenance["step"] = load(checkpoint, options.step)
    if public:
        provenance |= {
            "public_data": str(options.data_dir),
            "protocol": options.protocol,
            "parameters": model.fingerprint,
        }
        provenance |= {"set": " ".join(options.set)}
        provenance |= {"random_weights": True} if options.random_weights else {}
        learnt = pretraining_data(options, checkpoint)
        provenance["pretraining"] = None if learnt is None else learnt.fingerprint
    refuse_other_report(output, provenance)

    untrained = model.with_random_weights() if options.random_weights else None
    if own:
        baselines = TrainedBaselines(dataset, completed(config), hits, untrained)
        figures, left_out = training_figures.training_figures(checkpoint, as_followed, baselines)
    for number, (name, evaluation) in enumerate(zip(own, evaluations, strict=True), 1):
        print_status(f"evaluation {number} of {len(own)}: {name}.")
        control = evaluation.control and beside_models.get(evaluation.control.option)
        result = evaluation.report(model, control=control, baselines=baselines)
        sections[evaluation.key] = (result, evaluation.markdown(result))
        figures |= evaluation.figures(model)
    if public:
        measured = suite.Suite(
            CheckpointModel(model, checkpoint, provenance["step"], cache),
            options.protocol,
            configs=configs,
            folder=output,
            pretraining=learnt,
        )
        results = measured.results(public, options.data_dir)
        if untrained is not None:
            print_status("the same benchmarks with random weights:")
            of_untrained = dataclasses.replace(
                measured,
                subject=CheckpointModel(untrained, checkpoint, provenance["step"], cache),
                folder=output / random_weights.FOLDER,
                shared={},
            ).results(public, options.data_dir)
            results = random_weights.compare(results, of_untrained, output)
        sections["benchmarks"] = (results, benchmark_report.markdown(results))
        figures |= benchmark_figures.figures(results)
    # A report of failures alone would replace one that says more.
    if evaluations or suite.has_report(results):
        write_report(
            output,
            provenance=provenance,
            sections=sections,
            figures=figures,
            left_out=left_out,
            captions=captions(),
        )
        print_report(output, sections)
    suite.refuse_failures(results)
    suite.refuse_failures(of_untrained)


if __name__ == "__main__":
    sys.exit(main())
