"""Measuring editors: benchmark runs and their reports."""
