"""Computes the vectors behind PDA weights: those of a protein's residues and of property texts."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from data_pipelines.protanno.record import PROPERTIES
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from data_pipelines.training.examples import Example, properties_example, protein_example
from protclip_jax.config.schema import completed
from protclip_jax.inference import programs
from protclip_jax.inference.batched_calls import Place

Run = Callable[[Callable, Sequence[Example]], Iterator[tuple[Place, np.ndarray]]]
"""Runs a program of a model on examples, as `ProtCLIP` does."""


def property_options(config: Mapping, tokenizer: TextTokenizer) -> dict:
    """The options of the training config for reading the texts of properties."""
    options = completed(config)["pda"]
    prefix_tokens = tokenizer.prefix_tokens if options["mask_prefix"] else ()
    return {"prototypes": options["prototypes"], "prefix_tokens": prefix_tokens}


def residue_vectors(run: Run, sequence: str) -> Float[np.ndarray, "L d"]:
    """The projected residues of a clean protein, not normalised, float64."""
    ((place, vectors),) = run(programs.residue_vectors, [protein_example(sequence)])
    return vectors[place.row, place.tokens][1:-1].astype(np.float64)


def text_vectors(
    run: Run, name: str, texts: Sequence[str], *, config: Mapping, tokenizer: TextTokenizer
) -> Float[np.ndarray, "m d"]:
    """The vector of each text of the property `name`, each text read alone, float64."""
    read = {
        "text_tokenizer": tokenizer,
        "max_text_tokens": config["tokenizer"]["max_text_tokens"],
    }
    examples = [properties_example({name: text}, **read) for text in texts]
    call = functools.partial(programs.text_vectors, **property_options(config, tokenizer))
    found = {
        place.index: values[place.row, place.slot, PROPERTIES.index(name)]
        for place, values in run(call, examples)
    }
    return np.stack([found[index] for index in range(len(texts))]).astype(np.float64)
