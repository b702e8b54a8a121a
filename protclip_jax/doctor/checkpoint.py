"""Finds out what a checkpoint can do from its parameters and the files beside them."""

from collections.abc import Iterator
from pathlib import Path

from protclip_jax.checkpoints import best, metadata
from protclip_jax.checkpoints.own_report import own_report
from protclip_jax.checkpoints.parameters import stored_groups
from protclip_jax.convert.hub_folder import open_checkpoint
from protclip_jax.doctor.machine import Line
from protclip_jax.retrieval.calibration import FILE, read_calibration, recorded_step, stale_sentence

NEEDS = {
    "embed proteins": {"protein"},
    "search with a protein": {"protein", "protein_projection"},
    "search with a text, describe a protein": {
        "protein",
        "protein_projection",
        "text",
        "text_projection",
    },
    "explain residues": {
        "protein",
        "protein_projection",
        "text",
        "text_projection",
        "prototype_bank",
    },
    "score variants": {"protein", "mlm_head"},
}
"""Maps each ability to the parameter groups that it needs."""


def calibrated(path: Path, step: int) -> str:
    """Lists the calibration tables of a checkpoint, or says why they are not used.

    Raises:
      UserError: the calibration file is damaged.
    """
    calibration = read_calibration(path)
    if calibration is None:
        return "no: hits have no confidence; run `python -m eval --calibrate`"
    if recorded_step(path) not in (None, step):
        return f"no: {stale_sentence(path)}"
    tables = sorted(f"{table.question}/{table.trait}" for table in calibration.tables)
    return ", ".join(tables)


def abilities(directory: str, step: str | None) -> Iterator[Line]:
    """Yields which of `NEEDS` a checkpoint meets, its text limit, calibration and evaluation.

    Raises:
      UserError: the folder is not a checkpoint, or has no such step.
    """
    folder = Path(open_checkpoint(directory, step))
    number = best.resolve_step(folder, step)
    groups = stored_groups(folder, number)
    yield "step", f"{number:,}"
    for name, needed in NEEDS.items():
        missing = sorted(needed - groups)
        yield name, f"no: {', '.join(missing)} missing" if missing else "yes"
    if "text" in groups:
        limit = metadata.read_model_config(folder)["tokenizer"]["max_text_tokens"]
        yield "longest text", f"{limit} tokens"
    yield "calibrated", calibrated(folder / FILE, number)
    report = own_report(folder, step=number)
    yield "evaluated", "yes" if report else "no: this step has no report; run `python -m eval`"
