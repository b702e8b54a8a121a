"""Reads DeepLoc's FASTA, `>ACCESSION Location-X [split]`.

X is M (membrane-bound), S (soluble) or U (unknown).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.assembly import Labelled, classification
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.task import SPLITS, Task
from eval.data.importers.fasta import Record, records

MEMBRANE = {"M": "membrane", "S": "soluble"}
"""Class names for DeepLoc's letters."""

MIXED = "it is in two compartments, which no single class covers"
UNKNOWN_MEMBRANE = "it is not known to be membrane-bound or soluble"
NO_LOCATION = "its header has no Location-M, -S or -U"


def location_class(parts: Sequence[str], mixed: str) -> str | None:
    """The class of a protein in these compartments, with blanks for DeepLoc's dots.

    A protein in several compartments has the class `mixed` if that is one of them, else none.
    Published code disagrees: the SES-Adapter data count Cytoplasm-Nucleus as Nucleus, Light
    Attention takes the first name, Cytoplasm.
    """
    names = [part.replace(".", " ") for part in parts]
    return names[0] if len(names) == 1 else mixed if mixed in names else None


def check_mixed(mixed: str, classes: Sequence[str]) -> None:
    """Raises a UserError unless `mixed` is `reject` or one of the localisation classes."""
    if mixed not in ("reject", *classes):
        raise UserError(
            f"unknown location mixed={mixed!r}; expected reject or one of {', '.join(classes)}."
        )


def read_deeploc(
    files: Mapping[str, Sequence[Path]], *, benchmark: str, mixed: str = "reject"
) -> Task:
    """Reads localisation (10 classes) or membrane (2 classes) from DeepLoc FASTA files.

    Args:
      files: by split; records of `all` are split by their third word (`test`, else train).
      benchmark: localisation, where `mixed` is the class of proteins in two compartments (`reject`:
      they are rejected), or membrane, where proteins marked U are rejected.

    Raises:
      UserError: a file is not such a FASTA.
    """
    gathered, splits = Gathered(), {}
    for split, paths in files.items():
        for path in paths:
            for record, words, label in _labelled(
                path, records(path, gathered), gathered, benchmark, mixed
            ):
                sequence = gathered.sequence(path, record.line, words[0], record.text)
                if sequence is not None:
                    own = "test" if "test" in words[2:] else "train"
                    splits.setdefault(own if split == "all" else split, []).append(
                        Labelled(words[0], sequence, (label,))
                    )
    task = classification(benchmark, "multiclass", splits, gathered)
    if benchmark == "localisation":
        check_mixed(mixed, task.classes)
    return task


def _labelled(path: Path, found: Iterable[Record], gathered: Gathered, benchmark: str, mixed: str):
    """Yields each usable record with its header's words and its class."""
    for count, record in enumerate(found):
        words = record.header.split()
        location, _, membrane = words[1].rpartition("-") if len(words) > 1 else ("", "", "")
        if not location or membrane not in ("M", "S", "U"):
            if not count:
                raise UserError(
                    f"{path} is not a DeepLoc FASTA: its first header is {record.header[:80]!r}, "
                    "without a word such as Nucleus-S."
                )
            gathered.reject(path, record.line, words[0] if words else "", NO_LOCATION)
            continue
        label = (
            MEMBRANE.get(membrane)
            if benchmark == "membrane"
            else location_class(location.split("-"), mixed)
        )
        if label is None:
            gathered.reject(
                path, record.line, words[0], UNKNOWN_MEMBRANE if benchmark == "membrane" else MIXED
            )
        else:
            yield record, words, label


DEEPLOC_FASTA = Format(
    "deeploc_fasta", read_deeploc, splits=(*SPLITS, "all"), options={"mixed": str}
)
