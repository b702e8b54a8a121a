"""All objectives by name. To add one, subclass `Objective` in a new file and list it here."""

from protclip_jax.objectives.feature_alignment import FeatureAlignment
from protclip_jax.objectives.global_contrastive import GlobalContrast
from protclip_jax.objectives.masked_language_model import MaskedLanguageModel
from protclip_jax.objectives.matryoshka import Matryoshka
from protclip_jax.objectives.objective import Objective
from protclip_jax.objectives.property_alignment import PropertyAlignment
from protclip_jax.objectives.segment_reconstruction import SegmentReconstruction
from protclip_jax.objectives.sigmoid_contrast import SigmoidContrast

_KINDS: tuple[type[Objective], ...] = (
    GlobalContrast,
    SegmentReconstruction,
    MaskedLanguageModel,
    PropertyAlignment,
    FeatureAlignment,
    SigmoidContrast,
    Matryoshka,
)

OBJECTIVES: dict[str, type[Objective]] = {kind.name: kind for kind in _KINDS}
"""In the order of the metrics, which checkpoints store: append new ones at the end."""
