"""`python -m protclip_jax.explain`: which residues of one protein carry the weight of each of
its properties."""

import argparse
import csv
import pathlib
import sys
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from data_pipelines.common.errors import UserError, command
from data_pipelines.common.figure_style import DPI
from data_pipelines.common.outputs import new_files, refuse_existing
from data_pipelines.common.plain_text import tsv_cell
from data_pipelines.inputs.plausibility import doubt
from data_pipelines.inputs.protein_input import clean_protein
from data_pipelines.protanno.features import annotated_residues
from data_pipelines.protanno.record import (
    PREFIXES,
    PROPERTIES,
    UNKNOWN_SOURCE,
    Record,
    property_texts,
    with_names,
    with_prefix,
)
from data_pipelines.readers import SUFFIXES, read_entries
from protclip_jax.checkpoints.best import resolve_step
from protclip_jax.checkpoints.own_report import what_weights_mean
from protclip_jax.config.schema import completed
from protclip_jax.convert.hub_folder import open_checkpoint
from protclip_jax.explain.residue_tracks import Track, explanation
from protclip_jax.inference.protclip import ProtCLIP

FIGURES = (".png", ".svg", ".pdf")
TOP = 5
"""Residues named for each property in the summary."""


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line; argparse itself ends with code 2 on what it does not understand."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.explain",
        epilog="Example: python -m protclip_jax.explain --checkpoint runs/demo --sequence "
        "MKTAYIAKQR "
        "--function 'Binds zinc.' --output weights.png",
        description="Draws and tabulates the weight that PDA gives each residue of a protein for "
        "each of "
        "its properties. "
        "A weight says what the model attends to; compare it with controls before reading "
        "biology into it.",
    )
    parser.add_argument(
        "--checkpoint", required=True, metavar="DIR", help="a ProtCLIP checkpoint, also gs://"
    )
    parser.add_argument(
        "--step", help="a step's number, best or latest (default: best if recorded, else latest)"
    )
    protein = parser.add_mutually_exclusive_group(required=True)
    protein.add_argument("--sequence", help="the protein's residues")
    protein.add_argument(
        "--entry",
        type=pathlib.Path,
        metavar="FILE",
        help=f"UniProt entries ({', '.join(SUFFIXES)}); takes properties and FT sites too",
    )
    parser.add_argument("--accession", help="which entry of FILE (default: its only one)")
    for name in PROPERTIES:
        parser.add_argument(
            f"--{name}",
            metavar="TEXT",
            help=f"what to say after {PREFIXES[name]}; replaces the entry's",
        )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        required=True,
        metavar="FIGURE",
        help=f"a new {', '.join(FIGURES)}; a .tsv is put beside it",
    )
    return parser.parse_args(arguments)


def read_entry(path: pathlib.Path, accession: str | None) -> Record:
    """The entry of a file that `accession` names, or its only one."""
    found = []
    for entry in read_entries(path):
        if accession in (None, entry.accession):
            found.append(entry)
        if len(found) > 1:
            raise UserError(
                f"{path} holds several entries ({found[0].accession}, {found[1].accession}, "
                "…); pass --accession."
            )
        if accession is not None and found:
            break
    if not found:
        raise UserError(
            f"{path} holds no entry {accession or ''}".rstrip() + "; check --entry and --accession."
        )
    if not isinstance(found[0], Record):
        raise UserError(f"entry {found[0].accession} of {path} cannot be used: {found[0].reason}.")
    return found[0]


def given_texts(options: argparse.Namespace) -> dict[str, str]:
    """The properties of the command line as `PREFIX: content`, whether their prefix was typed or
    not."""
    texts = {
        name: with_prefix(name, typed) for name in PROPERTIES if (typed := getattr(options, name))
    }
    if empty := [name for name, text in texts.items() if not text]:
        raise UserError(
            f"--{empty[0]} is empty; say what comes after {PREFIXES[empty[0]]}, or leave it out."
        )
    return texts


def asked_for(options: argparse.Namespace) -> tuple[Record, dict[str, str]]:
    """The protein, with whatever is known of it, and the texts that are given in place of its
    own; there is one at least."""
    given = given_texts(options)
    if options.entry:
        record = read_entry(options.entry, options.accession)
    else:
        if options.accession:
            raise UserError(
                "--accession chooses an entry of --entry=FILE; leave it out with --sequence."
            )
        try:
            cleaned = clean_protein(options.sequence)
        except ValueError as error:
            raise UserError(f"--sequence is no protein: {error}.") from error
        if looks := doubt(cleaned.sequence):
            print(f"sequence: it looks like {looks}, not like a protein.", file=sys.stderr)
        if cleaned.changes:
            print(
                f"sequence: {', '.join(f'{n} {what}' for what, n in cleaned.changes.items())}",
                file=sys.stderr,
            )
        record = Record("sequence", "", UNKNOWN_SOURCE, cleaned.sequence, 0, "")
    if not (given or property_texts(record)):
        raise UserError(
            "there is no property to explain; give one of "
            f"{', '.join(f'--{name}' for name in PROPERTIES)}."
        )
    return record, given


def texts_of(record: Record, given: Mapping[str, str], *, names: str) -> dict[str, str]:
    """The property texts in biotext order; the record's own tell its `names` as `with_names`
    does."""
    texts = property_texts(with_names(record, names)) | given
    return {name: texts[name] for name in PROPERTIES if name in texts}


def write_table(
    path: pathlib.Path, record: Record, weights: Mapping[str, Float[np.ndarray, " L"]]
) -> None:
    """One line a residue: position (1-based), residue, the weight for each property, the
    features that cover it."""
    with open(path, "x", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["position", "residue", *weights, "features"])
        for index, residue in enumerate(record.sequence):
            covering = [f for f in record.features if f.start <= index + 1 <= f.end]
            notes = tsv_cell("; ".join(f"{f.type} {f.note}".strip() for f in covering))
            table.writerow(
                [index + 1, residue, *(f"{row[index]:.6g}" for row in weights.values()), notes]
            )


@command
def main(arguments: list[str] | None = None) -> None:
    """Computes the weights, writes the figure and the table, and names the heaviest residues on
    stdout."""
    options = parse_arguments(arguments)
    if options.output.suffix not in FIGURES:
        raise UserError(f"--output={options.output} must end in {', '.join(FIGURES)}.")
    if not options.output.parent.is_dir():
        raise UserError(
            f"--output={options.output}: there is no folder {options.output.parent}; make it first."
        )
    outputs = [options.output, options.output.with_suffix(".tsv")]
    refuse_existing(outputs)
    record, given = asked_for(options)
    checkpoint = open_checkpoint(options.checkpoint, options.step)
    meaning = what_weights_mean(checkpoint, step=resolve_step(checkpoint, options.step))
    model = ProtCLIP.load(checkpoint, step=options.step)
    texts = texts_of(record, given, names=completed(model.config)["tokenizer"]["names"])
    weights = dict(zip(texts, model.segments(record.sequence, texts), strict=True))

    marked = annotated_residues(record)
    nowhere = np.zeros(len(record.sequence), bool)
    tracks = [Track(name, row, marked.get(name, nowhere)) for name, row in weights.items()]
    title = f"{record.accession} · {' '.join(texts.values())}"
    figure = explanation(title, record.sequence, tracks, record.features)
    with new_files(outputs) as (drawn, table):
        figure.savefig(drawn, dpi=DPI, format=options.output.suffix[1:])
        write_table(table, record, weights)
    for name, row in weights.items():
        heaviest = np.argsort(-row, kind="stable")[:TOP]
        named = ", ".join(
            f"{record.sequence[index]}{index + 1} {row[index]:.3f}" for index in heaviest
        )
        print(f"{name}: {(row > 0).mean():.0%} of the residues carry weight; heaviest {named}")
    print(meaning, file=sys.stderr)
    print(f"wrote {' and '.join(map(str, outputs))}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
