"""The quickstart in the paper's form, shortened to 300 steps for comparisons.

The model is measured once, on the test records with the most certain texts.
"""

from ml_collections import ConfigDict

from configs import quickstart_paper


def get_config() -> ConfigDict:
    """The base config of `benchmarks/ablation.py`; a variant changes only the fields it names."""
    config = quickstart_paper.get_config()
    config.total_steps = 300
    config.log_every = 20
    config.eval_every = 300
    config.checkpoint_every = 300
    config.gradient_norms_every = 0
    # Existence levels 1 and 2, where 2 % and 5 % of the sample's texts belong to another protein;
    # at levels 4 and 5 it is 35 % and 50 %.
    clean = dict(split="test", pool=256, max_existence=2)
    config.evals = ConfigDict(
        dict.fromkeys(("retrieval", "segment_recovery", "segment_localisation"), clean)
    )
    return config
