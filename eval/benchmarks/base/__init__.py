"""What families of public benchmarks share: the base class, and that of benchmarks of single proteins."""
