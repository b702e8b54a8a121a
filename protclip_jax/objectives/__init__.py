"""The objectives: one file each, with its formula."""
