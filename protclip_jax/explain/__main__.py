"""`python -m protclip_jax.explain`: shows which residues carry the weight of each property."""

import argparse
import pathlib
import sys
from collections.abc import Mapping

import numpy as np

from data_pipelines.common.errors import UserError, command
from data_pipelines.common.figure_style import DPI
from data_pipelines.common.outputs import new_files, refuse_existing
from data_pipelines.common.progress import print_status
from data_pipelines.protanno.features import annotated_residues
from data_pipelines.protanno.record import (
    PREFIXES,
    PROPERTIES,
    Record,
    property_texts,
    with_names,
    with_prefix,
)
from data_pipelines.readers import SUFFIXES
from protclip_jax.checkpoints import metadata
from protclip_jax.checkpoints.best import resolve_step
from protclip_jax.checkpoints.own_report import what_weights_mean
from protclip_jax.config.schema import completed
from protclip_jax.convert.hub_folder import open_checkpoint
from protclip_jax.explain.comparison import compare, read_other_texts
from protclip_jax.explain.protein import chosen_protein
from protclip_jax.explain.residue_tracks import Track, explanation
from protclip_jax.explain.weights_table import write_table
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.inference.segment_contrast import Contrast, describe_contrast

FIGURES = (".png", ".svg", ".pdf")
TOP = 5
"""The number of residues named per property in the summary."""
OTHERS = 64
"""The number of other texts that each property is compared with."""


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parses the command line; argparse exits with code 2 if it is invalid."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.explain",
        epilog="Example: python -m protclip_jax.explain --checkpoint runs/demo --sequence "
        "MKTAYIAKQR --function 'Binds zinc.' --output weights.png",
        description="Plots and tabulates the PDA weight of each residue of a protein for each of "
        "its properties, and compares it with the weights for other records' texts of the same "
        "property: the difference shows what is specific to the text. The weights show what the "
        "model attends to, which need not be biologically meaningful.",
    )
    parser.add_argument(
        "--checkpoint", required=True, metavar="DIR", help="ProtCLIP checkpoint, also gs://"
    )
    parser.add_argument(
        "--step",
        help="step to load: a number, best or latest (default: best if recorded, else latest)",
    )
    protein = parser.add_mutually_exclusive_group(required=True)
    protein.add_argument("--sequence", help="sequence of the protein")
    protein.add_argument(
        "--entry",
        type=pathlib.Path,
        metavar="FILE",
        help=f"UniProt entries ({', '.join(SUFFIXES)}), with their properties and FT features",
    )
    protein.add_argument(
        "--fasta",
        type=pathlib.Path,
        metavar="FILE",
        help="FASTA file, plain or gzip; the name is read from the header",
    )
    protein.add_argument(
        "--index",
        type=pathlib.Path,
        metavar="DIR",
        help="index of proteins, with the properties and FT features stored in it",
    )
    parser.add_argument(
        "--accession",
        metavar="ID",
        help="protein of FILE or DIR: an id or accession, in an index also an entry name "
        "(default: the only protein of a file)",
    )
    for name in PROPERTIES:
        parser.add_argument(
            f"--{name}",
            metavar="TEXT",
            help=f"{PREFIXES[name]} text; replaces that of the entry",
        )
    parser.add_argument(
        "--other_texts",
        type=pathlib.Path,
        metavar="PATH",
        help="source of the other texts: an index, a built dataset, or labels (.obo, enzyme.dat, "
        ".tsv, .csv, an index of labels); default: --index, else the dataset that the checkpoint "
        "was trained on, if it still exists",
    )
    parser.add_argument(
        "--others",
        type=int,
        default=OTHERS,
        metavar="N",
        help="maximum number of other texts per property; 0 skips the comparison (default "
        "%(default)s)",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        required=True,
        metavar="FIGURE",
        help=f"new figure file ({', '.join(FIGURES)}); a .tsv is written next to it",
    )
    return parser.parse_args(arguments)


def given_texts(options: argparse.Namespace) -> dict[str, str]:
    """Returns the properties of the command line as `PREFIX: content`, adding missing prefixes."""
    typed = {name: getattr(options, name) for name in PROPERTIES}
    texts = {name: with_prefix(name, text) for name, text in typed.items() if text}
    if empty := [name for name, text in texts.items() if not text]:
        raise UserError(
            f"--{empty[0]} is empty; give the text that follows {PREFIXES[empty[0]]}, or omit it."
        )
    return texts


def protein_and_texts(options: argparse.Namespace) -> tuple[Record, dict[str, str]]:
    """Returns the protein with its annotations, and the texts that replace its own.

    Raises:
      UserError: there is no text at all.
    """
    given = given_texts(options)
    record = chosen_protein(options)
    if not (given or property_texts(record)):
        raise UserError(
            f"no property to explain; pass one of {', '.join(f'--{name}' for name in PROPERTIES)}."
        )
    return record, given


def texts_of(record: Record, given: Mapping[str, str], *, names: str) -> dict[str, str]:
    """Property texts in biotext order; `names` selects the record's names as in `with_names`."""
    texts = property_texts(with_names(record, names)) | given
    return {name: texts[name] for name in PROPERTIES if name in texts}


def check(options: argparse.Namespace) -> None:
    """Raises UserError for an invalid output path or number."""
    if options.output.suffix not in FIGURES:
        raise UserError(f"--output={options.output} must end in {', '.join(FIGURES)}.")
    if not options.output.parent.is_dir():
        raise UserError(
            f"--output={options.output}: the folder {options.output.parent} does not exist; create "
            "it first."
        )
    if options.others < 0:
        raise UserError(f"--others={options.others} must be 0 or more.")


def tracks_of(
    record: Record, weights: Mapping[str, np.ndarray], contrasts: Mapping[str, Contrast]
) -> list[Track]:
    """The tracks to draw, one per property."""
    marked, nowhere = annotated_residues(record), np.zeros(len(record.sequence), bool)
    return [
        Track(name, row, marked.get(name, nowhere), contrasts.get(name))
        for name, row in weights.items()
    ]


def summary(
    sequence: str, weights: Mapping[str, np.ndarray], contrasts: Mapping[str, Contrast]
) -> list[str]:
    """Lines that name the heaviest residues, and those that stand out from other texts."""
    lines = []
    for name, row in weights.items():
        heaviest = np.argsort(-row, kind="stable")[:TOP]
        named = ", ".join(f"{sequence[index]}{index + 1} {row[index]:.3f}" for index in heaviest)
        share = f"{(row > 0).mean():.0%} of the residues have weight"
        lines.append(f"{name}: {share}; heaviest {named}")
        if name in contrasts:
            lines.append(describe_contrast(name, sequence, contrasts[name]))
    return lines


@command
def main(arguments: list[str] | None = None) -> None:
    """Computes the weights, writes figure and table, and prints the heaviest residues."""
    options = parse_arguments(arguments)
    check(options)
    outputs = [options.output, options.output.with_suffix(".tsv")]
    refuse_existing(outputs)
    record, given = protein_and_texts(options)
    checkpoint = open_checkpoint(options.checkpoint, options.step)
    config = metadata.read_model_config(checkpoint)
    source = options.other_texts or options.index
    other_texts = read_other_texts(source, config) if options.others else None
    meaning = what_weights_mean(checkpoint, step=resolve_step(checkpoint, options.step))
    print_status(f"loading {options.checkpoint}.")
    model = ProtCLIP.load(checkpoint, step=options.step)
    texts = texts_of(record, given, names=completed(config)["tokenizer"]["names"])
    print_status(f"explaining {record.accession}: {', '.join(texts)}.")
    weights = dict(zip(texts, model.segments(record.sequence, texts), strict=True))
    contrasts, origin = compare(
        model, record.sequence, texts, other_texts=other_texts, count=options.others
    )

    notes = [note for note in (origin, meaning) if note]
    figure = explanation(
        f"{record.accession} · {' '.join(texts.values())}",
        record.sequence,
        tracks_of(record, weights, contrasts),
        record.features,
        note=" ".join(notes),
    )
    with new_files(outputs) as (drawn, table):
        figure.savefig(drawn, dpi=DPI, format=options.output.suffix[1:])
        write_table(table, record, weights, contrasts, notes)
    print(*summary(record.sequence, weights, contrasts), sep="\n")
    print(*notes, sep="\n", file=sys.stderr)
    print(f"wrote {' and '.join(map(str, outputs))}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
