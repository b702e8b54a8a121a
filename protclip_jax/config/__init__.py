"""The training config: its schema and checks, config files, the command line, and what a config
describes."""
