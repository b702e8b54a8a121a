"""What `python -m data_pipelines.download` is made of: requests that resume, and what UniProt
says about its releases."""
