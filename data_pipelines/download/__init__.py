"""Parts of `python -m data_pipelines.download`: resumable requests and UniProt's release data."""
