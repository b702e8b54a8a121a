"""Cross-modal transformation over a knowledge graph: BioBridge's bridge and protocol."""
