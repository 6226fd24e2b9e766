"""The classifiers that a study may be about, by name, each with the flags its experiment has unless told otherwise."""

from dataclasses import replace
from typing import Literal

from serjax.experiments import cnn_mfcc, logreg, lstm_mfcc, vae_mfcc
from serjax.study.flags import Data, Machine
from serjax.study.frontends import Features
from serjax.study.overrides import Override, apply_one

Candidate = Literal["logreg", "cnn_mfcc", "lstm_mfcc", "vae_mfcc"]
SupervisedCandidate = Literal["logreg", "cnn_mfcc", "lstm_mfcc"]
SupervisedCandidateConfig = logreg.Config | cnn_mfcc.Config | lstm_mfcc.Config
CandidateConfig = SupervisedCandidateConfig | vae_mfcc.Config


def configure(
    name: Candidate, data: Data, features: Features, machine: Machine, epochs: int | None = None
) -> CandidateConfig:
    """Return the flags of a classifier on these clips and pictures, `epochs` instead of its own if given."""
    config = replace(_default(name), data=data, features=features, machine=machine)
    return config if epochs is None else apply_one(config, Override((("epochs", epochs),)))


def _default(name: Candidate) -> CandidateConfig:
    match name:
        case "logreg":
            return logreg.Config()
        case "cnn_mfcc":
            return cnn_mfcc.Config()
        case "lstm_mfcc":
            return lstm_mfcc.Config()
        case "vae_mfcc":
            return vae_mfcc.Config()
