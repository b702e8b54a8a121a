"""DeepLoc's FASTA: `>ACCESSION Location-X [split]`, X = M (membrane-bound), S (soluble) or U
(unknown)."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.assembly import Labelled, classification
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.task import SPLITS, Task
from eval.data.importers.fasta import Record, records

MEMBRANE = {"M": "membrane", "S": "soluble"}
"""What DeepLoc's letters are called as classes."""

MIXED = "it is in two compartments, which have no one class"
UNKNOWN_MEMBRANE = "it is not known to be membrane-bound or soluble"
NO_LOCATION = "its header has no Location-M, -S or -U"


def location_class(parts: Sequence[str], mixed: str) -> str | None:
    """The class of a protein in these compartments, with blanks for DeepLoc's dots.

    A protein in several has the class `mixed` if that is one of them, else none: published code
    disagrees on it (the SES-Adapter data count Cytoplasm-Nucleus as Nucleus, Light Attention
    takes the first name, Cytoplasm).
    """
    names = [part.replace(".", " ") for part in parts]
    return names[0] if len(names) == 1 else mixed if mixed in names else None


def check_mixed(mixed: str, classes: Sequence[str]) -> None:
    """Raises a UserError unless `mixed` is `reject` or one of the localisation's classes."""
    if mixed not in ("reject", *classes):
        raise UserError(
            f"mixed is {mixed!r}, which is no location in the data; take reject or one of "
            f"{', '.join(classes)}."
        )


def read_deeploc(
    files: Mapping[str, Sequence[Path]], *, benchmark: str, mixed: str = "reject"
) -> Task:
    """Localisation (10 classes) or membrane (2) from DeepLoc FASTA files.

    Args:
      files: by split; those of `all` are split by their third word (`test`, else train).
      benchmark: localisation, where `mixed` is the class of proteins in two compartments (`reject`:
        none), or membrane, where proteins marked U are rejected.

    Raises:
      UserError: a file is no such FASTA.
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
    """Each usable record with its header's words and its class."""
    for count, record in enumerate(found):
        words = record.header.split()
        location, _, membrane = words[1].rpartition("-") if len(words) > 1 else ("", "", "")
        if not location or membrane not in ("M", "S", "U"):
            if not count:
                raise UserError(
                    f"{path} is no DeepLoc FASTA: its first header is "
                    f"{record.header[:80]!r}, without Location-M."
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
