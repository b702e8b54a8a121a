"""ESM-2 150M with a frozen PubMedBERT: the paper's recipe for one GPU host."""

from ml_collections import ConfigDict

from configs import protclip_650m


def get_config() -> ConfigDict:
    """The 650M config with a smaller protein tower and batch."""
    config = protclip_650m.get_config()
    config.model.protein.update(
        num_layers=30, hidden_size=640, num_heads=20, intermediate_size=2560
    )
    config.batch.rows = 64
    config.eval_every = 3_600
    config.checkpoint_every = 3_600
    config.data.streams = 16
    config.mesh.fsdp = 1
    return config
