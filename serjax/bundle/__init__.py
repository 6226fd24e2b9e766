"""Bundles: a trained system as a folder of files that scores waveforms on its own."""
