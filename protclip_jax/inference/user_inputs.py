"""Cleans and checks user input, proteins and texts, with warnings that count anomalies."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.plausibility import doubt
from data_pipelines.inputs.protein_input import clean_protein
from data_pipelines.protanno.record import PROPERTIES
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.inference.as_list import as_list
from protclip_jax.inference.windows import Windows

UNKNOWN_WORDS = "words of the texts that are not in the vocabulary"
"""The beginning of the warning about unknown words."""


def clean_proteins(sequences: Sequence[str], windows: Windows | None = None) -> list[str]:
    """Cleans sequences for the tower; warns about changes and about proteins beyond a window.

    Warnings point to the line that called the method.

    Raises:
      UserError: a sequence is not a protein.
    """
    cleaned, changes, doubted = [], Counter(), Counter()
    for index, sequence in enumerate(as_list(sequences, "sequences")):
        try:
            protein = clean_protein(sequence)
        except ValueError as error:
            raise UserError(f"sequence {index} is not a protein: {error}") from error
        cleaned.append(protein.sequence)
        changes.update(protein.changes)
        doubted.update(filter(None, [doubt(protein.sequence)]))
    if changes:
        counted = ", ".join(f"{count} {change}" for change, count in changes.items())
        warnings.warn(f"sequences were cleaned before embedding: {counted}.", stacklevel=3)
    for what, count in doubted.items():
        warnings.warn(
            f"{count} of {len(cleaned)} sequences look like {what}, not like proteins.",
            stacklevel=3,
        )
    if windows is not None and (
        long := sum(windows.is_long(len(sequence)) for sequence in cleaned)
    ):
        warnings.warn(
            f"{long} of {len(cleaned)} proteins have more than {windows.max_residues} "
            f"residues; policy: {windows.policy}.",
            stacklevel=3,
        )
    return cleaned


def checked_texts(texts: Sequence[str], tokenizer: TextTokenizer) -> list[str]:
    """Returns the texts; warns about words that are not in the vocabulary.

    Raises:
      UserError: a text is empty.
    """
    texts = as_list(texts, "texts")
    if empty := [index for index, text in enumerate(texts) if not text.strip()]:
        raise UserError(f"text {empty[0]} is empty; remove it, or give a text.")
    if unknown := sum(map(len, map(tokenizer.unknown_words, texts))):
        warnings.warn(f"{UNKNOWN_WORDS}: {unknown}.", stacklevel=4)
    return texts


def check_properties(properties: Mapping[str, str]) -> None:
    """Raises UserError unless there are non-empty texts for known properties only."""
    if not properties:
        raise UserError(f"no properties given; give a text for one of {', '.join(PROPERTIES)}.")
    for name, text in properties.items():
        if name not in PROPERTIES or not text:
            raise UserError(
                f"property '{name}' must be one of {', '.join(PROPERTIES)}, with a text that is "
                "not empty."
            )
