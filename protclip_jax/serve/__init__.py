"""The web page and the API of a `SearchEngine`."""
