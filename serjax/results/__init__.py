"""Finished run folders read again: tables of one run, comparisons, pages."""
