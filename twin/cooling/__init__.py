"""Cooling technologies, one file each."""
