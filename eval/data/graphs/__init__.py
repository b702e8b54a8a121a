"""Knowledge graphs and networks of proteins."""
