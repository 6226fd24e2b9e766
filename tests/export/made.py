"""A small corpus of real files, runs on it, and their bundles: what tests of export, bundles and prediction share."""

import csv
import functools
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile

from serjax import main
from serjax.bundle.bundle import Bundle, load_bundle
from serjax.data import Window, load_corpus
from serjax.experiments import cnn_mfcc, vae_mfcc
from serjax.export import refit
from serjax.export.__main__ import Config, export
from serjax.figures import canvas
from serjax.study.flags import Classification, Data, Machine, Model, SupervisedTraining, Training
from serjax.study.frontends import Features
from serjax.study.trainer import Request
from serjax.train.shares import Trained

EMOTIONS, N_SPEAKERS, N_EACH, RATE_HZ = ("angry", "happy", "sad"), 4, 3, 22_050


@dataclass(frozen=True, eq=False)
class Made:
    """A run, its bundle, and what was trained for it."""

    corpus: Path
    run: Path
    folder: Path
    trained: list[tuple[Request, Trained]]

    @property
    def bundle(self) -> Bundle:
        return load_bundle(self.folder)

    @property
    def clips(self) -> list[Path]:
        with self.corpus.open() as file:
            return [self.corpus.parent / row["path"] for row in csv.DictReader(file)]


def write_corpus(folder: Path) -> Path:
    """Write 1.5 s of 36 synthetic clips as 16-bit WAV, and the table of them, sorted by path."""
    corpus = load_corpus("synthetic", None).only(EMOTIONS)
    speakers = sorted(corpus.speakers)[:N_SPEAKERS]
    of_cell = {
        (s, e): [c for c in corpus.utterances if (c.speaker, c.emotion) == (s, e)] for s in speakers for e in EMOTIONS
    }
    chosen = sorted((clip for clips in of_cell.values() for clip in clips[:N_EACH]), key=lambda clip: clip.path)
    sound = corpus.source.read([clip.path for clip in chosen], Window(RATE_HZ, 33_075, 0.5))
    with (folder / "corpus.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "emotion", "speaker", "gender"])
        for clip, wav_N in zip(chosen, sound.values_BN, strict=True):
            name = clip.path.replace("/", "_").rpartition(".")[0] + ".wav"
            soundfile.write(folder / name, np.clip(wav_N, -1, 1), RATE_HZ, subtype="PCM_16")
            table.writerow([name, clip.emotion, clip.speaker, clip.gender])
    return folder / "corpus.csv"


def make(config: vae_mfcc.Config | cnn_mfcc.Config, folder: Path, **flags: object) -> Made:
    """Run an experiment on the corpus and export it, noting what the export trains."""
    folder.mkdir()
    config = replace(config, machine=Machine(quiet=True, devices=1, out=folder / "run"))
    noted: list[tuple[Request, Trained]] = []

    def noting(requests: list[Request]) -> list[Trained]:
        found = train_requests(requests)
        noted.extend(zip(requests, found, strict=True))
        return found

    train_requests = refit.train_requests
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refit, "train_requests", noting)
        patch.setattr(canvas, "save", lambda figure, path, dpi=150: None)
        main.run(config)
        export(Config(folder / "run", folder / "bundle", quiet=True, **flags))
    assert isinstance(config.data.corpus, str)
    return Made(Path(config.data.corpus), folder / "run", folder / "bundle", noted)


def data_of(corpus: Path) -> Data:
    return Data(corpus=str(corpus), protocol="loso", offset=0.1)


FEATURES = Features(frames=48, n_mfcc=8, n_mels=40)


def vae_config(corpus: Path) -> vae_mfcc.Config:
    return vae_mfcc.Config(
        data=data_of(corpus),
        features=FEATURES,
        model=Model(latent_dim=4, hidden=(16,)),
        training=Training(epochs=3, pretrain_epochs=2, batch_size=8),
        classification=Classification(importance_samples=2),
    )


def network_config(corpus: Path) -> cnn_mfcc.Config:
    return cnn_mfcc.Config(
        data=data_of(corpus),
        features=FEATURES,
        model=cnn_mfcc.Model(channels=(4,), dense=(), dropout=0.1),
        training=SupervisedTraining(epochs=3, batch_size=8),
    )


@functools.cache
def made_of(kind: Literal["vae", "network"]) -> Made:
    """Make it once per process: each folder of tests has fixtures of its own."""
    folder = Path(tempfile.mkdtemp(prefix="made-", dir=os.environ["SERJAX_TESTS"]))
    corpus = write_corpus(folder)
    config = vae_config(corpus) if kind == "vae" else network_config(corpus)
    return make(config, folder / "of", seeds=1 if kind == "vae" else 2)


@pytest.fixture(scope="session")
def vae() -> Made:
    return made_of("vae")


@pytest.fixture(scope="session")
def network() -> Made:
    return made_of("network")
