"""Compares the weights of a protein's properties with those for other texts."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from data_pipelines.protanno.dataset_info import STATISTICS
from protclip_jax.config.schema import completed
from protclip_jax.explain.other_texts import Texts, others_of, read_texts
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.inference.segment_contrast import FEWEST_OTHERS, Contrast

NO_OTHERS = (
    "The weights are not compared with those for other texts, because there is no source of such "
    "texts; pass an index, a built dataset or a file of labels as --other_texts."
)


class OtherTexts(NamedTuple):
    """The texts of other records, and the path they are read from."""

    source: Path
    texts: Texts


class Comparison(NamedTuple):
    """Contrasts by property, where there are enough other texts, and where these come from.

    Attributes:
      origin: a sentence on the source of the other texts, or on why there is no contrast.
    """

    contrasts: dict[str, Contrast]
    origin: str


def own_dataset(config: Mapping) -> Path | None:
    """The dataset that a checkpoint was trained on, if it is still where training read it."""
    folder = completed(config)["data"]["dir"]
    return Path(folder) if folder and (Path(folder) / STATISTICS).is_file() else None


def read_other_texts(source: Path | None, config: Mapping) -> OtherTexts | None:
    """Reads other texts from `source`, by default the `own_dataset` of a checkpoint's config.

    Returns:
      None without `source` if the dataset is not where training read it.

    Raises:
      UserError: the source cannot be read.
    """
    source = source or own_dataset(config)
    return OtherTexts(source, read_texts(source)) if source else None


def compare(
    model: ProtCLIP,
    sequence: str,
    texts: Mapping[str, str],
    *,
    other_texts: OtherTexts | None,
    count: int,
) -> Comparison:
    """Compares each text with up to `count` others of the same property."""
    if not count:
        return Comparison({}, "")
    if other_texts is None:
        return Comparison({}, NO_OTHERS)
    others = others_of(texts, other_texts.texts, count)
    enough = {name: text for name, text in texts.items() if len(others[name]) >= FEWEST_OTHERS}
    found = model.segment_contrasts(sequence, enough, others) if enough else {}
    return Comparison(found, _origin(other_texts.source, others, enough))


def _origin(source: Path, others: Mapping[str, list], enough: Mapping) -> str:
    used = [f"{len(others[name])} for {name}" for name in enough]
    lines = [f"Other texts: {', '.join(used)}, from {source}."] if used else []
    lines += [
        f"The weights for {name} are not compared: {source} has only {len(some)} other texts of "
        f"it, but a band needs {FEWEST_OTHERS}."
        for name, some in others.items()
        if name not in enough
    ]
    return " ".join(lines)
