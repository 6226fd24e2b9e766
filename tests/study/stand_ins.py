"""What tests of studies take in place of something dear, and what every study leaves."""

import numpy as np

from serjax.data import Corpus
from serjax.data.feature_cache import Features
from serjax.dsp import Frontend


def noise(corpus: Corpus, frontend: Frontend, **_: object) -> Features:
    """Give features that nobody computed: to compile the front ends for eight devices takes longer than all else."""
    shape = (len(corpus.utterances), frontend.n_frames, frontend.n_features)
    values_NTD = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return Features(values_NTD, np.ones(shape[:2], bool))


METRICS = set(
    [
        "experiment",
        "corpus",
        "corpus_notes",
        "offset_s",
        "windows",
        "protocol",
        "speakers_shared",
        "texts_shared",
        "leak",
        "labels",
        "told_apart",
        "title",
        "uar",
        "uar_sd",
        "uar_ci95",
        "war",
        "macro_f1",
        "per_fold",
        "per_class",
        "confusion",
        "roc_auc",
        "validation_uar",
        "temperature",
        "ece",
        "ece_uncalibrated",
        "nll",
        "nll_uncalibrated",
        "model",
        "refit",
        "n_parameters",
        "n_models",
        "device",
        "train_war",
        "cv_war",
        "gender_war",
        "chosen_epochs",
        "chosen_scores",
        "chosen",
        "inner_uar",
        "score",
        "scores",
        "noise_variance",
        "members",
        "seconds",
        "command",
        "versions",
        "machine",
        "git",
    ]
)
"""The fields of `metrics.json`, the same for all kinds of study."""
