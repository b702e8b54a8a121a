"""What is optimised: the objectives' weights and options."""

import dataclasses

from data_pipelines.common.settings import Setting
from data_pipelines.training.masking import SEPARATE, SINGLE
from protclip_jax.objectives.objective import Objective
from protclip_jax.objectives.registry import OBJECTIVES
from protclip_jax.objectives.rows import SHARED, UNMASKED


def _field(name: str, setting: Setting) -> tuple[str, type, dataclasses.Field]:
    return name, type(setting.default), dataclasses.field(default=setting.default)


_WEIGHTS = [_field(name, kind.weight) for name, kind in OBJECTIVES.items()]
_OPTIONS = [
    _field(name, setting) for kind in OBJECTIVES.values() for name, setting in kind.options.items()
]
_OfObjectives = dataclasses.make_dataclass("_OfObjectives", _WEIGHTS + _OPTIONS, frozen=True)


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig(_OfObjectives):
    """What is optimised: L = Σ weight · loss over the objectives (paper: L_GC + 0.7·L_BSR +
    0.3·L_MLM + L_PDA).

    The weight of each objective is an attribute of its name, and so is each of its options.

    Attributes:
      mask_duplicates: whether records that share a sequence or a text are left out of each other's
        negatives.
      contrast_chunk: candidates that a contrast compares at a time, 0 = all of the global batch.
      prefix_tokens: lengths of the properties' prefixes, to leave these out of the mean; () = they
        take part.
      masked_passes: 'separate', a pass of the protein tower for each masked objective (paper);
        'shared', one for all of them; or 'single', one for all objectives, so that contrasts
        read masked proteins too (as FLIP does, Li et al. 2023).
    """

    mask_duplicates: bool = True
    contrast_chunk: int = 0
    prefix_tokens: tuple[int, ...] = ()
    masked_passes: str = SEPARATE

    @property
    def weights(self) -> dict[str, float]:
        """By name: those that are on, and those that are on by default."""
        weights = {name: getattr(self, name) for name in OBJECTIVES}
        return {
            name: weight
            for name, weight in weights.items()
            if weight or OBJECTIVES[name].weight.default
        }

    @property
    def passes(self) -> dict[str, str]:
        """The pass through the protein tower that each objective reads whose weight is not 0
        (see `rows`)."""
        passes = {}
        for name, objective in self.objectives.items():
            masked_pass = name if self.masked_passes == SEPARATE else SHARED
            passes[name] = masked_pass if objective.masked else self.contrast_pass
        return passes

    @property
    def contrast_pass(self) -> str:
        """The pass that objectives read which do not mask by themselves."""
        return SHARED if self.masked_passes == SINGLE else UNMASKED

    @property
    def objectives(self) -> dict[str, Objective]:
        """Those whose weight is not 0, by name."""
        return {name: OBJECTIVES[name](self) for name, weight in self.weights.items() if weight}
