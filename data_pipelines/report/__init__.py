"""The page and the figures that describe a built dataset."""
