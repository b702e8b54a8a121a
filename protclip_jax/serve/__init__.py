"""The web page and its API over a `SearchEngine`."""
