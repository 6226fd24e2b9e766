"""Exporting a run: its system is fitted again to all rows and written as a bundle."""
