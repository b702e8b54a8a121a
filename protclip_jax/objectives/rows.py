"""Packed rows as the objectives read them; each part of the forward pass runs once, on demand."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt

from data_pipelines.tokenizers.protein_tokenizer import MASK
from data_pipelines.training.batch import Batch
from protclip_jax.models.heads import unit_norm
from protclip_jax.models.property_vectors import property_embeddings, property_vectors
from protclip_jax.models.protclip import ProtCLIPModel, residue_slot_ids

UNMASKED, SHARED = "unmasked", "shared"
"""Protein tower passes: over unmasked residues, and over one mask shared by several objectives.
Other passes are named after their objective."""


class Rows:
    """The rows of a batch and their activations in the network.

    Args:
      model: bound to its parameters.
      config: the `ObjectiveConfig` of the run.
      objectives: the objectives that will read the rows, by name.
      noise: Gumbel noise of the prototype bank, [R, S, 4, M]; None if no property vectors are read.
    """

    def __init__(
        self,
        model: ProtCLIPModel,
        batch: Batch,
        config: Any,
        objectives: Mapping[str, Any],
        noise: Float[Array, "R S 4 M"] | None,
    ):
        self.model, self.batch, self.config = model, batch, config
        self._objectives, self._noise = objectives, noise

    def _passes(self) -> dict[str, Int[Array, "R L"]]:
        """The protein tokens of each pass that at least one objective reads."""
        tokens = {}
        passes = {name: self.config.passes[name] for name in self._objectives}
        # The order of the passes affects the last bits of the gradients. Keep it, so that resumed
        # runs continue exactly.
        for name, objective in reversed(self._objectives.items()):
            if passes[name] != UNMASKED:
                hidden = (
                    self._shared_mask() if passes[name] == SHARED else objective.mask(self.batch)
                )
                tokens[passes[name]] = jnp.where(hidden, MASK, self.batch.protein_tokens)
        if UNMASKED in passes.values():
            tokens[UNMASKED] = self.batch.protein_tokens
        return tokens

    def _shared_mask(self) -> Bool[Array, "R L"]:
        """The residues masked in the shared pass: all masks drawn, whichever objectives are on.

        The gradient of one objective alone is then a summand of the run's gradient.
        """
        drawn = self.batch.mlm_mask | self.batch.segment_mask
        masked = [objective for objective in self._objectives.values() if objective.masked]
        masks = [objective.mask(self.batch) for objective in masked]
        return functools.reduce(jnp.logical_or, masks, drawn)

    @functools.cached_property
    def _protein_hidden(self) -> dict[str, Float[Array, "R L D"]]:
        """Runs the protein tower once over all passes, so each layer's weights are read once."""
        batch, passes = self.batch, self._passes()
        slot_ids = jnp.concatenate([batch.protein_slot_ids] * len(passes))
        positions = jnp.concatenate([batch.protein_positions] * len(passes))
        tokens = jnp.concatenate(list(passes.values()))
        hidden = self.model.encode_protein(tokens, slot_ids, positions, self.num_slots)
        return dict(zip(passes, jnp.split(hidden, len(passes)), strict=True))

    def masked_hidden(self, name: str) -> Float[Array, "R L D"]:
        """Protein token representations in the pass of a masked objective."""
        return self._protein_hidden[self.config.passes[name]]

    @property
    def protein_hidden(self) -> Float[Array, "R L D"]:
        """Protein token representations for contrasts: unmasked, except with a single pass."""
        return self._protein_hidden[self.config.contrast_pass]

    @functools.cached_property
    def text_hidden(self) -> Float[Array, "R L T"]:
        """Text token representations."""
        batch = self.batch
        return self.model.encode_text(
            batch.text_tokens, batch.text_segment_ids, batch.text_positions
        )

    @functools.cached_property
    def protein_embedding(self) -> Float[Array, "R S P"]:
        """Unit-norm protein embedding of each record."""
        return self.model.embed_proteins(
            self.protein_hidden, self.batch.protein_slot_ids, self.num_slots
        )

    @functools.cached_property
    def text_embedding(self) -> Float[Array, "R S P"]:
        """Unit-norm embedding of each record's full biotext."""
        ids = self.batch.text_segment_ids
        segments = self.model.project_text_segments(self.text_hidden, ids, self.num_slots)
        return unit_norm(segments[:, :, 0])

    @functools.cached_property
    def residues(self) -> Float[Array, "R L P"]:
        """The projected protein tokens p_j, not normalised; see `residue_slot_ids`."""
        return self.model.project_protein_tokens(self.protein_hidden)

    @functools.cached_property
    def residue_slot_ids(self) -> Int[Array, "R L"]:
        """1…S at residues; 0 at special tokens and padding."""
        return residue_slot_ids(self.batch.protein_tokens, self.batch.protein_slot_ids)

    def _run(self, method: Callable, *arguments: Any) -> Float[Array, "..."]:
        return method(self.model, *arguments)

    @functools.cached_property
    def _property_embeddings(self) -> Float[Array, "R S 4 P"]:
        prefixes = self.config.prefix_tokens
        return property_embeddings(self._run, self.batch, self.text_hidden, prefix_tokens=prefixes)

    def _property_vectors(self, embedded: Float[Array, "R S 4 P"]) -> Float[Array, "R S 4 P"]:
        prototypes = self.config.prototypes
        return property_vectors(self._run, embedded, self._noise, prototypes=prototypes)

    @functools.cached_property
    def properties(self) -> Float[Array, "R S 4 P"]:
        """The vector t_k of each property, not normalised."""
        return self._property_vectors(self._property_embeddings)

    @functools.cached_property
    def properties_of_fixed_texts(self) -> Float[Array, "R S 4 P"]:
        """Property vectors without gradient to the texts; the prototype bank still learns."""
        return self._property_vectors(jax.lax.stop_gradient(self._property_embeddings))

    @functools.cached_property
    def properties_present(self) -> Bool[Array, "R S 4"]:
        """Which properties each record has; all False for a record without residues."""
        slots = jnp.arange(1, self.num_slots + 1)
        has_residues = jnp.any(self.residue_slot_ids[:, :, None] == slots, axis=1)
        return (self.property_hashes != 0) & has_residues[:, :, None]

    @property
    def property_hashes(self) -> UInt[Array, "R S 4"]:
        """Hash of each property's text; 0 if the record lacks the property."""
        return self.batch.text_hashes[:, :, 1:]

    @property
    def num_slots(self) -> int:
        return self.batch.slot_mask.shape[1]

    @property
    def logit_scale(self) -> Float[Array, ""]:
        """The log scale of the global contrast."""
        return self.model.scales()[0]

    @property
    def sigmoid_scale_and_bias(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The log scale and the bias of the sigmoid contrast."""
        return self.model.sigmoid_scale_and_bias()

    @property
    def segment_logit_scale(self) -> Float[Array, ""]:
        """The log scale of the segment contrast."""
        return self.model.scales()[1]
