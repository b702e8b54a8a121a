"""Knowledge graphs and protein interaction networks."""
