"""`python -m protclip_jax.convert`: weights of other programs in, weights for other programs
out."""

import argparse
import itertools
import pathlib
import re
import sys
from collections.abc import Sequence

from data_pipelines.common.bucket import is_bucket
from data_pipelines.common.errors import command
from protclip_jax.checkpoints.calibration_file import left_out
from protclip_jax.convert.checkpoint import Checkpoint, count, read_checkpoint, write_checkpoint
from protclip_jax.convert.export import export_checkpoint
from protclip_jax.convert.hf_folders import import_hf
from protclip_jax.convert.hub_folder import open_checkpoint
from protclip_jax.convert.model_card import OTHER
from protclip_jax.convert.released import import_released
from protclip_jax.convert.report_metrics import Report, find_report, read_report
from protclip_jax.convert.tensors import FLOATS


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; argparse itself ends with code 2 on what it does not understand."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.convert",
        epilog="Example: python -m protclip_jax.convert hf --protein ESM2 --text PUBMEDBERT "
        "--output converted",
        description="Converts weights.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    folder = {"type": pathlib.Path, "metavar": "DIR"}

    hf = commands.add_parser(
        "hf",
        help="Hugging Face ESM-2 and BERT folders → checkpoint; either alone is fine",
        epilog="Example: python -m protclip_jax.convert hf --protein ESM2 --text PUBMEDBERT "
        "--output converted",
    )
    hf.add_argument("--protein", **folder, help="folder of an ESM-2")
    hf.add_argument(
        "--text", **folder, help="folder of a BERT with its vocabulary, such as PubMedBERT"
    )
    hf.add_argument(
        "--heads",
        type=pathlib.Path,
        metavar="FILE",
        help="heads.safetensors of to_hf, for both towers",
    )

    released = commands.add_parser(
        "protclip",
        help="released PyTorch ProtCLIP → checkpoint",
        epilog="Example: python -m protclip_jax.convert protclip --source released --output "
        "converted",
    )
    released.add_argument(
        "--source", **folder, required=True, help="folder with model.safetensors and config.json"
    )
    released.add_argument(
        "--text_tokenizer",
        **folder,
        help="folder of the text tokenizer (default: looked for in SOURCE)",
    )

    to_hf = commands.add_parser(
        "to_hf",
        help="checkpoint → folders for transformers, heads and a model card",
        epilog="Example: python -m protclip_jax.convert to_hf --checkpoint runs/demo --output "
        "exported",
    )
    to_hf.add_argument(
        "--report",
        type=pathlib.Path,
        metavar="FILE",
        help="report.json of `eval` for the model card (default: the checkpoint's)",
    )
    to_hf.add_argument(
        "--licence",
        default=OTHER,
        metavar="ID",
        help="as the hub names licences, such as apache-2.0 (default %(default)s)",
    )
    to_hf.add_argument(
        "--dtype",
        choices=FLOATS,
        default="float32",
        help="of the weights written (default %(default)s)",
    )
    params = commands.add_parser(
        "params",
        help="checkpoint → a copy with the parameters of one step only",
        epilog="Example: python -m protclip_jax.convert params --checkpoint runs/demo --output "
        "parameters",
    )
    for reader in (to_hf, params):
        reader.add_argument(
            "--checkpoint",
            metavar="DIR",
            required=True,
            help="a workdir or converted checkpoint, also gs://",
        )
        reader.add_argument(
            "--step",
            type=_step,
            metavar="N|best|latest",
            help="which step (default: best if recorded, else latest)",
        )
    for subcommand in (hf, released, to_hf, params):
        subcommand.add_argument(
            "--output", **folder, required=True, help="folder to write, new or empty"
        )
    return parser.parse_args(arguments)


def _step(text: str) -> str:
    if text not in ("best", "latest") and not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number nor best nor latest")
    return text


def summary(checkpoint: Checkpoint, fingerprint: str) -> str:
    """What was converted, a line for each parameter group, and what was left out."""
    counted = count(checkpoint.params)
    lines = [
        f"{group:<20}{arrays:>5} parameters{numbers:>16,} numbers"
        for group, (arrays, numbers) in counted.items()
    ]
    if unused := checkpoint.source.get("unused"):
        lines.append(f"without use here: {', '.join(_grouped(unused))}")
    return "\n".join([*lines, f"fingerprint {fingerprint}"])


def _grouped(names: Sequence[str]) -> list[str]:
    """Tensors by module, with their number where there are several."""
    modules = itertools.groupby(
        sorted(names), key=lambda name: re.sub(r"\.(weight|bias)$", "", name)
    )
    counted = [(module, len(list(members))) for module, members in modules]
    return [module if number == 1 else f"{module} ({number})" for module, number in counted]


def _read(options: argparse.Namespace) -> Checkpoint:
    if options.command == "hf":
        return import_hf(protein=options.protein, text=options.text, heads=options.heads)
    if options.command == "protclip":
        return import_released(options.source, text_tokenizer=options.text_tokenizer)
    return read_checkpoint(open_checkpoint(options.checkpoint, options.step), options.step)


def _report(options: argparse.Namespace, step: int) -> Report | None:
    """The report for the model card; says where it is from, or that there is none."""
    if options.report:
        return read_report(options.report)
    report = (
        None
        if is_bucket(options.checkpoint)
        else find_report(pathlib.Path(options.checkpoint), step=step)
    )
    if report is None:
        print(
            f"note: there is no report on step {step}, so the model card has no numbers; see "
            "--report.",
            file=sys.stderr,
        )
    return report


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Reads, writes, and says on stderr what was converted."""
    options = parse_arguments(arguments)
    checkpoint = _read(options)
    if options.command == "to_hf":
        if options.dtype != "float32" and checkpoint.calibration.content:
            checkpoint = checkpoint._replace(calibration=left_out(options.dtype))
        report = _report(options, checkpoint.source["step"])
        fingerprint = export_checkpoint(
            checkpoint, options.output, dtype=options.dtype, report=report, licence=options.licence
        )
    else:
        fingerprint = write_checkpoint(checkpoint, options.output)
    print(summary(checkpoint, fingerprint), file=sys.stderr)
    if "text_projection" in checkpoint.params:
        print(checkpoint.calibration.sentence, file=sys.stderr)
    print(f"wrote {options.output}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
