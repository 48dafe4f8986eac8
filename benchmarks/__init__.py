"""Speed and memory, ours beside what a user would pick instead: ``python -m benchmarks edit|attention|generate``."""
