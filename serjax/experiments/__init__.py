"""Experiments: `python -m serjax.experiments.NAME`; one short module each, one skeleton."""
