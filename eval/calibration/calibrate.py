"""`python -m eval --calibrate`: fits tables on one held-out split and checks them on another."""

import os
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import file_sha256
from data_pipelines.common.progress import print_status, progress
from data_pipelines.protanno.clusters import HELD_OUT, VALIDATION
from data_pipelines.protanno.dataset import MissingSplit, ProtAnno
from data_pipelines.protanno.record import Record
from eval.calibration.fitting import (
    FEWEST_QUESTIONS,
    Checked,
    Reliability,
    fit_table,
    reliability,
    why_no_table,
)
from eval.calibration.label_libraries import Library, read_libraries
from eval.calibration.page import CAPTIONS, markdown, reliability_diagram
from eval.calibration.questions import Embedded, Hits, measured_hits
from eval.calibration.traits import Trait
from eval.pretraining.evaluation import Model
from eval.pretraining.groups import by_nearness
from eval.pretraining.pool import TooFewTexts, fixed_pool
from eval.reporting.report import refuse_other_report, write_report
from protclip_jax.retrieval.calibration import FILE, FIX, Calibration, to_text

ITEMS = 10_000
"""The maximum number of training records to search, besides the held-out ones."""


class TooFewQuestions(UserError):
    """The dataset is too small to fit a table."""


def calibrate_checkpoint(
    model: Model,
    dataset: ProtAnno,
    checkpoint: pathlib.Path,
    output: pathlib.Path,
    *,
    names: str,
    split: str,
    pool: int,
    label_files: Sequence[pathlib.Path] = (),
    provenance: Mapping,
) -> None:
    """Writes `calibration.json` into the checkpoint, and the report into `output`.

    Args:
      dataset: opened with `RECOMMENDED` names, since traits are read from the whole record.
      names: names mentioned in the texts that the model reads, as in `with_names`.
      split: the split that the tables are checked on.
      pool: maximum number of questions per split.
      label_files: libraries of EC numbers or GO terms, with which proteins are queried too.

    Raises:
      UserError: an existing report is about another question.
      TooFewQuestions: there are too few held-out records.
    """
    provenance = dict(provenance) | {"fitted_on": VALIDATION, "checked_on": split, "pool": pool}
    if label_files:
        provenance["labels"] = {path.name: file_sha256(path) for path in label_files}
    refuse_other_report(output, provenance)
    fitted = _held_out(dataset, VALIDATION, pool)
    checked = _held_out(dataset, split, pool)
    libraries = read_libraries(model, label_files)
    checked_tables, left_out = check_tables(
        model, dataset, fitted, checked, names=names, libraries=libraries
    )
    if not checked_tables:
        raise TooFewQuestions(
            f"no table can be fitted: at least {FEWEST_QUESTIONS} held-out questions of a trait "
            "are needed; build a larger dataset."
        )
    calibration = Calibration(model.fingerprint, tuple(one.table for one in checked_tables))
    result = as_json(checked_tables)
    sections = {"calibration": (result, markdown(checked_tables))}
    figures = {"reliability": reliability_diagram(checked_tables)}
    write_report(
        output,
        provenance=provenance,
        sections=sections,
        figures=figures,
        left_out=left_out,
        captions=CAPTIONS,
    )
    atomic_write(checkpoint / FILE, to_text(calibration, {"provenance": provenance}).encode())
    print_status(f"wrote {checkpoint / FILE} and {output / 'report.md'}")


def _held_out(dataset: ProtAnno, split: str, pool: int) -> list[Record]:
    """The records of a split that ask, at most `pool`.

    Raises:
      TooFewQuestions: the split is missing or has fewer than two distinct texts.
    """
    try:
        return fixed_pool(dataset, split=split, size=pool).records
    except (MissingSplit, TooFewTexts) as error:
        raise TooFewQuestions(str(error)) from error


def refuse_calibrated(checkpoint: pathlib.Path, *, split: str) -> None:
    """Refuses a checkpoint that has any table, or the split that tables are fitted on.

    Raises:
      UserError: the checkpoint has a table, or the split is the one for fitting.
    """
    if split == VALIDATION:
        raise UserError(
            f"--split={VALIDATION} is the split that the table is fitted on; name another "
            "held-out split."
        )
    if os.path.lexists(checkpoint / FILE):
        raise UserError(f"{checkpoint / FILE} exists; to measure again, {FIX}.")


def check_tables(
    model: Model,
    dataset: ProtAnno,
    fitted: Sequence[Record],
    checked: Sequence[Record],
    *,
    names: str,
    libraries: Sequence[Library] = (),
) -> tuple[list[Checked], dict[str, str]]:
    """Fits the tables for which the first records suffice, and checks them on the others.

    The others must not be related to the first; `names` as in `calibrate_checkpoint`.

    Returns:
      The checked tables, and the reason for each missing one.
    """
    held_out = [*fitted, *checked]
    records = [*held_out, *training_records(dataset, ITEMS)]
    print_status(
        f"calibrate: {len(fitted):,} questions to fit, {len(checked):,} to check, among "
        f"{len(records):,} proteins."
    )
    vectors = np.asarray(model.encode_proteins([record.sequence for record in records]))
    items = Embedded(records, vectors)
    is_fitted = np.arange(len(held_out)) < len(fitted)
    groups = groups_of(dataset, held_out, is_fitted)
    tables, left_out = [], {}
    for question, trait, hits in measured_hits(
        model, Embedded(held_out, vectors[: len(held_out)]), items, names=names, libraries=libraries
    ):
        own = hits.of(is_fitted)
        if reason := why_no_table(own):
            left_out[f"the table {question}/{trait.name}"] = reason
            continue
        table, constant = fit_table(question, trait.name, own), float(own.agrees.mean())
        whole = reliability(table, hits.of(~is_fitted), constant=constant)
        found = {
            name: reliability(table, hits.of(members), constant=constant)
            for name, members in groups.items()
        }
        found |= left_out_taxon(question, trait, hits, held_out, is_fitted)
        tables.append(
            Checked(table, trait.meaning, whole, {name: one for name, one in found.items() if one})
        )
    print_status(
        *(f"calibrate: {name} is left out: {reason}." for name, reason in left_out.items())
    )
    return tables, left_out


def training_records(dataset: ProtAnno, most: int) -> list[Record]:
    """Records that the model was trained on, evenly spaced over the training splits."""
    splits = [
        split.without_features()
        for name, split in sorted(dataset.splits.items())
        if name not in HELD_OUT
    ]
    places = [(split, row) for split in splits for row in range(len(split))]
    chosen = np.linspace(0, len(places) - 1, min(most, len(places))).astype(int)
    shown = progress(chosen.tolist(), description="reading training records", unit="records")
    return [places[place][0][places[place][1]] for place in shown]


def groups_of(
    dataset: ProtAnno, held_out: Sequence[Record], is_fitted: Bool[np.ndarray, " r"]
) -> dict[str, Bool[np.ndarray, " r"]]:
    """The checked records by their similarity to training, if the build recorded it."""
    nearness = by_nearness(dataset, [record.accession for record in held_out])
    return {group.name: group.members & ~is_fitted for group in nearness}


def left_out_taxon(
    question: str,
    trait: Trait,
    hits: Hits,
    held_out: Sequence[Record],
    is_fitted: Bool[np.ndarray, " r"],
) -> dict[str, Reliability]:
    """Checks the questions of the most common taxon with a table fitted without it.

    Empty if there is only one taxon.
    """
    taxa = np.array([record.taxon for record in held_out])
    known = Counter(taxa[(taxa > 0) & ~is_fitted].tolist())
    if len(known) < 2:
        return {}
    taxon = known.most_common(1)[0][0]
    others = hits.of(is_fitted & (taxa != taxon))
    table = fit_table(question, trait.name, others) if len(others.agrees) else None
    if table is None:
        return {}
    found = reliability(
        table, hits.of(~is_fitted & (taxa == taxon)), constant=float(others.agrees.mean())
    )
    return {f"taxon {taxon}, left out of the fit": found} if found else {}


def as_json(checked: Sequence[Checked]) -> dict:
    """The table and its check, by question and trait."""
    found = {}
    for one in checked:
        groups = {name: group._asdict() for name, group in one.groups.items()}
        found[f"{one.table.question}/{one.table.trait}"] = {
            "table": one.table._asdict(),
            "checked": one.whole and one.whole._asdict(),
            "groups": groups,
        }
    return found
