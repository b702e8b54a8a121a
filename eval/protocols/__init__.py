"""How a protein-level task is learnt on a model: frozen probe, fine-tuning, ridge; and what a
task is to them."""
