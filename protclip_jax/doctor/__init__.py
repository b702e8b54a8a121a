"""What is installed, and what a checkpoint can do."""
