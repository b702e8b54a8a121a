"""Every field of a config, and the parts that a config describes."""
