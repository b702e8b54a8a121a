"""The steps of `python -m data_pipelines.build` and its two drivers, `local` and `beam`."""
