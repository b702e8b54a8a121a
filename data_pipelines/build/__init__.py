"""Steps and drivers (`local`, `beam`) of `python -m data_pipelines.build`."""
