"""Engines: what edits an image by instruction."""
