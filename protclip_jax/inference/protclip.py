"""`ProtCLIP`: a trained model that embeds, compares, explains and reconstructs proteins.

Inputs of any length are packed into rows of a few fixed shapes, so that few programs are compiled.
Every record gets the same numbers as if it were alone.
"""

import dataclasses
import functools
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Float32

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.substitutions import Variant
from data_pipelines.protanno.record import PROPERTIES, Record
from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.training.examples import (
    Example,
    plain_example,
    protein_example,
    text_example,
)
from protclip_jax.config.schema import completed
from protclip_jax.inference import programs
from protclip_jax.inference.as_list import as_list
from protclip_jax.inference.batched_calls import MIN_ROW_TOKENS, Place, run_packed
from protclip_jax.inference.held_out_losses import held_out_losses
from protclip_jax.inference.loaded_model import LoadedModel
from protclip_jax.inference.prefixes import check_dimensions, first_dimensions
from protclip_jax.inference.segment_contrast import Contrast, contrast, segment_weights
from protclip_jax.inference.segment_vectors import (
    property_options,
    residue_vectors,
    text_vectors,
)
from protclip_jax.inference.user_inputs import check_properties, checked_texts, clean_proteins
from protclip_jax.inference.variant_effects import (
    JOINTLY,
    SINGLY,
    amino_acid_logits,
    cosine_changes,
    parse_variants,
    site_scores,
    variant_scores,
)
from protclip_jax.inference.windows import DEFAULT_WINDOWS, Windows, piece_weights
from protclip_jax.models.initialize import abstract_params
from protclip_jax.models.logit_scale import MAX_SCALE

EMBEDDING_KINDS = ("projected", "mean", "residues")
"""What `ProtCLIP.represent` returns.

`projected` is the unit-norm embedding in the space shared with text, `mean` the mean of the protein
tower's residue vectors, `residues` those vectors.
"""

SEGMENT_GROUPS = ("protein", "text", "protein_projection", "text_projection", "prototype_bank")
"""Parameter groups needed for the weights of residues."""


class ProtCLIP(LoadedModel):
    """A ProtCLIP model ready for use; `ProtCLIP.load(DIR)` reads a checkpoint.

    Protein sequences are cleaned as described in `data_pipelines.inputs.protein_input` (lower case,
    gaps, stops), with a warning that counts the changes. Methods raise `UserError` for input that
    is not a protein, and if the checkpoint lacks a part of the model that they need, such as one
    converted from ESM-2 alone.

    Attributes:
      config: the training config, a plain dict.
      text_tokenizer: the checkpoint's text tokenizer; None without a text tower.
    """

    def encode_proteins(
        self,
        sequences: Sequence[str],
        *,
        windows: Windows = DEFAULT_WINDOWS,
        batch_tokens: int | None = None,
        dimensions: int | None = None,
    ) -> Float32[np.ndarray, "n d"]:
        """Unit-norm embeddings of protein sequences of any length in the space shared with text.

        `dimensions` keeps the first dimensions only, for a model trained with `loss.matryoshka`.
        """
        dimensions = self._checked_width(dimensions)
        cleaned = clean_proteins(sequences, windows)
        found = self.represent(
            cleaned, kinds=("projected",), windows=windows, batch_tokens=batch_tokens
        )
        return first_dimensions(found["projected"], dimensions)

    def mean_embeddings(
        self, sequences: Sequence[str], *, windows: Windows = DEFAULT_WINDOWS
    ) -> Float32[np.ndarray, "n D"]:
        """Mean of the protein tower's residue vectors, as ESM's `mean`: no `<cls>`, no `<eos>`."""
        return self.represent(clean_proteins(sequences, windows), kinds=("mean",), windows=windows)[
            "mean"
        ]

    def residue_embeddings(
        self, sequences: Sequence[str], *, windows: Windows = DEFAULT_WINDOWS
    ) -> list[Float32[np.ndarray, "_ D"]]:
        """The protein tower's vector of every residue."""
        return self.represent(
            clean_proteins(sequences, windows), kinds=("residues",), windows=windows
        )["residues"]

    def represent(
        self,
        sequences: Sequence[str],
        *,
        kinds: Sequence[str],
        windows: Windows = DEFAULT_WINDOWS,
        batch_tokens: int | None = None,
    ) -> dict[str, np.ndarray | list[np.ndarray]]:
        """Computes several `EMBEDDING_KINDS` of clean sequences in one pass, in order, float32.

        `projected` [n, d] is the projected mean over all tokens, including `<cls>` and `<eos>` (as
        in training), `mean` [n, D] the mean over residues, `residues` a list of [residues, D]. A
        long protein's vectors are averaged over `windows` residue by residue, before any mean.
        `batch_tokens` bounds the tokens of one device call.
        """
        self._require("protein", *(["protein_projection"] if "projected" in kinds else []))
        pieces = [windows.pieces(len(sequence)) for sequence in sequences]
        parts = [(index, piece) for index, of_protein in enumerate(pieces) for piece in of_protein]
        examples = [protein_example(sequences[index][piece]) for index, piece in parts]
        weights = [weight for of_protein in pieces for weight in piece_weights(of_protein)]
        width = self._model.config.protein.hidden_size
        sums = np.zeros((len(sequences), 2, width), np.float32)
        wanted = [
            np.zeros((of_protein[-1].stop, width), np.float32) if "residues" in kinds else None
            for of_protein in pieces
        ]
        call = functools.partial(programs.represent, kinds=tuple(sorted(kinds)))
        for position, (pooled, hidden) in self._run(
            call, examples, weights=weights, batch_tokens=batch_tokens
        ):
            index, piece = parts[position.index]
            sums[index] += pooled[position.row, position.slot]
            if hidden is not None:
                wanted[index][piece] += (
                    hidden[position.row, position.tokens] * weights[position.index][:, None]
                )[1:-1]
        lengths = np.array([of_protein[-1].stop for of_protein in pieces], np.float32)[:, None]
        results = {
            "projected": lambda: programs.project_all(
                self._model, self._params, sums[:, 0] / (lengths + 2)
            ),
            "mean": lambda: sums[:, 1] / lengths,
            "residues": lambda: wanted,
        }
        return {kind: results[kind]() for kind in kinds}

    def encode_texts(
        self,
        texts: Sequence[str],
        *,
        batch_tokens: int | None = None,
        dimensions: int | None = None,
    ) -> Float32[np.ndarray, "n d"]:
        """Unit-norm embeddings of texts.

        Texts longer than `tokenizer.max_text_tokens` are cut, with a warning. `dimensions` as in
        `encode_proteins`.
        """
        dimensions = self._checked_width(dimensions)
        self._require("text", "text_projection")
        width = self._model.config.projection_dim
        embeddings = self._read_texts(
            programs.embed_texts, texts, width=width, batch_tokens=batch_tokens
        )
        return first_dimensions(embeddings, dimensions)

    def mean_text_embeddings(
        self, texts: Sequence[str], *, batch_tokens: int | None = None
    ) -> Float32[np.ndarray, "n T"]:
        """Mean of the text tower's token vectors, including `[CLS]` and `[SEP]`.

        This is the usual sentence embedding of a BERT. It works for every checkpoint with a text
        tower, including one converted from a BERT alone. Texts are cut as in `encode_texts`.
        """
        self._require("text")
        width = self._model.config.text.hidden_size
        return self._read_texts(programs.mean_texts, texts, width=width, batch_tokens=batch_tokens)

    def _read_texts(
        self, program: Callable, texts: Sequence[str], *, width: int, batch_tokens: int | None
    ) -> Float32[np.ndarray, "n width"]:
        """Runs a program on each text; warns about unknown words and cut texts."""
        texts = checked_texts(texts, self.text_tokenizer)
        examples = [self._text_example(text) for text in texts]
        if cut := sum(example.text_cut > 0 for example in examples):
            limit = self.config["tokenizer"]["max_text_tokens"]
            warnings.warn(
                f"{cut} of {len(texts)} texts are longer than {limit} tokens and were cut.",
                stacklevel=3,
            )
        embeddings = np.zeros((len(texts), width), np.float32)
        for position, values in self._run(program, examples, batch_tokens=batch_tokens):
            embeddings[position.index] = values[position.row, position.slot]
        return embeddings

    def similarity(
        self, proteins: Float[np.ndarray, "n d"], texts: Float[np.ndarray, "m d"]
    ) -> Float[np.ndarray, "n m"]:
        """Cosine similarity of every protein embedding with every text embedding."""
        return proteins @ texts.T

    def logits(
        self, proteins: Float[np.ndarray, "n d"], texts: Float[np.ndarray, "m d"]
    ) -> Float[np.ndarray, "n m"]:
        """Cosine similarity times the learnt scale exp(logit_scale) ≤ 100: the contrast's logits.

        For a model with the sigmoid contrast (`loss.sigmoid`), its scale and bias apply; the
        sigmoid of these logits is the probability that protein and text belong together.
        """
        if "sigmoid_scale" in self._params:
            scale, bias = self._params["sigmoid_scale"]["log"], self._params["sigmoid_bias"]["bias"]
            return self.similarity(proteins, texts) * np.exp(float(scale)) + float(bias)
        self._require("logit_scale")
        return self.similarity(proteins, texts) * min(
            np.exp(float(self._params["logit_scale"]["log"])), MAX_SCALE
        )

    def zero_shot(
        self, sequences: Sequence[str], labels: Mapping[str, Sequence[str]]
    ) -> Float32[np.ndarray, "n labels"]:
        """Probability of each label for each protein, columns in the order of `labels`.

        Rows sum to 1. A label has one or more prompts; its embedding is the normalised mean of the
        embeddings of its prompts (as in CLIP, Radford et al. 2021, section 3.1.4). The
        probabilities are the softmax of the logits over the labels.
        """
        if not labels or not all(labels.values()):
            raise UserError("zero_shot needs at least one label, and at least one prompt for each.")
        of_labels = [as_list(of_label, f"labels[{name!r}]") for name, of_label in labels.items()]
        prompts = self.encode_texts(list(itertools.chain.from_iterable(of_labels)))
        ends = np.cumsum([len(of_label) for of_label in of_labels])
        classes = np.stack([of_label.mean(0) for of_label in np.split(prompts, ends[:-1])])
        classes /= np.linalg.norm(classes, axis=1, keepdims=True)
        logits = self.logits(self.encode_proteins(sequences), classes).astype(np.float64)
        weights = np.exp(logits - logits.max(1, keepdims=True))
        return (weights / weights.sum(1, keepdims=True)).astype(np.float32)

    def segments(self, sequence: str, properties: Mapping[str, str]) -> Float32[np.ndarray, "k L"]:
        """PDA weights of the residues for each property text, [k, residues]; rows sum to 1.

        `properties` maps names of `record.PROPERTIES` to texts with their prefix, as returned by
        `record.property_texts`; rows are in its order.
        """
        return self.segments_batch([sequence], [properties])[0]

    def segments_batch(
        self,
        sequences: Sequence[str],
        properties: Sequence[Mapping[str, str]],
        *,
        batch_tokens: int | None = None,
        row_tokens: int = MIN_ROW_TOKENS,
    ) -> list[Float32[np.ndarray, "_ _"]]:
        """`segments` of many proteins; `batch_tokens` and `row_tokens` as in `run_packed`.

        Raises:
          UserError: a property has an unknown name or an empty text.
        """
        for texts in properties:
            check_properties(texts)
        self._require(*SEGMENT_GROUPS)
        examples = [
            self._example(*pair) for pair in zip(clean_proteins(sequences), properties, strict=True)
        ]
        theta = completed(self.config)["pda"]["theta"]
        call = functools.partial(
            programs.segment_weights,
            theta=theta,
            **property_options(self.config, self.text_tokenizer),
        )
        weights = [np.zeros(0, np.float32)] * len(examples)
        for position, values in self._run(
            call, examples, batch_tokens=batch_tokens, row_tokens=row_tokens
        ):
            rows = [PROPERTIES.index(name) for name in properties[position.index]]
            weights[position.index] = values[position.row, position.slot][rows, position.tokens][
                :, 1:-1
            ]
        return weights

    def segment_contrasts(
        self,
        sequence: str,
        properties: Mapping[str, str],
        others: Mapping[str, Sequence[str]],
        *,
        batch_tokens: int | None = None,
    ) -> dict[str, Contrast]:
        """Compares `segments` with the weights for other records' texts of the same property.

        See `Contrast` for the formula. Every text is read alone, the protein once.

        Args:
          properties: as in `segments`.
          others: distinct other texts for each property (`explain.other_texts` reads some).

        Raises:
          UserError: a property has an unknown name, no text or too few others.
        """
        check_properties(properties)
        self._require(*SEGMENT_GROUPS)
        (cleaned,) = clean_proteins(sequence)
        run = functools.partial(self._run, batch_tokens=batch_tokens)
        residues = residue_vectors(run, cleaned)
        reading = {"config": self.config, "tokenizer": self.text_tokenizer}
        theta, found = completed(self.config)["pda"]["theta"], {}
        for name in filter(properties.__contains__, PROPERTIES):
            texts = [properties[name], *others.get(name, ())]
            vectors = text_vectors(run, name, texts, **reading)
            weights = segment_weights(residues, vectors, theta)
            found[name] = contrast(weights[0], weights[1:])
        return found

    def recover(
        self, sequences: Sequence[str], masks: Sequence[np.ndarray], texts: Sequence[str]
    ) -> list[str]:
        """The residues that the BSR head predicts at masked positions, given a biotext.

        `masks` are bool [residues]; the model sees `<mask>` where they are set.

        Returns:
          One string per protein.
        """
        self._require(
            "protein",
            "text",
            "protein_projection",
            "text_projection",
            "cross_attention",
            "bsr_head",
        )
        examples = []
        for sequence, mask, text in zip(clean_proteins(sequences), masks, texts, strict=True):
            biotext, plain = self._text_example(text), protein_example(sequence)
            example = dataclasses.replace(
                biotext,
                protein_tokens=plain.protein_tokens,
                mlm_mask=plain.mlm_mask,
                residue_properties=plain.residue_properties,
                # <cls> and <eos> are never masked.
                segment_mask=np.concatenate([[False], mask, [False]]),
            )
            examples.append(example)
        recovered = [""] * len(examples)
        for position, values in self._run(programs.recover, examples):
            tokens = values[position.row, position.tokens][1:-1][masks[position.index]]
            recovered[position.index] = "".join(
                protein_tokenizer.VOCABULARY[token] for token in tokens
            )
        return recovered

    def variant_effects(
        self,
        sequence: str,
        mutations: Sequence[str],
        *,
        method: str = JOINTLY,
        first_position: int = 1,
        windows: Windows = DEFAULT_WINDOWS,
        batch_tokens: int | None = None,
    ) -> Float32[np.ndarray, " n"]:
        """Scores variants of one protein by its masked language model.

        A variant with a score above 0 is more likely than the wild type.

        Args:
          mutations: such as `A24G`, or `A24G:C30D` for several substitutions.
          method: one of `variant_effects.METHODS`; that module has the formulas.
          first_position: the number of the first residue of the cleaned sequence.

        Raises:
          UserError: a mutation does not fit the sequence, or the checkpoint has no `mlm_head`.
        """
        (cleaned,) = clean_proteins(sequence)
        variants = parse_variants(
            as_list(mutations, "mutations"), cleaned, first_position=first_position
        )
        (scores,) = self.variant_scores(
            [cleaned],
            [variants],
            method=method,
            windows=windows,
            batch_tokens=batch_tokens,
        )
        return scores

    def substitution_scores(
        self,
        sequence: str,
        *,
        method: str = SINGLY,
        windows: Windows = DEFAULT_WINDOWS,
        batch_tokens: int | None = None,
    ) -> Float32[np.ndarray, "L 20"]:
        """Scores all single substitutions, columns in the order of `substitutions.AMINO_ACIDS`.

        The score is 0 for the wild type's own residue, and NaN where a residue is not one of the 20
        or is not read.
        """
        self._require("protein", "mlm_head")
        (cleaned,) = clean_proteins(sequence)
        run = self._logits_run(batch_tokens)
        sites = [range(len(cleaned))]
        return site_scores(run, [cleaned], sites, method=method, windows=windows)[0]

    def variant_scores(
        self,
        sequences: Sequence[str],
        variants: Sequence[Sequence[Variant]],
        *,
        method: str = JOINTLY,
        windows: Windows = DEFAULT_WINDOWS,
        batch_tokens: int | None = None,
    ) -> list[Float32[np.ndarray, " _"]]:
        """`variant_effects` of many clean proteins, with parsed variants."""
        self._require("protein", "mlm_head")
        run = self._logits_run(batch_tokens)
        return variant_scores(run, sequences, variants, method=method, windows=windows)

    def text_changes(
        self,
        sequence: str,
        variants: Sequence[Variant],
        text: str,
        *,
        windows: Windows = DEFAULT_WINDOWS,
        batch_tokens: int | None = None,
    ) -> Float32[np.ndarray, " n"]:
        """cos(variant, text) − cos(wild type, text) for variants of a clean protein."""
        represent = functools.partial(
            self.represent,
            kinds=("projected",),
            windows=windows,
            batch_tokens=batch_tokens,
        )
        return cosine_changes(represent, sequence, variants, self.encode_texts([text])[0])

    def losses(self, records: Sequence[Record]) -> dict[str, float]:
        """The training objectives on records as one global batch (`held_out_losses`).

        Returns:
          `total`, `gc`, `mlm` and so on.
        """
        self._require(*abstract_params(self._model))
        return held_out_losses(
            self._model,
            self._params,
            records,
            config=completed(self.config),
            text_tokenizer=self.text_tokenizer,
            mesh=self._mesh,
        )

    def _checked_width(self, dimensions: int | None) -> int:
        """The width of the requested embeddings; raises `UserError` if the model's is smaller."""
        width = self._model.config.projection_dim
        if dimensions is None:
            return width
        check_dimensions(dimensions, width)
        return dimensions

    def _example(self, sequence: str, texts: Mapping[str, str]) -> Example:
        limit = self.config["tokenizer"]["max_text_tokens"]
        return plain_example(
            sequence, texts, text_tokenizer=self.text_tokenizer, max_text_tokens=limit
        )

    def _text_example(self, text: str) -> Example:
        limit = self.config["tokenizer"]["max_text_tokens"]
        return text_example(text, text_tokenizer=self.text_tokenizer, max_text_tokens=limit)

    def _logits_run(self, batch_tokens: int | None) -> Callable:
        return functools.partial(self._run, amino_acid_logits, batch_tokens=batch_tokens)

    def _run(
        self, function: Callable, examples: Sequence[Example], **options
    ) -> Iterator[tuple[Place, object]]:
        call = functools.partial(function, self._model, self._params)
        return run_packed(call, examples, mesh=self._mesh, **options)
