"""Metrics, statistics, generative scores, predictions and figures: from what models say to what a reader learns."""
