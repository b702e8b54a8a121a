"""The config of `make demo`: a tiny ProtCLIP for two CPU cores, with our recipe, not the paper's.

`quickstart_paper.py` is the paper's form of the same network; docs/results.md compares them.
"""

from ml_collections import ConfigDict

from configs import quickstart_paper
from configs.protclip_650m_plus import beyond_the_paper


def get_config() -> ConfigDict:
    """Segments learn from other records and from features; texts show a subset of properties.

    Heads are initialised from neighbours. One masked pass serves all objectives, which nearly
    halves the time of a step.
    """
    config = beyond_the_paper(quickstart_paper.get_config())
    config.total_steps, config.eval_every, config.checkpoint_every = 900, 180, 180
    config.gradient_norms_every = 180
    config.masking.passes = "single"
    config.tokenizer.property_subset = 0.5
    config.model.protein.initial_attention = "neighbours"
    return config
