"""The console script `protclip`."""
