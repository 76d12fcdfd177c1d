"""Forecasters: one file per method. What they share is in `base`, how wrong they were in `errors`."""
