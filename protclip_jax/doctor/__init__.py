"""Reports what is installed, and what a checkpoint can do."""
