"""Predicting with a bundle: files in, one row each out."""
