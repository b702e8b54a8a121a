"""The complete network: protein tower, text tower, and heads."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Self

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.training.batch import NUM_TEXT_SEGMENTS
from protclip_jax.attention.registry import for_cross_attention
from protclip_jax.models.bert import Bert, BertConfig
from protclip_jax.models.cross_attention import BiotextCrossAttention
from protclip_jax.models.esm2 import ESM2, ESM2Config
from protclip_jax.models.heads import (
    UNIT,
    Projection,
    PrototypeBank,
    TokenHead,
    pool_slots,
    unit_norm,
)
from protclip_jax.models.logit_scale import LogitBias, LogitScale

LOGIT_SCALE_INIT = math.log(1 / 0.07)
SEGMENT_LOGIT_SCALE_INIT = math.log(1 / 0.1)
SIGMOID_SCALE_INIT, SIGMOID_BIAS_INIT = math.log(10), -10.0
"""SigLIP's values: initially almost every pair is classified as a negative, as most pairs are."""


@dataclasses.dataclass(frozen=True)
class ProtCLIPConfig:
    """Shape of the network (paper: ESM-2 650M, PubMedBERT, d = 512, 512 prototypes, τ = 0.9).

    Example:
      >>> from protclip_jax.models.bert import BertConfig
      >>> from protclip_jax.models.esm2 import esm2_config
      >>> from protclip_jax.models.protclip import ProtCLIPConfig
      >>> text = BertConfig(
      ...     num_layers=2, hidden_size=128, num_heads=2, intermediate_size=512, vocab_size=30522
      ... )
      >>> config = ProtCLIPConfig(esm2_config("8m"), text)
      >>> config.with_remat("full").protein.remat
      'full'
    """

    protein: ESM2Config | None
    """None if a checkpoint has no protein tower; likewise `text`."""
    text: BertConfig | None
    projection_dim: int = 512
    num_prototypes: int = 512
    prototype_temperature: float = 0.9
    prototype_init: str = UNIT
    """A name in `heads.PROTOTYPE_INITS`; only affects initial parameters."""
    sigmoid: bool = False
    """Whether the model has the scale and bias of the sigmoid contrast."""

    @property
    def shared(self) -> ESM2Config | BertConfig:
        """Config of one tower, for settings that all parts share: compute dtype and attention."""
        return self.protein or self.text

    def with_remat(self, policy: str) -> Self:
        """Returns the config with another remat policy (`layers.REMAT_POLICIES`) in both towers."""
        towers = {
            name: dataclasses.replace(getattr(self, name), remat=policy)
            for name in ("protein", "text")
        }
        return dataclasses.replace(self, **towers)


class ProtCLIPModel(nn.Module):
    """All networks of ProtCLIP in one parameter tree.

    Call its methods on `model.bind({"params": params})`.

    Parameter groups: `protein`, `text`, `protein_projection`, `text_projection`, `mlm_head`,
    `bsr_head`, `cross_attention`, `prototype_bank`, `logit_scale` (global), `segment_logit_scale`
    (PDA), and with `config.sigmoid` also `sigmoid_scale` and `sigmoid_bias`. A method needs only
    the groups that it uses, so a single tower works without the other parameters.

    `gather` maps the shard of a tower layer's parameters, named by its path, to full parameters.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from protclip_jax.models.bert import BertConfig
      >>> from protclip_jax.models.esm2 import ESM2Config
      >>> from protclip_jax.models.initialize import init_params
      >>> from protclip_jax.models.protclip import ProtCLIPConfig, ProtCLIPModel
      >>> shape = dict(num_layers=1, hidden_size=8, num_heads=2, intermediate_size=16)
      >>> towers = ESM2Config(**shape), BertConfig(**shape, vocab_size=30)
      >>> model = ProtCLIPModel(ProtCLIPConfig(*towers, projection_dim=8, num_prototypes=4))
      >>> bound = model.bind({"params": init_params(model, jax.random.key(0))})
      >>> tokens, slot_ids = jnp.array([[0, 5, 2, 0, 6, 2]]), jnp.array([[1, 1, 1, 2, 2, 2]])
      >>> hidden = bound.encode_protein(tokens, slot_ids, jnp.array([[0, 1, 2, 0, 1, 2]]), 2)
      >>> bound.embed_proteins(hidden, slot_ids, 2).shape  # [rows, slots, projection_dim]
      (1, 2, 8)
    """

    config: ProtCLIPConfig
    gather: Callable[[str, Mapping], Mapping] | None = None

    def setup(self):
        config = self.config
        dim, dtype, attention = config.projection_dim, config.shared.dtype, config.shared.attention
        vocab_size = len(protein_tokenizer.VOCABULARY)

        def gather(tower):
            return self.gather and functools.partial(self.gather, f"{tower}/layers")

        self.protein = ESM2(config.protein, gather("protein"))
        self.text = Bert(config.text, gather("text"))
        self.protein_projection = Projection(dim, dtype=dtype)
        self.text_projection = Projection(dim, dtype=dtype)
        self.mlm_head = TokenHead(hidden_size=dim, vocab_size=vocab_size, dtype=dtype)
        self.bsr_head = TokenHead(hidden_size=dim, vocab_size=vocab_size, dtype=dtype)
        self.cross_attention = BiotextCrossAttention(
            dim, dtype=dtype, attention=for_cross_attention(attention)
        )
        self.prototype_bank = PrototypeBank(
            config.num_prototypes,
            dim,
            temperature=config.prototype_temperature,
            initial=config.prototype_init,
        )
        self.logit_scale = LogitScale(LOGIT_SCALE_INIT)
        self.segment_logit_scale = LogitScale(SEGMENT_LOGIT_SCALE_INIT)
        self.sigmoid_scale = LogitScale(SIGMOID_SCALE_INIT)
        self.sigmoid_bias = LogitBias(SIGMOID_BIAS_INIT)

    def encode_protein(
        self,
        tokens: Int[Array, "R L"],
        slot_ids: Int[Array, "R L"],
        positions: Int[Array, "R L"],
        num_slots: int,
    ) -> Float[Array, "R L D"]:
        """Token representations of the protein tower."""
        return self.protein(tokens, slot_ids, positions, num_slots)

    def encode_text(
        self,
        tokens: Int[Array, "R L"],
        segment_ids: Int[Array, "R L"],
        positions: Int[Array, "R L"],
    ) -> Float[Array, "R L T"]:
        """Token representations of the text tower."""
        return self.text(tokens, segment_ids, positions)

    def embed_proteins(
        self, hidden: Float[Array, "R L D"], slot_ids: Int[Array, "R L"], num_slots: int
    ) -> Float[Array, "R S P"]:
        """Unit-norm protein embeddings: projected mean over all tokens of a slot (float32).

        The mean includes `<cls>` and `<eos>`.
        """
        return unit_norm(self.protein_projection(pool_slots(hidden, slot_ids, num_slots)))

    def project_text_segments(
        self, hidden: Float[Array, "R L T"], segment_ids: Int[Array, "R L"], num_slots: int
    ) -> Float[Array, "R S 5 P"]:
        """Projected mean of each text segment, not normalised: 0 full biotext, 1…4 properties."""
        pooled = pool_slots(hidden, segment_ids, num_slots * NUM_TEXT_SEGMENTS)
        projected = self.text_projection(pooled)
        return projected.reshape(*projected.shape[:1], num_slots, NUM_TEXT_SEGMENTS, -1)

    def project_protein_tokens(self, hidden: Float[Array, "*N D"]) -> Float[Array, "*N P"]:
        """Projected protein tokens p_j, not normalised; also projects means of tokens."""
        return self.protein_projection(hidden)

    def project_text_tokens(self, hidden: Float[Array, "R L T"]) -> Float[Array, "R L P"]:
        """Projected text tokens, which the cross-attention reads."""
        return self.text_projection(hidden)

    def prototypes(
        self, properties: Float[Array, "R S K P"], noise: Float[Array, "R S K M"] | None
    ) -> Float[Array, "R S K P"]:
        """Property embeddings re-expressed by the bank; Gumbel noise in training only."""
        return self.prototype_bank(properties, noise)

    def attend_to_biotext(
        self,
        protein: Float[Array, "R Lp P"],
        slot_ids: Int[Array, "R Lp"],
        text: Float[Array, "R Lt P"],
        biotext_slot_ids: Int[Array, "R Lt"],
    ) -> Float[Array, "R Lp P"]:
        """Attends from projected protein tokens to the biotext of the same slot."""
        return self.cross_attention(protein, slot_ids, text, biotext_slot_ids)

    def predict_reconstruction(self, fused: Float[Array, "R L P"]) -> Float[Array, "R L V"]:
        """BSR logits from p_j plus the attention output."""
        return self.bsr_head(fused)

    def predict_masked(self, hidden: Float[Array, "R L D"]) -> Float[Array, "R L V"]:
        """MLM logits."""
        return self.mlm_head(hidden)

    def scales(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Learnt log scales of the global and the segment contrast."""
        return self.logit_scale(), self.segment_logit_scale()

    def sigmoid_scale_and_bias(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Learnt log scale and bias of the sigmoid contrast."""
        return self.sigmoid_scale(), self.sigmoid_bias()

    def __call__(
        self, tokens: Int[Array, "R L"], slot_ids: Int[Array, "R L"], positions: Int[Array, "R L"]
    ):
        """Uses every parameter once, for initialisation; the tokens serve as protein and text."""
        protein = self.encode_protein(tokens, slot_ids, positions, 1)
        text = self.encode_text(tokens, slot_ids, positions)
        p, t = self.project_protein_tokens(protein), self.project_text_tokens(text)
        prototypes = self.prototypes(t[:, None, :1], None)
        fused = p + self.attend_to_biotext(p, slot_ids, t, slot_ids)
        sigmoid = self.sigmoid_scale_and_bias() if self.config.sigmoid else None
        return (
            self.predict_reconstruction(fused),
            self.predict_masked(protein),
            prototypes,
            self.scales(),
            sigmoid,
        )


def residue_mask(tokens: Int[Array, "R L"], slot_ids: Int[Array, "R L"]) -> Bool[Array, "R L"]:
    """Marks residues: tokens other than padding, `<cls>`, `<pad>` and `<eos>` (ids 0, 1, 2)."""
    return (slot_ids > 0) & (tokens > 2)


def residue_slot_ids(tokens: Int[Array, "R L"], slot_ids: Int[Array, "R L"]) -> Int[Array, "R L"]:
    """Slot ids at residues; 0 at special tokens and padding."""
    return jnp.where(residue_mask(tokens, slot_ids), slot_ids, 0)
