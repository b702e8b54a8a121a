"""Protein–protein interaction, as GNN-PPI trains it (run.py and gnn_train.py of its repository)."""

from protclip_jax.config.plain_values import Config


def get_config() -> Config:
    """All splits, both graphs, three seeds, and the baseline of amino-acid composition."""
    return Config(
        dict(
            splits=("random", "bfs", "dfs"),
            messages=("all", "training"),
            seeds=3,
            composition_baseline=True,
            # Share of the training pairs used to choose the epoch; GNN-PPI chooses on the test
            # part.
            valid_fraction=0.1,
            network=dict(projected=256, width=512, layers=1, dropout=0.5),
            epochs=300,
            batch_edges=2048,
            learning_rate=1e-3,
            # An L2 penalty in the gradient, as in PyTorch's Adam.
            weight_decay=5e-4,
            # Epochs without a lower training loss before the learning rate halves.
            patience=20,
        )
    )
