"""The region of a protein that models are given: ProtST reads of each AAV capsid the 200
residues around its mutations."""

import dataclasses

from data_pipelines.common.errors import UserError
from eval.data.base.task import Sample, Task


def cut_to_region(task: Task, region: tuple[int, int]) -> Task:
    """The task with each sequence cut to the residues `region`, 1-based and inclusive, and a note
    that says so.

    Sequences none of which is longer than the region are taken as cut already. An insertion moves
    what comes behind it, so that a variant loses as many residues at the end as it has gained, as
    ProtST's slice does.

    Raises:
      UserError: a sequence ends before the region begins.
    """
    first, last = region
    everything = [sample for samples in task.splits.values() for sample in samples]
    if max((len(sample.sequence) for sample in everything), default=0) <= last - first + 1:
        note = (
            f"No sequence has more than {last - first + 1} residues: they are taken to be "
            f"residues {first}–{last} already."
        )
        return dataclasses.replace(task, notes=(*task.notes, note))
    if short := [sample for sample in everything if len(sample.sequence) < first]:
        raise UserError(
            f"{task.name}: {short[0].name} has {len(short[0].sequence)} residues and models "
            f"are given residues {first}–{last}; "
            f'give whole proteins, or another "region" in the manifest\'s entry.'
        )
    splits = {
        name: [_cut(sample, first, last) for sample in samples]
        for name, samples in task.splits.items()
    }
    note = f"Models are given residues {first}–{last} of each protein."
    return dataclasses.replace(task, splits=splits, notes=(*task.notes, note))


def _cut(sample: Sample, first: int, last: int) -> Sample:
    return dataclasses.replace(sample, sequence=sample.sequence[first - 1 : last])
