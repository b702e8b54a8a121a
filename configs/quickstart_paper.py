"""A tiny ProtCLIP in the paper's form that learns the sample in minutes on two CPU cores."""

from ml_collections import ConfigDict

from configs import protclip_650m


def get_config() -> ConfigDict:
    """Small towers, both trained, with one masked protein pass shared by MLM and BSR."""
    config = protclip_650m.get_config()
    config.total_steps = 750
    config.total_epochs = None
    config.best.patience = 0
    config.log_every = 10
    config.eval_every = 150
    config.checkpoint_every = 150
    config.gradient_norms_every = 150

    config.data.update(streams=8, workers=0)
    config.tokenizer.update(max_protein_tokens=256, max_text_tokens=128, names="recommended")
    config.batch.update(rows=8, slots=8, protein_tokens=512, text_tokens=640)
    config.masking.passes = "shared"
    config.pda.prototype_init = "unit"
    config.evals.retrieval.pool = 256
    config.evals.single_property = {"split": "validation"}
    del config.evals.losses

    # Towers this narrow need a larger initialisation from random weights than the 0.02 of a
    # pretrained one.
    small = dict(hidden_size=64, num_heads=4, intermediate_size=256, initializer_range=0.125)
    config.model.protein.update(small, num_layers=2)
    config.model.text.update(small, num_layers=1)
    config.model.update(projection_dim=64, num_prototypes=64, dtype="float32", remat="none")
    config.mesh.fsdp = 1
    config.optimizer.update(
        learning_rate=3e-3,
        schedule="cosine",
        warmup_fraction=0.05,
        clip_norm=1.0,
        groups=(("rotary_inv_freq", "frozen"), (".", 1.0)),
    )
    return config
