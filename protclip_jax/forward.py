"""One forward pass over a packed batch: the four objectives of ProtCLIP as mergeable means (paper section 3)."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from data_pipelines.batch import NUM_TEXT_SEGMENTS, Batch
from data_pipelines.protein_tokenizer import MASK
from protclip_jax.models.projection import unit_norm
from protclip_jax.models.protclip import ProtCLIPModel, residue_mask
from protclip_jax.objectives.feature_alignment import feature_alignment
from protclip_jax.objectives.global_contrastive import duplicate_pairs, global_contrastive
from protclip_jax.objectives.late_interaction import LATE_INTERACTION, late_interaction
from protclip_jax.objectives.masked_language_model import masked_cross_entropy
from protclip_jax.objectives.mean import Mean
from protclip_jax.objectives.segment_alignment import segment_alignment
from protclip_jax.objectives.segment_reconstruction import biotext_slot_ids, segment_reconstruction
from protclip_jax.property_vectors import property_vectors
from protclip_jax.sharding import shard_rows


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig:
    """What is optimised: L = gc·L_GC + bsr·L_BSR + mlm·L_MLM + pda·L_PDA + features·L_FT (paper: 1, 0.7, 0.3, 1, 0)."""

    gc: float = 1.0
    bsr: float = 0.7
    mlm: float = 0.3
    pda: float = 1.0
    features: float = 0.0
    mask_duplicates: bool = True
    theta: float = 0.3
    negatives: str = "within_record"
    pooling: str = "segment"
    """Of the candidates of late interaction, which alone reads it."""
    prototypes: bool = True
    prefix_tokens: tuple[int, ...] = ()
    masked_passes: str = "separate"

    @property
    def weights(self) -> dict[str, float]:
        """By name: the paper's four, and those of ours that are on."""
        of_paper = {"gc": self.gc, "bsr": self.bsr, "mlm": self.mlm, "pda": self.pda}
        return of_paper | ({"features": self.features} if self.features else {})


def gumbel_noise(seeds: Int[Array, "R S"], num_prototypes: int) -> Float[Array, "R S 4 M"]:
    """Gumbel noise of each record and property from the record's own seed, whatever row or slot it lies in."""

    def record_noise(seed):
        return jax.random.gumbel(jax.random.key(seed), (NUM_TEXT_SEGMENTS - 1, num_prototypes), jnp.float32)

    return jax.vmap(jax.vmap(record_noise))(seeds)


def pretraining_losses(
    model: ProtCLIPModel, params: dict, batch: Batch, objective: ObjectiveConfig, noise: Float[Array, "R S 4 M"]
) -> dict[str, Mean]:
    """The objectives of one packed global batch by name (`gc`, `bsr`, `mlm`, `pda`, …), each a (sum, count) over all of it.

    `noise` is added inside the prototype bank (zeros outside training). With separate masked passes (paper) MLM and
    BSR each run the protein tower on their own masked tokens; with a shared pass one run masks both (disjoint) sets.
    An objective of weight 0 is not computed and reports a count of 0.
    """

    def run(method, *args):
        return model.apply({"params": params}, *args, method=method)

    num_slots = batch.slot_mask.shape[1]
    slot_ids = batch.protein_slot_ids

    def encode(tokens):
        return shard_rows(run("encode_protein", tokens, slot_ids, batch.protein_positions, num_slots))

    text_hidden = shard_rows(run("encode_text", batch.text_tokens, batch.text_segment_ids, batch.text_positions))
    text_segments = run("project_text_segments", text_hidden, batch.text_segment_ids, num_slots)
    logit_scale, segment_logit_scale = run("scales")
    nothing = Mean(jnp.float32(0), jnp.float32(0))
    losses = dict.fromkeys(objective.weights, nothing)

    if objective.gc or objective.pda or objective.features:
        hidden = encode(batch.protein_tokens)

    if objective.gc:
        proteins = run("embed_proteins", hidden, slot_ids, num_slots).reshape(-1, text_segments.shape[-1])
        texts = unit_norm(text_segments[:, :, 0]).reshape(proteins.shape)
        exclude = None
        if objective.mask_duplicates:
            exclude = duplicate_pairs(batch.text_hashes[:, :, 0].reshape(-1), batch.sequence_hashes.reshape(-1))
        losses["gc"] = global_contrastive(
            shard_rows(proteins), texts, logit_scale=logit_scale, mask=batch.slot_mask.reshape(-1), exclude=exclude
        )

    if objective.pda or objective.features:
        residue_slots = jnp.where(residue_mask(batch.protein_tokens, slot_ids), slot_ids, 0)
        chosen = {"prototypes": objective.prototypes, "prefix_tokens": objective.prefix_tokens}
        t = property_vectors(run, batch, text_hidden, noise, **chosen)
        aligned = run("project_protein_tokens", hidden), residue_slots, t
        hashes = batch.text_hashes[:, :, 1:]
        options = {"present": hashes != 0, "property_hashes": hashes, "logit_scale": segment_logit_scale}
    if objective.pda and objective.negatives == LATE_INTERACTION:
        losses["pda"] = late_interaction(*aligned, **options, theta=objective.theta, pooling=objective.pooling)
    elif objective.pda:
        losses["pda"] = segment_alignment(*aligned, **options, theta=objective.theta, negatives=objective.negatives)
    if objective.features:
        losses["features"] = feature_alignment(*aligned, **options, residue_properties=batch.residue_properties)

    def masked(mask):
        return encode(jnp.where(mask, MASK, batch.protein_tokens))

    if objective.masked_passes == "shared":
        mlm_hidden = bsr_hidden = masked(batch.mlm_mask | batch.segment_mask)
    else:
        mlm_hidden = masked(batch.mlm_mask) if objective.mlm else None
        bsr_hidden = masked(batch.segment_mask) if objective.bsr else None

    if objective.mlm:
        losses["mlm"] = masked_cross_entropy(run("predict_masked", mlm_hidden), batch.protein_tokens, batch.mlm_mask)

    if objective.bsr:
        protein = run("project_protein_tokens", bsr_hidden)
        text, text_ids = run("project_text_tokens", text_hidden), biotext_slot_ids(batch.text_slot_ids, batch.text_property_ids)
        losses["bsr"] = segment_reconstruction(
            protein,
            run("attend_to_biotext", protein, slot_ids, text, text_ids),
            head=functools.partial(run, "predict_reconstruction"),
            targets=batch.protein_tokens,
            mask=batch.segment_mask,
        )
    return losses


def total_loss(losses: dict[str, Mean], objective: ObjectiveConfig) -> Float[Array, ""]:
    """L = Σ weight · (sum / count), every count taken over the global batch."""
    return sum(weight * losses[name].value() for name, weight in objective.weights.items() if weight)
