"""The web page: one module a tab, and the few helpers that tabs share."""
