"""Data sets to evaluate on, one module a kind; ``registry`` recognises which one a folder is."""
