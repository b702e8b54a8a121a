"""What is optimised: the objectives' weights and options."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig:
    """What is optimised: L = gc·L_GC + bsr·L_BSR + mlm·L_MLM + pda·L_PDA + features·L_FT (paper: 1, 0.7, 0.3, 1, 0).

    `contrast_chunk` bounds the candidates that a contrast compares at a time (0 = all of the global batch).
    """

    gc: float = 1.0
    bsr: float = 0.7
    mlm: float = 0.3
    pda: float = 1.0
    features: float = 0.0
    mask_duplicates: bool = True
    contrast_chunk: int = 0
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
