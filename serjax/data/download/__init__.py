"""Corpora from their published places: licence first, resumed, checked, unpacked within bounds."""
