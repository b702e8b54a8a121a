"""Checks an existing index: may proteins be added, or did an interrupted run already add them?"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import print_status
from protclip_jax.embed.resume import (
    PLAN,
    is_finishing,
    read_plan,
    remove_parts,
)
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.index_folder import (
    MANIFEST,
    Index,
    open_index,
    unnamed_files,
)


def open_previous(options: argparse.Namespace, folder: Path) -> Index | None:
    """Opens the index to add to; None for a new index.

    Raises:
      UserError: with `--append`, the index cannot be opened, or it or the input is of labels;
        without, `--output` is a file or a folder with content.
    """
    if options.append:
        if options.labels:
            raise UserError("labels cannot be appended; make a new index of all labels.")
        previous = open_index(options.output)
        if previous.manifest["modality"] != "protein":
            raise UserError(
                f"{options.output} is an index of {previous.manifest['modality']}s, but proteins "
                "can only be added to an index of proteins; omit --append and name another "
                "--output."
            )
        return previous
    if options.output.exists():
        if not options.output.is_dir():
            raise UserError(f"--output={options.output} is a file; name a new folder.")
        files = set(options.output.iterdir())
        if is_finishing(folder):
            # The interrupted run left these files.
            files -= {options.output / MANIFEST, *unnamed_files(options.output, ())}
        if files:
            raise UserError(
                f"{options.output} exists; add to it with --append, remove it, or name another "
                "--output."
            )
    return None


def refuse_known_ids(previous: Index, hashes: np.ndarray, output: Path) -> None:
    """Raises UserError if any item, given by the hash of its id, is already in the index."""
    known = np.fromiter(item_table.id_hashes(previous.items), np.uint64, len(previous))
    if repeated := int(np.isin(hashes, known).sum()):
        raise UserError(
            f"{output} already contains {repeated:,} of the {len(hashes):,} ids; remove these "
            "proteins from the input, or rebuild the index."
        )


def generation_of(previous: Index | None) -> int:
    """The generation of the index after an addition to `previous`."""
    return previous.manifest["generation"] + 1 if previous else 0


def rejects_path(output: Path, generation: int) -> Path:
    """Path of the list of rejected items, next to the index; every addition has its own list."""
    return output.with_name(
        f"{output.name}.{generation}.rejects.tsv" if generation else f"{output.name}.rejects.tsv"
    )


def is_published(folder: Path, previous: Index) -> bool:
    """Whether the run of this folder published the current index but did not remove the folder."""
    return read_plan(folder).get("generation") == previous.manifest["generation"]


def were_added_last(previous: Index, hashes: np.ndarray) -> bool:
    """Whether the last part of the index has exactly these items, given by hashes of their ids."""
    last = previous.items.slice(len(previous) - len(previous.vectors.parts[-1]))
    return list(item_table.id_hashes(last)) == hashes.tolist()


def was_added(previous: Index, hashes: np.ndarray, output: Path, *, folder: Path) -> bool:
    """Whether an interrupted run already added exactly these items; if so, removes its folder.

    Raises:
      UserError: an earlier addition contains some of the items.
    """
    published = is_published(folder, previous)
    if published and were_added_last(previous, hashes):
        print_status(
            f"{output} already contains all of them, from a run that was stopped while finishing."
        )
        remove_parts(folder)
        return True
    refuse_known_ids(previous, hashes, output)
    if published:
        # The parts hold other items, which are already in the index: this run needs its own plan.
        (folder / PLAN).unlink()
    return False


def refuse_other_encoding(previous: Index, encoding: Mapping, output: Path) -> None:
    """Raises UserError if the index was made with other options for encoding proteins."""
    if previous.manifest["encoding"] != dict(encoding):
        stored = previous.manifest["encoding"]
        message = ", ".join(
            f"--{name} {stored.get(name)}"
            for name in stored
            if stored.get(name) != encoding.get(name)
        )
        raise UserError(
            f"{output} was made with other options; pass {message or 'the original ones'}."
        )
