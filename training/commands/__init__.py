"""The commands of ``training.generate``: a module each, with ``add`` for its options and ``run``."""
