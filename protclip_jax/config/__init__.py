"""The training config: schema, checks, config files, and the command line."""
