"""Making triplets: the record format, and one module for each branch that writes it."""
