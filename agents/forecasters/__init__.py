"""Forecasting methods, one file each."""
