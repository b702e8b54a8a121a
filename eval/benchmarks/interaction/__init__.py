"""Protein–protein interaction: GNN-PPI's splits, graph network and training."""
