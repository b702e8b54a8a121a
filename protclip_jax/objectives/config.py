"""The training objective: weights and options of its terms."""

import dataclasses

from data_pipelines.common.settings import Setting
from data_pipelines.training.masking import SEPARATE, SINGLE
from protclip_jax.objectives.objective import Objective
from protclip_jax.objectives.registry import OBJECTIVES
from protclip_jax.objectives.rows import SHARED, UNMASKED


def _field(name: str, setting: Setting) -> tuple[str, type, dataclasses.Field]:
    return name, type(setting.default), dataclasses.field(default=setting.default)


_WEIGHTS = [_field(name, kind.weight) for name, kind in OBJECTIVES.items()]
_OPTIONS = []
for _kind in OBJECTIVES.values():
    _OPTIONS += [_field(name, setting) for name, setting in _kind.options.items()]
_OfObjectives = dataclasses.make_dataclass("_OfObjectives", _WEIGHTS + _OPTIONS, frozen=True)


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig(_OfObjectives):
    """The training objective L = Σ weight · loss (paper: L_GC + 0.7·L_BSR + 0.3·L_MLM + L_PDA).

    Each objective's weight is an attribute with the objective's name; its options are attributes
    too.

    Attributes:
      mask_duplicates: whether records that share a sequence or a text are excluded from each
        other's negatives.
      contrast_chunk: number of candidates a contrast compares at a time; 0 compares the whole
        global batch at once.
      prefix_tokens: lengths of the property prefixes, which are then left out of the mean over a
        property's tokens; () includes the prefixes.
      masked_passes: 'separate' runs the protein tower once per masked objective (paper); 'shared'
        runs it once for all masked objectives; 'single' runs it once for all objectives, so
        that contrasts see masked proteins too (as in FLIP, Li et al. 2023).

    Example:
      >>> from protclip_jax.objectives.config import ObjectiveConfig
      >>> config = ObjectiveConfig(mlm=0.0, bsr=0.0)
      >>> config.passes
      {'gc': 'unmasked', 'pda': 'unmasked'}
    """

    mask_duplicates: bool = True
    contrast_chunk: int = 0
    prefix_tokens: tuple[int, ...] = ()
    masked_passes: str = SEPARATE

    @property
    def weights(self) -> dict[str, float]:
        """Weights by objective, except for those that are 0 both here and by default."""
        weights = {name: getattr(self, name) for name in OBJECTIVES}
        return {
            name: weight
            for name, weight in weights.items()
            if weight or OBJECTIVES[name].weight.default
        }

    @property
    def passes(self) -> dict[str, str]:
        """Maps each active objective to the protein tower pass that it reads (see `rows`)."""
        passes = {}
        for name, objective in self.objectives.items():
            masked_pass = name if self.masked_passes == SEPARATE else SHARED
            passes[name] = masked_pass if objective.masked else self.contrast_pass
        return passes

    @property
    def contrast_pass(self) -> str:
        """The protein tower pass that objectives without a mask read."""
        return SHARED if self.masked_passes == SINGLE else UNMASKED

    @property
    def objectives(self) -> dict[str, Objective]:
        """Active objectives (weight not 0) by name."""
        return {name: OBJECTIVES[name](self) for name, weight in self.weights.items() if weight}
