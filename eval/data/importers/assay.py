"""Turns a benchmark into an assay: measured substitutions of one wild type, to be judged."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.substitutions import NOT_STANDARD, differences, scorable_fault
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.task import Assay, Assays, MeasuredVariant, Sample, Task
from eval.data.importers.alignment import read_alignment
from eval.data.importers.reference import read_reference

ANOTHER_LENGTH = "it has insertions or deletions, which are not scored"
CONSENSUS = "No wild type was given: it was derived from the commonest residues of {rows} rows."


def read_assay(
    task: Task,
    *,
    wild_type: Path | None = None,
    alignment: Path | None = None,
    text: str = "",
) -> Assays:
    """Builds an assay from the task's test split, with its training rows beside it.

    Without a test split, all rows are judged.

    Args:
      wild_type: a FASTA file or a file with only the sequence; by default the commonest residue of
      each position among the training rows, which is right for variants with few substitutions.
      alignment: of its homologues, for the site-independent baseline.
      text: what is known about the protein, to score variants by the change in cosine similarity.

    Raises:
      UserError: the targets are not numbers, or no row is a variant of the wild type.
    """
    if task.kind != "regression":
        raise UserError(f"{task.name} is {task.kind}; variant effects need a regression.")
    gathered, notes = Gathered(), list(task.notes)
    known = [sample for split in ("train", "valid") for sample in task.splits.get(split, [])]
    judged = task.splits.get("test") or known
    if wild_type is None:
        reference = consensus(known or judged)
        notes.append(CONSENSUS.format(rows=f"{len(known or judged):,}"))
    else:
        reference = read_reference(wild_type, gathered)
    if judged is known:
        notes.append(f"The data have no test split: all {len(judged):,} rows were judged.")
    variants = _measured(judged, reference, gathered, task.name)
    if not variants:
        raise UserError(f"{task.name}: no row is a variant of the wild type; check wild_type.")
    train = () if judged is known else _measured(known, reference, Gathered(), task.name)
    aligned = read_alignment(alignment, reference, gathered) if alignment else ()
    assay = Assay(
        task.name,
        reference,
        variants,
        train=tuple(train),
        alignment=aligned,
        text=text,
    )
    rows = {split: len(samples) for split, samples in task.splits.items()}
    rejects = [*task.rejects, *gathered.rejects]
    sources = [*task.sources, *gathered.sources]
    return Assays(task.name, [assay], rows, rejects, sources, tuple(notes))


def consensus(samples: Sequence[Sample]) -> str:
    """The commonest residue of each position among sequences of the commonest length."""
    sequences = [sample.sequence for sample in samples]
    length = Counter(map(len, sequences)).most_common(1)[0][0]
    columns = zip(*(own for own in sequences if len(own) == length), strict=True)
    return "".join(Counter(column).most_common(1)[0][0] for column in columns)


def _measured(
    samples: Sequence[Sample],
    wild_type: str,
    gathered: Gathered,
    name: str,
) -> list[MeasuredVariant]:
    variants = []
    for sample in samples:
        changes = differences(wild_type, sample.sequence)
        if changes is None:
            gathered.reject(Path(name), 0, sample.name, ANOTHER_LENGTH)
        elif scorable_fault(changes, wild_type):
            gathered.reject(Path(name), 0, sample.name, NOT_STANDARD)
        else:
            variants.append(MeasuredVariant(changes, sample.target))
    return variants


ASSAY = Format("assay", read_assay, file=("wild_type", "alignment"), options={"text": str})
