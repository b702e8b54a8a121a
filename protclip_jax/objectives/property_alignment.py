"""PDA as an objective: aligns residues with properties, by dynamic segments or late interaction."""

from collections.abc import Mapping

from jaxtyping import Array, Float

from data_pipelines.common.errors import UserError
from data_pipelines.common.settings import FLAG, SHARE, WEIGHT, Setting, one_of
from protclip_jax.models.heads import PROTOTYPE_INITS, UNIT
from protclip_jax.objectives.global_batch import GlobalBatch
from protclip_jax.objectives.late_interaction import LATE_INTERACTION, POOLINGS, late_interaction
from protclip_jax.objectives.mean import Mean
from protclip_jax.objectives.objective import Objective
from protclip_jax.objectives.rows import Rows
from protclip_jax.objectives.segment_alignment import (
    NEGATIVES,
    WITHIN_RECORD,
    Properties,
    dynamic_segments,
    segment_alignment,
)


class PropertyAlignment(Objective):
    """PDA: a contrast of dynamic segments (paper), or a loss within rows by late interaction."""

    name = "pda"
    title = "segment alignment (PDA)"
    weight = Setting(1.0, WEIGHT, "Weight of property-driven dynamic alignment L_PDA.")
    options = {
        "theta": Setting(
            0.3,
            SHARE,
            "Threshold on the min-max normalised similarity; residues below it leave the segment.",
        ),
        "negatives": Setting(
            WITHIN_RECORD,
            one_of((*NEGATIVES, LATE_INTERACTION)),
            "The negatives of a segment; see docs/segments.md.",
        ),
        "pooling": Setting(
            "segment",
            one_of(tuple(POOLINGS)),
            "How late interaction pools a protein's residues for a text.",
        ),
        "text_gradient": Setting(
            False,
            FLAG,
            "Whether gradients reach the property texts, not only residues and prototypes.",
            before=True,
        ),
        "prototypes": Setting(
            True, FLAG, "Whether the prototype bank re-expresses a property's text embedding."
        ),
        "prototype_init": Setting(
            UNIT,
            one_of(tuple(PROTOTYPE_INITS)),
            "Initial prototypes: unit norm on average, or N(0, 1) as in the released model.",
            changeable=True,
        ),
        "mask_prefix": Setting(
            False,
            FLAG,
            "Whether the prefix that names the property is excluded from its text's mean.",
            before=False,
        ),
    }

    @classmethod
    def check(cls, config: Mapping) -> None:
        pooling, negatives = config["pda"]["pooling"], config["pda"]["negatives"]
        if pooling != "segment" and negatives != LATE_INTERACTION:
            raise UserError(
                f"pda.pooling={pooling} requires pda.negatives={LATE_INTERACTION}, not "
                f"{negatives}; change pda.negatives, or set pda.pooling=segment."
            )

    def loss(self, rows: Rows) -> Mean | None:
        if self.config.negatives != LATE_INTERACTION:
            return None
        return late_interaction(
            rows.residues,
            rows.residue_slot_ids,
            self._properties(rows),
            present=rows.properties_present,
            property_hashes=rows.property_hashes,
            theta=self.config.theta,
            logit_scale=rows.segment_logit_scale,
            pooling=self.config.pooling,
        )

    def embed(self, rows: Rows) -> tuple[Float[Array, "R S 4 P"], Float[Array, "R S 4 P"]] | None:
        if self.config.negatives == LATE_INTERACTION:
            return None
        properties = self._properties(rows)
        segments = dynamic_segments(
            rows.residues,
            rows.residue_slot_ids,
            properties,
            rows.properties_present,
            self.config.theta,
        )
        return segments, properties

    def _properties(self, rows: Rows) -> Float[Array, "R S 4 P"]:
        return rows.properties if self.config.text_gradient else rows.properties_of_fixed_texts

    def contrast(self, rows: Rows, embedded: tuple, global_batch: GlobalBatch) -> Mean:
        segments, prototypes = embedded
        local = global_batch.local(
            Properties(segments, prototypes, rows.properties_present, rows.property_hashes)
        )
        # Negatives within the record need no data from other devices.
        within = self.config.negatives == WITHIN_RECORD
        return segment_alignment(
            local,
            local if within else global_batch.gather(local),
            logit_scale=rows.segment_logit_scale,
            negatives=self.config.negatives,
            chunk=self.config.contrast_chunk,
        )
