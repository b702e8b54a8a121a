"""`ProtCLIP`: a trained model as an object that embeds, compares, explains and reconstructs.

Inputs of any length are packed into rows of a few fixed shapes, so that few programs are compiled, and every record gets
the numbers it would get alone.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from data_pipelines import protein_tokenizer
from data_pipelines.batch import Batch
from data_pipelines.errors import UserError
from data_pipelines.examples import Example, plain_example
from data_pipelines.packing import pack_all, pack_rows
from data_pipelines.record import PROPERTIES
from data_pipelines.text_tokenizer import TextTokenizer
from protclip_jax import checkpoints, sharding, workdir
from protclip_jax.config import model_config
from protclip_jax.initialize import abstract_params
from protclip_jax.models.projection import unit_norm
from protclip_jax.models.protclip import ProtCLIPModel, residue_mask
from protclip_jax.objectives.segment_alignment import dynamic_segment_weights
from protclip_jax.objectives.segment_reconstruction import biotext_slot_ids

SLOTS = 16
ROWS = 8
MIN_ROW_TOKENS = 256
RESIDUES = slice(protein_tokenizer.VOCABULARY.index("L"), protein_tokenizer.VOCABULARY.index("O") + 1)
"""Ids of the amino-acid letters, which `recover` chooses from."""


class ProtCLIP:
    """A ProtCLIP model ready for use; `ProtCLIP.load(DIR)` reads a checkpoint.

    Attributes:
      config: the training config, a plain dict.
      text_tokenizer: the text tokenizer of the checkpoint.
    """

    def __init__(self, model: ProtCLIPModel, params: Mapping, text_tokenizer: TextTokenizer, *, config: Mapping, mesh: Mesh):
        self._model, self._params, self._mesh = model, params, mesh
        self.text_tokenizer = text_tokenizer
        self.config = config

    @classmethod
    def load(cls, directory: str | pathlib.Path, *, step: str | int | None = None, dtype: str = "float32") -> Self:
        """Reads a workdir or converted checkpoint onto all local devices; `step` is a number, `best` or `latest`.

        By default the best step if one is recorded, else the latest. Raises `UserError` when there is nothing to read.
        """
        directory = pathlib.Path(directory)
        config = workdir.read_config(directory)
        text_tokenizer = workdir.load_text_tokenizer(directory)
        model_fields = {**config["model"], "dtype": dtype, "remat": "none"}
        model = ProtCLIPModel(model_config({"model": model_fields}, text_vocab_size=len(text_tokenizer.vocabulary)))
        mesh = sharding.make_mesh(-1, 1)
        whole = sharding.replicated(mesh)
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole), abstract_params(model))
        params = checkpoints.load_params(directory, checkpoints.resolve_step(directory, step), abstract)
        return cls(model, params, text_tokenizer, config=config, mesh=mesh)

    def encode_proteins(self, sequences: Sequence[str]) -> np.ndarray:
        """Unit-norm embeddings of protein sequences of any length, float32 [n, d]."""
        embeddings = self._run(_embed_proteins, [self._example(sequence, {}) for sequence in sequences])
        return self._stack([values[row, slot] for values, _, row, slot in embeddings])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit-norm embeddings of texts, float32 [n, d]; texts are cut at `tokenizer.max_text_tokens`."""
        embeddings = self._run(_embed_texts, [self._text_example(text) for text in texts])
        return self._stack([values[row, slot] for values, _, row, slot in embeddings])

    def similarity(self, proteins: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """Cosine similarity of every protein embedding with every text embedding, float32 [n, m]."""
        return proteins @ texts.T

    def segments(self, sequence: str, properties: Mapping[str, str]) -> np.ndarray:
        """PDA weights of the residues for each property text, float32 [k, residues]; every row sums to 1.

        `properties` maps names of `record.PROPERTIES` to texts with their prefix, as `record.property_texts` gives them;
        the rows come in its order.
        """
        return self.segments_batch([sequence], [properties])[0]

    def segments_batch(self, sequences: Sequence[str], properties: Sequence[Mapping[str, str]]) -> list[np.ndarray]:
        """`segments` of many proteins.

        Raises:
          UserError: a property has an unknown name or an empty text.
        """
        for texts in properties:
            for name, text in texts.items():
                if name not in PROPERTIES or not text:
                    raise UserError(f"'{name}' must be one of {', '.join(PROPERTIES)} with a text that is not empty.")
        examples = [self._example(*pair) for pair in zip(sequences, properties, strict=True)]
        weights = self._run(functools.partial(_segment_weights, theta=self.config["pda"]["theta"]), examples)
        return [
            values[row, slot][[PROPERTIES.index(name) for name in texts]][:, residues[1:-1]]
            for (values, residues, row, slot), texts in zip(weights, properties, strict=True)
        ]

    def recover(self, sequences: Sequence[str], masks: Sequence[np.ndarray], texts: Sequence[str]) -> list[str]:
        """The residues that the BSR head reads at masked positions, given a biotext: a string for each protein.

        `masks` are bool [residues]; the model sees `<mask>` in their place.
        """
        examples = []
        for sequence, mask, text in zip(sequences, masks, texts, strict=True):
            biotext = self._text_example(text)
            hidden = np.concatenate([[False], mask, [False]])
            protein = {name: getattr(self._example(sequence, {}), name) for name in ("protein_tokens", "mlm_mask")}
            examples.append(dataclasses.replace(biotext, **protein, segment_mask=hidden))
        recovered = self._run(_recover, examples)
        return [
            "".join(protein_tokenizer.VOCABULARY[token] for token in values[row, tokens[1:-1]][mask])
            for (values, tokens, row, _), mask in zip(recovered, masks, strict=True)
        ]

    def _example(self, sequence: str, texts: Mapping[str, str]) -> Example:
        limit = self.config["tokenizer"]["max_text_tokens"]
        return plain_example(sequence, texts, text_tokenizer=self.text_tokenizer, max_text_tokens=limit)

    def _text_example(self, text: str) -> Example:
        """A text as a full biotext, without a protein."""
        tokens = self.text_tokenizer.encode(text, max_tokens=self.config["tokenizer"]["max_text_tokens"])
        nothing = np.zeros(0, np.int32)
        return dataclasses.replace(
            self._example("", {}),
            protein_tokens=nothing,
            mlm_mask=nothing.astype(bool),
            segment_mask=nothing.astype(bool),
            text_tokens=tokens,
            text_property_ids=np.zeros_like(tokens),
            text_positions=np.arange(len(tokens), dtype=np.int32),
        )

    def _stack(self, embeddings: list[np.ndarray]) -> np.ndarray:
        empty = np.zeros((0, self._model.config.projection_dim), np.float32)
        return np.stack(embeddings) if embeddings else empty

    def _run(self, function: Callable, examples: Sequence[Example]) -> list[tuple[np.ndarray, np.ndarray, int, int]]:
        """`function(model, params, batch)` on packed examples; for each its (values, token indices, row, slot).

        `values` is the function's whole output for the rows that the example lies in, `token indices` where its
        protein tokens lie in the row.
        """
        if not examples:
            return []
        shape = {
            "slots": SLOTS,
            "protein_tokens": _row_length([example.protein_length for example in examples]),
            "text_tokens": _row_length([example.text_length for example in examples]),
        }
        packed = pack_all(examples, **shape)
        # One row on one device answers a single query; whole groups of rows everything else.
        group = self._mesh.size * (1 if len(packed.rows) <= self._mesh.size else max(1, ROWS // self._mesh.size))
        outputs, batches = [], []
        with jax.set_mesh(self._mesh):
            for start in range(0, len(packed.rows), group):
                rows = packed.rows[start : start + group]
                batch = pack_rows(rows + [[]] * (group - len(rows)), **shape)
                outputs.append(np.asarray(function(self._model, self._params, self._place(batch))))
                batches.append(batch.protein_slot_ids)
        slot_ids = np.concatenate(batches)
        located = []
        for row, slot in packed.placement.tolist():
            (tokens,) = np.nonzero(slot_ids[row] == slot + 1)
            located.append((outputs[row // group], tokens, row % group, slot))
        return located

    def _place(self, batch: Batch) -> Batch:
        """Every process has the whole batch here; each device gets its rows."""
        rows = sharding.rows_sharding(self._mesh)
        return jax.tree.map(lambda x: jax.make_array_from_callback(x.shape, rows, lambda index: x[index]), batch)


def _row_length(lengths: Sequence[int]) -> int:
    """The packed row's tokens: a power of two, at least MIN_ROW_TOKENS and the longest; 0 where there is nothing."""
    longest = max(lengths)
    return max(MIN_ROW_TOKENS, 1 << (longest - 1).bit_length()) if longest else 0


def _everywhere(x: jax.Array) -> jax.Array:
    return jax.lax.with_sharding_constraint(x, PartitionSpec())


@functools.partial(jax.jit, static_argnums=0)
def _embed_proteins(model: ProtCLIPModel, params: Mapping, batch: Batch) -> jax.Array:
    def run(m):
        hidden = m.encode_protein(batch.protein_tokens, batch.protein_slot_ids, batch.protein_positions, SLOTS)
        return m.embed_proteins(hidden, batch.protein_slot_ids, SLOTS)

    return _everywhere(model.apply({"params": params}, method=run))


@functools.partial(jax.jit, static_argnums=0)
def _embed_texts(model: ProtCLIPModel, params: Mapping, batch: Batch) -> jax.Array:
    def run(m):
        hidden = m.encode_text(batch.text_tokens, batch.text_segment_ids, batch.text_positions)
        return unit_norm(m.project_text_segments(hidden, batch.text_segment_ids, SLOTS)[:, :, 0])

    return _everywhere(model.apply({"params": params}, method=run))


@functools.partial(jax.jit, static_argnums=0, static_argnames="theta")
def _segment_weights(model: ProtCLIPModel, params: Mapping, batch: Batch, *, theta: float) -> jax.Array:
    def run(m):
        hidden = m.encode_protein(batch.protein_tokens, batch.protein_slot_ids, batch.protein_positions, SLOTS)
        text = m.encode_text(batch.text_tokens, batch.text_segment_ids, batch.text_positions)
        properties = m.project_text_segments(text, batch.text_segment_ids, SLOTS)[:, :, 1:]
        residues = jnp.where(residue_mask(batch.protein_tokens, batch.protein_slot_ids), batch.protein_slot_ids, 0)
        prototypes = m.prototypes(properties, None)
        present = batch.text_hashes[:, :, 1:] != 0
        return dynamic_segment_weights(m.project_protein_tokens(hidden), residues, prototypes, present, theta)

    return _everywhere(model.apply({"params": params}, method=run))


@functools.partial(jax.jit, static_argnums=0)
def _recover(model: ProtCLIPModel, params: Mapping, batch: Batch) -> jax.Array:
    def run(m):
        tokens = jnp.where(batch.segment_mask, protein_tokenizer.MASK, batch.protein_tokens)
        hidden = m.encode_protein(tokens, batch.protein_slot_ids, batch.protein_positions, SLOTS)
        text = m.encode_text(batch.text_tokens, batch.text_segment_ids, batch.text_positions)
        protein = m.project_protein_tokens(hidden)
        text_ids = biotext_slot_ids(batch.text_slot_ids, batch.text_property_ids)
        attended = m.attend_to_biotext(protein, batch.protein_slot_ids, m.project_text_tokens(text), text_ids)
        logits = m.predict_reconstruction(protein + attended)
        return RESIDUES.start + jnp.argmax(logits[:, :, RESIDUES], axis=-1)

    return _everywhere(model.apply({"params": params}, method=run))
