"""Import and export: one module for each format that other programs read, and two that drive them.

``exporting.export_data_set`` and ``importing.import_data_set`` do the work for every format in ``registry``.
"""
