"""The whole network: protein tower, text tower, and the heads between them."""

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
"""SigLIP's: at first nearly every pair is told to be a negative, as nearly every pair is."""


@dataclasses.dataclass(frozen=True)
class ProtCLIPConfig:
    """Shape of the network (paper: ESM-2 650M, PubMedBERT, d = 512, 512 prototypes, τ = 0.9)."""

    protein: ESM2Config | None
    """None where a checkpoint holds no such tower; likewise `text`."""
    text: BertConfig | None
    projection_dim: int = 512
    num_prototypes: int = 512
    prototype_temperature: float = 0.9
    prototype_init: str = UNIT
    """A name in `heads.PROTOTYPE_INITS`; decides initial parameters only."""
    sigmoid: bool = False
    """Whether there are the scale and bias of the sigmoid contrast."""

    @property
    def shared(self) -> ESM2Config | BertConfig:
        """A tower's config, for what both towers and the heads have in common: compute dtype and
        attention."""
        return self.protein or self.text

    def with_remat(self, policy: str) -> Self:
        """The same network, with another of `layers.REMAT_POLICIES` in both towers."""
        towers = {
            name: dataclasses.replace(getattr(self, name), remat=policy)
            for name in ("protein", "text")
        }
        return dataclasses.replace(self, **towers)


class ProtCLIPModel(nn.Module):
    """Every network of ProtCLIP under one parameter tree; call its methods on
    `model.bind({"params": params})`.

    Parameter groups: `protein`, `text`, `protein_projection`, `text_projection`, `mlm_head`,
    `bsr_head`, `cross_attention`, `prototype_bank`, `logit_scale` (global), `segment_logit_scale`
    (PDA), and with `config.sigmoid` `sigmoid_scale` and `sigmoid_bias`. A method needs only the
    groups that it uses: a lone tower works without the others' parameters.

    `gather` makes the parameters of a layer of a tower, named by its path, whole where a device
    holds a part of them.
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
        """Unit-norm sequence embeddings: mean over a slot's tokens, `<cls>`/`<eos>` included,
        projected (float32)."""
        return unit_norm(self.protein_projection(pool_slots(hidden, slot_ids, num_slots)))

    def project_text_segments(
        self, hidden: Float[Array, "R L T"], segment_ids: Int[Array, "R L"], num_slots: int
    ) -> Float[Array, "R S 5 P"]:
        """Projected mean of every text segment, not normalised: index 0 the full biotext, 1…4
        the properties."""
        pooled = pool_slots(hidden, segment_ids, num_slots * NUM_TEXT_SEGMENTS)
        projected = self.text_projection(pooled)
        return projected.reshape(*projected.shape[:1], num_slots, NUM_TEXT_SEGMENTS, -1)

    def project_protein_tokens(self, hidden: Float[Array, "*N D"]) -> Float[Array, "*N P"]:
        """The projected protein tokens p_j, or means of tokens projected alike; not normalised."""
        return self.protein_projection(hidden)

    def project_text_tokens(self, hidden: Float[Array, "R L T"]) -> Float[Array, "R L P"]:
        """The projected text tokens that the cross-attention reads."""
        return self.text_projection(hidden)

    def prototypes(
        self, properties: Float[Array, "R S K P"], noise: Float[Array, "R S K M"] | None
    ) -> Float[Array, "R S K P"]:
        """Property embeddings expressed by the bank; Gumbel noise in training only."""
        return self.prototype_bank(properties, noise)

    def attend_to_biotext(
        self,
        protein: Float[Array, "R Lp P"],
        slot_ids: Int[Array, "R Lp"],
        text: Float[Array, "R Lt P"],
        biotext_slot_ids: Int[Array, "R Lt"],
    ) -> Float[Array, "R Lp P"]:
        """What each projected protein token reads in the biotext of its own slot."""
        return self.cross_attention(protein, slot_ids, text, biotext_slot_ids)

    def predict_reconstruction(self, fused: Float[Array, "R L P"]) -> Float[Array, "R L V"]:
        """BSR logits of p_j plus what it attended to."""
        return self.bsr_head(fused)

    def predict_masked(self, hidden: Float[Array, "R L D"]) -> Float[Array, "R L V"]:
        """MLM logits."""
        return self.mlm_head(hidden)

    def scales(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The learnt log scales of the global and of the segment contrast."""
        return self.logit_scale(), self.segment_logit_scale()

    def sigmoid_scale_and_bias(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The learnt log scale and bias of the sigmoid contrast."""
        return self.sigmoid_scale(), self.sigmoid_bias()

    def __call__(
        self, tokens: Int[Array, "R L"], slot_ids: Int[Array, "R L"], positions: Int[Array, "R L"]
    ):
        """Touches every parameter once, for initialisation: the same tokens stand for protein
        and text."""
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
    """Tokens that are residues: neither padding nor `<cls>`, `<pad>`, `<eos>` (ids 0, 1, 2)."""
    return (slot_ids > 0) & (tokens > 2)


def residue_slot_ids(tokens: Int[Array, "R L"], slot_ids: Int[Array, "R L"]) -> Int[Array, "R L"]:
    """Slot ids at residues; 0 at specials and padding."""
    return jnp.where(residue_mask(tokens, slot_ids), slot_ids, 0)
