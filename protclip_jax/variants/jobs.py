"""The proteins and variants to score, checked before any computation."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.common.tables import TableWriter
from data_pipelines.common.unique_ids import UniqueIds
from data_pipelines.inputs.model_input import Prepared
from data_pipelines.inputs.mutation_file import Mutation
from data_pipelines.inputs.substitutions import (
    ANOTHER_WILD_TYPE,
    NO_VARIANT,
    OUTSIDE,
    Variant,
    fitting_shift,
    scorable_fault,
    single_substitutions,
    substitutions,
)
from data_pipelines.inputs.survey import REJECTS_HEADER, Survey
from data_pipelines.protanno.record import Record
from protclip_jax.inference.windows import Windows

NO_PROTEIN = "the input has no protein with this id"
NO_ID = "it has no id, and the input has several proteins"
NOT_READ = "its position is beyond the residues that are read of a long protein"


class Job(NamedTuple):
    """A protein and its variants, in output order."""

    id: str
    sequence: str
    variants: tuple[Variant, ...]
    record: Record | None
    """The UniProt entry, if the input consists of entries."""


class RejectedMutation(NamedTuple):
    """A mutation from the list that cannot be scored."""

    mutation: Mutation
    reason: str


def proteins(items: Iterable[Prepared], survey: Survey) -> list[Job]:
    """The usable proteins under unique ids, still without variants."""
    names = UniqueIds(survey.id_hashes)
    found = []
    for item in items:
        name = names.unique(item.id)
        if not item.fault:
            found.append(Job(name, item.text, (), item.record))
    return found


def scanned(found: Sequence[Job], windows: Windows) -> list[Job]:
    """Adds to each protein every single substitution at positions that are read."""
    jobs = []
    for job in found:
        variants = single_substitutions(job.sequence)
        read = [own for own in variants if _is_read(own, job.sequence, windows)]
        jobs.append(job._replace(variants=tuple(read)))
    return jobs


def listed(
    found: Sequence[Job], mutations: Iterable[Mutation], *, first_position: int, windows: Windows
) -> tuple[list[Job], list[RejectedMutation]]:
    """Adds the list's mutations to the proteins they fit; returns the others as rejects.

    Rows without an id belong to the only protein.

    Raises:
      UserError: no row fits, or with this numbering most rows do not fit their protein.
    """
    by_id = {job.id: job for job in found}
    only = found[0].id if len(found) == 1 else ""
    taken: dict[str, list[Variant]] = {job.id: [] for job in found}
    misfits: dict[str, list[Variant]] = {}
    rejects, rows = [], 0
    for mutation in mutations:
        rows += 1
        own = mutation.id or only
        changes = substitutions(mutation.text.upper(), first_position=first_position)
        reason = mutation.fault or _fault(changes, by_id.get(own), own, windows)
        if not reason:
            taken[own].append(tuple(changes))
            continue
        rejects.append(RejectedMutation(mutation, reason))
        if reason in (OUTSIDE, ANOTHER_WILD_TYPE):
            misfits.setdefault(own, []).append(tuple(changes))
    _refuse_misfits(by_id, misfits, rows, first_position)
    if len(rejects) == rows:
        first = rejects[0]
        raise UserError(
            f"none of the {rows:,} mutations can be scored; the first, {first.mutation.text!r} in "
            f"line {first.mutation.line}: {first.reason}."
        )
    with_variants = [job for job in found if taken[job.id]]
    return [job._replace(variants=tuple(taken[job.id])) for job in with_variants], rejects


def _fault(changes: list | None, job: Job | None, id: str, windows: Windows) -> str:
    if changes is None:
        return NO_VARIANT
    if job is None:
        return NO_PROTEIN if id else NO_ID
    if problem := scorable_fault(changes, job.sequence):
        return problem
    return "" if _is_read(changes, job.sequence, windows) else NOT_READ


def _is_read(changes: Sequence, sequence: str, windows: Windows) -> bool:
    return all(windows.around(len(sequence), change.index) is not None for change in changes)


def _refuse_misfits(
    by_id: Mapping[str, Job],
    misfits: Mapping[str, Sequence[Variant]],
    rows: int,
    first_position: int,
) -> None:
    count = sum(map(len, misfits.values()))
    if 2 * count <= rows:
        return
    shifts = {fitting_shift(of_one, by_id[id].sequence) for id, of_one in misfits.items()}
    (shift, *others) = shifts
    fix = "check the sequence and --first_position"
    if not others and shift is not None:
        fix = f"all of them fit with --first_position {first_position - shift}"
    raise UserError(
        f"{count:,} of {rows:,} mutations do not fit their protein if its first residue has the "
        f"number {first_position}; {fix}."
    )


def write_rejects(path: Path, rejects: Sequence[RejectedMutation]) -> None:
    """Lists rejected mutations in a TSV, in the format that `take_survey` uses for proteins."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = TableWriter(file)
        table.writerow(REJECTS_HEADER)
        for mutation, reason in rejects:
            name = f"{mutation.id} {mutation.text}".strip()
            table.writerow((name[:200], mutation.line, reason))


def describe(rejects: Sequence[RejectedMutation], path: Path) -> list[str]:
    """Describes the rejects in lines for the user."""
    reasons = Counter(reject.reason for reject in rejects)
    lines = [f"mutations rejected: {count:,}: {reason}." for reason, count in reasons.most_common()]
    return [*lines, f"mutations rejected: listed with their lines in {path}."]
