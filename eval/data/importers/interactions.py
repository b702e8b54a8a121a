"""Reads STRING's action files as GNN-PPI uses them (SHS27k, SHS148k, STRING), and sequences.

An action file has one row per mode and direction.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import progress
from eval.data.base.format import Format, NeutralFolder
from eval.data.base.gathered import Gathered
from eval.data.base.rows import lines, table_header, table_rows
from eval.data.base.task import INTERACTIONS, InteractionGraph
from eval.data.importers.sequences import read_sequences

UNKNOWN_MODE = "its mode is not one of the seven interactions"
WITH_ITSELF = "it is an interaction of a protein with itself"
NO_SEQUENCE = "one of its proteins has no sequence"
TOO_SHORT = "its row is too short"

_ACTION_COLUMNS = ["item_id_a", "item_id_b", "mode"]


def read_actions(actions: Path, *, sequences: Sequence[Path]) -> InteractionGraph:
    """Reads which proteins interact, and how.

    A pair has every mode that any of its rows has, in either direction. The file is read row by
    row; STRING's own has millions. Scores and directions are not used, as in GNN-PPI.

    Args:
      sequences: a table of names and sequences without a header, or FASTA.

    Raises:
      UserError: a file has another form, or no interaction is left.
    """
    gathered = Gathered()
    if table_header(actions)[:3] != _ACTION_COLUMNS:
        raise UserError(
            f"{actions} is not a STRING action file: its header does not begin with "
            f"{', '.join(_ACTION_COLUMNS)}."
        )
    modes = _modes(actions, gathered)
    return interaction_graph(modes, sequences, gathered, path=actions)


def _modes(path: Path, gathered: Gathered) -> dict[tuple[str, str], int]:
    """Pair in alphabetical order → the bits of its modes; in the order of the file."""
    bits = {mode: 1 << position for position, mode in enumerate(INTERACTIONS)}
    pairs, count = {}, 0
    rows = lines(path)
    next(rows)
    for line, text in progress(rows, description=path.name, unit="rows"):
        count += 1
        a, b, mode, *_ = (*text.split("\t", 3), "", "", "")
        if mode not in bits or a == b:
            gathered.reject(
                path,
                line,
                f"{a} {b}",
                TOO_SHORT if not mode else UNKNOWN_MODE if a != b else WITH_ITSELF,
            )
            continue
        pair = (a, b) if a < b else (b, a)
        pairs[pair] = pairs.get(pair, 0) | bits[mode]
    gathered.source(path, count)
    return pairs


def interaction_graph(
    modes: Mapping[tuple[str, str], int],
    sequences: Sequence[Path],
    gathered: Gathered,
    *,
    path: Path,
) -> InteractionGraph:
    """Builds the graph of pairs with their modes as bits; proteins follow the order of the pairs.

    Raises:
      UserError: no interaction is left, because there are none or their proteins have no sequences.
    """
    found = read_sequences(sequences, gathered, wanted={name for pair in modes for name in pair})
    positions, edges, bits = {}, [], []
    for (a, b), mode in modes.items():
        if a in found and b in found:
            edges.append(
                [positions.setdefault(a, len(positions)), positions.setdefault(b, len(positions))]
            )
            bits.append(mode)
        else:
            gathered.reject(path, 0, f"{a} {b}", NO_SEQUENCE)
    if not edges:
        raise UserError(
            f"{path} gives no interaction between proteins that have a sequence in "
            f"{', '.join(map(str, sequences))}; check both files."
        )
    ends = np.sort(np.array(edges, np.int32), axis=1)
    order = np.lexsort((ends[:, 1], ends[:, 0]))
    labels = (np.array(bits)[:, None] >> np.arange(len(INTERACTIONS))) & 1
    names = list(positions)
    return InteractionGraph(
        names, [found[name] for name in names], ends[order], labels[order].astype(bool),
        gathered.rejects, gathered.sources, gathered.notes,
    )  # fmt: skip


def read_interaction_table(file: Path, *, sequences: Sequence[Path]) -> InteractionGraph:
    """Reads the neutral layout: a table `a, b, types`, types separated by commas.

    A pair may have several rows.

    Raises:
      UserError: as `read_actions`.
    """
    gathered, modes = Gathered(), {}
    for line, a, b, types in _typed(file, gathered):
        unknown = [kind for kind in types if kind not in INTERACTIONS]
        if unknown or not types or a == b:
            gathered.reject(file, line, f"{a} {b}", WITH_ITSELF if a == b else UNKNOWN_MODE)
        else:
            pair = (a, b) if a < b else (b, a)
            modes[pair] = modes.get(pair, 0) | sum(
                1 << INTERACTIONS.index(kind) for kind in set(types)
            )
    return interaction_graph(modes, sequences, gathered, path=file)


def _typed(file: Path, gathered: Gathered) -> Iterator[tuple[int, str, str, list[str]]]:
    for row in table_rows(file, gathered, columns=("a", "b", "types")):
        yield (
            row.line,
            row.cells["a"],
            row.cells["b"],
            [kind.strip() for kind in row.cells["types"].split(",") if kind.strip()],
        )


def _neutral_entry(folder: NeutralFolder) -> dict | None:
    pairs, proteins = folder.table("interactions"), folder.table("proteins")
    return {"file": pairs, "sequences": proteins} if pairs and proteins else None


STRING_ACTIONS = Format("string_actions", read_actions, file=("actions",), files=("sequences",))
INTERACTION_TABLE = Format(
    "interaction_table",
    read_interaction_table,
    file=("file",),
    files=("sequences",),
    neutral=_neutral_entry,
)
