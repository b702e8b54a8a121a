"""Reads IEConv's enzyme reactions: rows such as `4fae.B,247`, EC numbers, and lists of chains.

A class is a line of the list of EC numbers. Sequences come from other files.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.assembly import Labelled, classification
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.rows import listed
from eval.data.base.task import SPLITS, Task
from eval.data.importers.chains import NO_CHAIN, NO_SEQUENCE, chain_id, chain_sequences, chains_of

NO_FUNCTION = "it has no class"
NO_CLASS = "its class is not a line of the list of EC numbers"


def read_functions(path: Path, gathered: Gathered) -> list[str]:
    """Reads the EC number of each class.

    Raises:
      UserError: the file lists something else, or a number twice.
    """
    functions = [text for _, text in listed(path, gathered)]
    if not functions[0].replace("-", "0").replace(".", "").isdecimal():
        raise UserError(
            f"{path} is not a list of EC numbers: it begins with {functions[0][:60]!r}; give "
            "unique_functions.txt."
        )
    if twice := [number for number, count in Counter(functions).items() if count > 1]:
        raise UserError(
            f"{path} lists {twice[0]!r} {functions.count(twice[0])} times, so its lines do not "
            "number classes; fetch it again."
        )
    return functions


def read_reaction(
    files: Mapping[str, Sequence[Path]],
    *,
    benchmark: str,
    functions: Path,
    classes: Path,
    sequences: Sequence[Path],
) -> Task:
    """Reads enzyme reactions, with classes in the order of the list of EC numbers.

    Args:
      files: lists of chains by split.
      functions: `chain_functions.txt`.
      classes: `unique_functions.txt`.
      sequences: any file that `read_sequences` reads with PDB chains as names; IEConv has no
      sequences.

    Raises:
      UserError: a file has another form, or no chain has a sequence.
    """
    gathered = Gathered()
    names = read_functions(classes, gathered)
    labels = _labels(functions, gathered, names)
    chains = {split: [] for split in files}
    for split, paths in files.items():
        for path in paths:
            chains[split] += chains_of(
                path, ((line, text, None) for line, text in listed(path, gathered)), gathered
            )
    found = chain_sequences(chains, sequences, gathered, benchmark=benchmark)
    splits = {}
    for split, members in chains.items():
        splits[split] = []
        for path, line, chain, _ in members:
            if chain in labels and chain in found:
                splits[split].append(Labelled(chain, found[chain], (labels[chain],)))
            else:
                gathered.reject(
                    path, line, chain, NO_FUNCTION if chain not in labels else NO_SEQUENCE
                )
    return classification(benchmark, "multiclass", splits, gathered, classes=names)


def _labels(path: Path, gathered: Gathered, names: Sequence[str]) -> dict[str, str]:
    labels = {}
    for line, text in listed(path, gathered):
        chain, _, label = text.partition(",")
        if not chain_id(chain) or not label.strip().isdecimal():
            if not labels:
                raise UserError(
                    f"{path}, line {line} is {text[:60]!r}; expected a chain and its class, such "
                    "as 4fae.B,247."
                )
            gathered.reject(path, line, text[:100], NO_CHAIN)
        elif int(label) < len(names):
            labels[chain_id(chain)] = names[int(label)]
        else:
            gathered.reject(path, line, chain, NO_CLASS)
    return labels


IECONV = Format(
    "ieconv", read_reaction, splits=SPLITS, file=("functions", "classes"), files=("sequences",)
)
