"""Cuts proteins to the region that models are given.

ProtST reads from each AAV capsid the 200 residues around its mutations.
"""

import dataclasses

from data_pipelines.common.errors import UserError
from eval.data.base.task import Sample, Task


def cut_to_region(task: Task, region: tuple[int, int]) -> Task:
    """Cuts each sequence to the residues `region` (1-based, inclusive) and adds a note about it.

    If no sequence is longer than the region, all are taken as already cut. An insertion shifts what
    follows it, so a variant loses as many residues at the end as it gained, as in ProtST's slice.

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
            f"{task.name}: {short[0].name} has {len(short[0].sequence)} residues, but models are "
            f'given residues {first}–{last}; give whole proteins, or set "region" in the '
            "manifest's entry."
        )
    splits = {}
    for name, samples in task.splits.items():
        splits[name] = [_cut(sample, first, last) for sample in samples]
    note = f"Models are given residues {first}–{last} of each protein."
    return dataclasses.replace(task, splits=splits, notes=(*task.notes, note))


def _cut(sample: Sample, first: int, last: int) -> Sample:
    return dataclasses.replace(sample, sequence=sample.sequence[first - 1 : last])
