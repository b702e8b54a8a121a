"""One forward pass over packed rows, and ProtCLIP's four objectives from it as mergeable means (paper section 3).

Two kinds of objective follow from it. The contrasts (GC, PDA) need every record of the global batch, but of each record only
its embeddings (`RecordEmbeddings`). All others (MLM, BSR; late interaction and features, which are ours) need tokens, but only
those of their own row. So rows can be computed on many devices, or in one micro-batch after the other: only embeddings meet.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from data_pipelines.tokenizers.protein_tokenizer import MASK
from data_pipelines.training.batch import NUM_TEXT_SEGMENTS, Batch
from protclip_jax.models.heads import unit_norm
from protclip_jax.models.property_vectors import property_vectors
from protclip_jax.models.protclip import ProtCLIPModel, residue_slot_ids
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.objectives.feature_alignment import feature_alignment
from protclip_jax.objectives.global_contrastive import Pairs, global_contrastive
from protclip_jax.objectives.late_interaction import LATE_INTERACTION, late_interaction
from protclip_jax.objectives.masked_language_model import masked_cross_entropy
from protclip_jax.objectives.mean import Mean
from protclip_jax.objectives.segment_alignment import Properties, dynamic_segments, segment_alignment
from protclip_jax.objectives.segment_reconstruction import biotext_slot_ids, segment_reconstruction


class RecordEmbeddings(NamedTuple):
    """What the contrasts need of each record; None where no objective of weight above 0 reads it."""

    protein: Float[Array, "R S P"] | None
    """Unit norm."""
    text: Float[Array, "R S P"] | None
    """Of the full biotext, unit norm."""
    segments: Float[Array, "R S K P"] | None
    """The dynamic segment of each property, not normalised."""
    prototypes: Float[Array, "R S K P"] | None
    """What stands for each property: its prototype (paper), or another choice of `property_vectors`; not normalised."""


def gumbel_noise(seeds: Int[Array, "R S"], num_prototypes: int) -> Float[Array, "R S 4 M"]:
    """Gumbel noise of each record and property from the record's own seed, whatever row or slot it lies in."""

    def record_noise(seed):
        return jax.random.gumbel(jax.random.key(seed), (NUM_TEXT_SEGMENTS - 1, num_prototypes), jnp.float32)

    return jax.vmap(jax.vmap(record_noise))(seeds)


def embed_records(
    model: ProtCLIPModel, params: dict, batch: Batch, objective: ObjectiveConfig, noise: Float[Array, "R S 4 M"]
) -> tuple[RecordEmbeddings, dict[str, Float[Array, ""]]]:
    """The embeddings, and the count of each loss, as `forward_pass` gives them, without the masked passes."""
    (hidden,) = _encode_proteins(model, params, batch, [batch.protein_tokens])
    embeddings, losses = _read_proteins(model, params, batch, objective, noise, hidden, _encode_texts(model, params, batch))
    counts = {name: loss.count for name, loss in losses.items()}
    for name, mask in (("mlm", batch.mlm_mask), ("bsr", batch.segment_mask)):
        if objective.weights[name]:
            counts[name] = jnp.sum(mask, dtype=jnp.float32)
    return embeddings, counts


def forward_pass(
    model: ProtCLIPModel, params: dict, batch: Batch, objective: ObjectiveConfig, noise: Float[Array, "R S 4 M"]
) -> tuple[RecordEmbeddings, dict[str, Mean]]:
    """Each record's embeddings, and the losses that stay within a row, each a (sum, count) over these rows.

    `noise` is added inside the prototype bank (zeros outside training). With separate masked passes (paper) MLM and
    BSR each run the protein tower on their own masked tokens; with a shared pass one run masks both (disjoint) sets.
    An objective of weight 0 is not computed.
    """
    shared = objective.masked_passes == "shared"
    masks = {"mlm": batch.mlm_mask, "bsr": batch.segment_mask}
    variants = {name: jnp.where(mask, MASK, batch.protein_tokens) for name, mask in masks.items() if objective.weights[name]}
    if shared and variants:
        variants = {"both": jnp.where(batch.mlm_mask | batch.segment_mask, MASK, batch.protein_tokens)}
    if objective.gc or objective.pda or objective.features:
        variants["clean"] = batch.protein_tokens
    hidden = dict(zip(variants, _encode_proteins(model, params, batch, list(variants.values())), strict=True))
    text_hidden = _encode_texts(model, params, batch)
    embeddings, losses = _read_proteins(model, params, batch, objective, noise, hidden.get("clean"), text_hidden)

    run = functools.partial(_run, model, params)
    if objective.mlm:
        logits = run("predict_masked", hidden["both" if shared else "mlm"])
        losses["mlm"] = masked_cross_entropy(logits, batch.protein_tokens, batch.mlm_mask)
    if objective.bsr:
        protein = run("project_protein_tokens", hidden["both" if shared else "bsr"])
        text, text_ids = run("project_text_tokens", text_hidden), biotext_slot_ids(batch.text_slot_ids, batch.text_property_ids)
        losses["bsr"] = segment_reconstruction(
            protein,
            run("attend_to_biotext", protein, batch.protein_slot_ids, text, text_ids),
            head=functools.partial(run, "predict_reconstruction"),
            targets=batch.protein_tokens,
            mask=batch.segment_mask,
        )
    return embeddings, losses


def _run(model: ProtCLIPModel, params: dict, method: str, *args):
    return model.apply({"params": params}, *args, method=method)


def _encode_proteins(model: ProtCLIPModel, params: dict, batch: Batch, variants: list) -> list[Float[Array, "R L D"]]:
    """The protein tower over several maskings of the same rows, as one run: each layer's weights are fetched once."""
    slots, count = batch.slot_mask.shape[1], len(variants)
    if not variants:
        return []
    slot_ids, positions = (jnp.concatenate([x] * count) for x in (batch.protein_slot_ids, batch.protein_positions))
    tokens = jnp.concatenate(variants)
    return jnp.split(_run(model, params, "encode_protein", tokens, slot_ids, positions, slots), count)


def _encode_texts(model: ProtCLIPModel, params: dict, batch: Batch) -> Float[Array, "R L T"]:
    return _run(model, params, "encode_text", batch.text_tokens, batch.text_segment_ids, batch.text_positions)


def _read_proteins(model, params, batch, objective, noise, hidden, text_hidden) -> tuple[RecordEmbeddings, dict[str, Mean]]:
    """From the proteins without a mask: the embeddings, and the losses that compare residues with the texts of their row."""
    run, num_slots, losses = functools.partial(_run, model, params), batch.slot_mask.shape[1], {}
    protein = text = segments = prototypes = None
    if objective.gc:
        protein = run("embed_proteins", hidden, batch.protein_slot_ids, num_slots)
        text = unit_norm(run("project_text_segments", text_hidden, batch.text_segment_ids, num_slots)[:, :, 0])
    if objective.pda or objective.features:
        chosen = {"prototypes": objective.prototypes, "prefix_tokens": objective.prefix_tokens}
        t = property_vectors(run, batch, text_hidden, noise, **chosen)
        residue_slots = residue_slot_ids(batch.protein_tokens, batch.protein_slot_ids)
        aligned, present = (run("project_protein_tokens", hidden), residue_slots, t), segment_exists(batch)
        of_texts = {"property_hashes": batch.text_hashes[:, :, 1:], "logit_scale": run("scales")[1]}
    if objective.pda and objective.negatives == LATE_INTERACTION:
        options = {"theta": objective.theta, "pooling": objective.pooling}
        losses["pda"] = late_interaction(*aligned, present=present, **of_texts, **options)
    elif objective.pda:
        segments, prototypes = dynamic_segments(*aligned, present=present, theta=objective.theta), t
    if objective.features:
        marked = batch.residue_properties
        losses["features"] = feature_alignment(*aligned, present=present, **of_texts, residue_properties=marked)
    return RecordEmbeddings(protein, text, segments, prototypes), losses


def contrast(
    model: ProtCLIPModel,
    params: dict,
    embeddings: RecordEmbeddings,
    batch: Batch,
    objective: ObjectiveConfig,
    axes: tuple[str, ...] = (),
) -> dict[str, Mean]:
    """The contrasts `gc` and `pda` of these records against those of the global batch, each a (sum, count) over these.

    `axes` are the mesh axes that divide the global batch, inside `jax.shard_map`. Of the other devices' records only
    embeddings and hashes are fetched; gradients flow to all of them.
    """
    logit_scale, segment_logit_scale = _run(model, params, "scales")
    slots = batch.slot_mask.size
    first = jax.lax.axis_index(axes) * slots if axes else 0

    def of_slots(tree):
        return jax.tree.map(lambda x: x.reshape(slots, *x.shape[2:]), tree)

    def global_(local):
        return jax.tree.map(lambda x: jax.lax.all_gather(x, axes, tiled=True), local) if axes else local

    losses = {}
    if objective.gc:
        pairs = Pairs(embeddings.protein, embeddings.text, batch.slot_mask, batch.sequence_hashes, batch.text_hashes[:, :, 0])
        local = of_slots(pairs)
        losses["gc"] = global_contrastive(
            local,
            global_(local),
            first=first,
            logit_scale=logit_scale,
            mask_duplicates=objective.mask_duplicates,
            chunk=objective.contrast_chunk,
        )
    if embeddings.segments is not None:
        hashes = batch.text_hashes[:, :, 1:]
        local = of_slots(Properties(embeddings.segments, embeddings.prototypes, segment_exists(batch), hashes))
        losses["pda"] = segment_alignment(
            local,
            global_(local) if objective.negatives != "within_record" else local,
            logit_scale=segment_logit_scale,
            negatives=objective.negatives,
            chunk=objective.contrast_chunk,
        )
    return losses


def segment_exists(batch: Batch) -> Bool[Array, "R S 4"]:
    """Which properties of which slots have a dynamic segment: those present, in records with residues."""
    slots = jnp.arange(1, batch.slot_mask.shape[1] + 1)
    has_residues = jnp.any(residue_slot_ids(batch.protein_tokens, batch.protein_slot_ids)[:, :, None] == slots, axis=1)
    return (batch.text_hashes[:, :, 1:] != 0) & has_residues[:, :, None]


def total_loss(losses: dict[str, Mean], counts: dict[str, Float[Array, ""]], objective: ObjectiveConfig) -> Float[Array, ""]:
    """Σ weight · sum / count of some records' losses, by the counts of the global batch; 0 where nothing counts.

    Added up over all records it is the paper's L = L_GC + 0.7·L_BSR + 0.3·L_MLM + L_PDA.
    """
    parts = [objective.weights[name] * Mean(loss.sum, counts[name]).value() for name, loss in losses.items()]
    return sum(parts, start=jnp.float32(0))
