"""Enrolment: who is drawn, what is taken off, and what no score may depend on."""

import dataclasses
import itertools
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from serjax.data import Corpus, Utterance
from serjax.data.splits import ProtocolError, split_corpus
from serjax.errors import ConfigError
from serjax.evaluate.predictions import Predictions, read_predictions
from serjax.experiments.generative import Config
from serjax.folder.ownership import read_json
from serjax.study.density import study
from serjax.study.density.enrolment import Enrolment, name_with_enrolment, with_enrolment
from serjax.study.density.flags import Density, Supervectors, VoiceFeatures, check_flags
from serjax.study.density.study import DensityProblem, System
from serjax.study.density.system import Frames, Vectors, fit_members
from serjax.study.flags import Data, Machine
from serjax.study.problem import Cell
from serjax.study.stages import complete
from tests.data.test_splits import NoSound

pytestmark = pytest.mark.slow

EMOTIONS = ("happy", "sad", "angry")
N_SPEAKERS, N_TAKES, N_FUNCTIONALS = 5, 8, 6
OFFSETS = np.random.default_rng(1).normal(0, 9, size=(3, N_SPEAKERS, 1)).astype(np.float32)  # of copies, speakers


def make_corpus(emotions: tuple[str, ...] = EMOTIONS, n_takes: int = N_TAKES) -> Corpus:
    """The paths stay whatever the emotions are: `emotions` are those of the clips that are numbered 0, 1 and 2."""
    utterances = tuple(
        Utterance(f"{name}/{number}-{take:02d}.wav", emotion, name, None, None, None, None, "test")
        for name in map(str, range(N_SPEAKERS))
        for number, emotion in enumerate(emotions)
        for take in range(n_takes)
    )
    return Corpus("test", utterances, NoSound(), EMOTIONS)


CORPUS = make_corpus()
N_CLIPS = len(CORPUS.utterances)
SPEAKER_N = np.array([int(utterance.speaker) for utterance in CORPUS.utterances])
ALL = np.arange(N_CLIPS)
TRAIN = np.flatnonzero(SPEAKER_N < 3)


def test_clips_are_drawn_by_seed_and_speaker_never_by_emotion() -> None:
    poisoned = make_corpus(("angry", "happy", "sad"))
    assert (poisoned.label_ids != CORPUS.label_ids).all()
    drawn, among_others = Enrolment.of(CORPUS, 5, 0), Enrolment.of(poisoned, 5, 0)
    np.testing.assert_array_equal(drawn.drawn_N, among_others.drawn_N)
    np.testing.assert_array_equal(drawn.counts_N, among_others.counts_N)
    assert (drawn.drawn_N != Enrolment.of(CORPUS, 5, 1).drawn_N).any()
    # a speaker's clips do not depend on who else there is
    alone = Enrolment.of(CORPUS.keeping((SPEAKER_N == 3).tolist()), 5, 0)
    np.testing.assert_array_equal(alone.drawn_N, drawn.drawn_N[SPEAKER_N == 3])


def test_the_same_clips_are_left_out_whatever_number_counts() -> None:
    draws = [Enrolment.of(CORPUS, n, 0) for n in (0, 1, 5, 20)]
    for n, draw in zip((0, 1, 5, 20), draws, strict=True):
        np.testing.assert_array_equal(draw.drawn_N, draws[0].drawn_N)
        assert np.bincount(SPEAKER_N[draw.counts_N], minlength=N_SPEAKERS).tolist() == [n] * N_SPEAKERS
        assert np.bincount(SPEAKER_N[draw.scored(ALL)]).tolist() == [len(EMOTIONS) * N_TAKES - 20] * N_SPEAKERS
    for fewer, more in itertools.pairwise(draws):
        assert not (fewer.counts_N & ~more.counts_N).any()
        assert not (more.counts_N & ~more.drawn_N).any()
    assert len(Enrolment.of(CORPUS, None, 0).scored(ALL)) == N_CLIPS


def make_vectors(n_copies: int = 2) -> Vectors:
    rng = np.random.default_rng(0)
    x_ND = rng.normal(size=(N_CLIPS, N_FUNCTIONALS)) + CORPUS.label_ids[:, None]
    train_MD = np.concatenate([x_ND[TRAIN] * factor for factor in (1.0, 0.9, 1.1)[: 1 + n_copies]])
    label_M = np.tile(CORPUS.label_ids[TRAIN], 1 + n_copies)
    return Vectors(*(jnp.asarray(array, jnp.float32) for array in (x_ND, train_MD)), jnp.asarray(label_M))


def with_offsets(vectors: Vectors, rows: np.ndarray = TRAIN) -> Vectors:
    """Add to all vectors of a speaker what is the speaker's own, and in each copy something else."""
    offsets = OFFSETS[: len(vectors.train_MD) // len(rows)]
    train_MD = vectors.train_MD + np.concatenate([offset_S1[SPEAKER_N[rows]] for offset_S1 in offsets])
    return dataclasses.replace(vectors, x_ND=vectors.x_ND + OFFSETS[0][SPEAKER_N], train_MD=train_MD)


def test_means_are_those_of_the_clips_that_count_in_each_copy() -> None:
    vectors, enrolment = make_vectors(), Enrolment.of(CORPUS, 5, 0)
    centred = enrolment.centre(vectors, TRAIN)

    def expected(x_nD: np.ndarray, rows_n: np.ndarray) -> np.ndarray:
        mean_SD = {
            speaker: np.mean([x_D for x_D, row in zip(x_nD, rows_n, strict=True) if counts(row, speaker)], axis=0)
            for speaker in np.unique(SPEAKER_N[rows_n])
        }
        return np.stack([x_D - mean_SD[SPEAKER_N[row]] for x_D, row in zip(x_nD, rows_n, strict=True)])

    def counts(row: int, speaker: int) -> bool:
        return bool(SPEAKER_N[row] == speaker and enrolment.counts_N[row])

    np.testing.assert_allclose(centred.x_ND, expected(np.float64(vectors.x_ND), ALL), atol=1e-6)
    copies = np.float64(vectors.train_MD).reshape(3, len(TRAIN), -1)
    reference = np.concatenate([expected(copy_nD, TRAIN) for copy_nD in copies])
    np.testing.assert_allclose(centred.train_MD, reference, atol=1e-6)
    assert Enrolment.of(CORPUS, 0, 0).centre(vectors, TRAIN) is vectors


@pytest.mark.parametrize("n_clips", [1, 5, 20])
def test_what_is_a_speakers_own_changes_no_score(n_clips: int) -> None:
    """Scores range from -30 to 0; measured: 2e-5 with a mean taken off, 23 with none."""

    def scores(vectors: Vectors, n_clips: int) -> np.ndarray:
        centred = Enrolment.of(CORPUS, n_clips, 0).centre(vectors, TRAIN)
        return np.asarray(fit_members(centred, len(EMOTIONS), Density(), (0.2,))[0.2].scores(centred.x_ND))

    plain, offset = make_vectors(), with_offsets(make_vectors())
    np.testing.assert_allclose(scores(offset, n_clips), scores(plain, n_clips), atol=2e-4)
    assert np.abs(scores(offset, 0) - scores(plain, 0)).max() > 1


def test_drawn_clips_are_tested_nowhere_and_the_rest_once() -> None:
    splits = [split_corpus(CORPUS, "speaker-5fold", seed) for seed in range(2)]
    for seed, split in enumerate(with_enrolment(CORPUS, splits, 5)):
        tested = np.concatenate([fold.test for fold in split.folds])
        assert sorted(tested) == np.flatnonzero(~Enrolment.of(CORPUS, 5, seed).drawn_N).tolist()
        for fold, whole in zip(split.folds, splits[seed].folds, strict=True):
            np.testing.assert_array_equal(fold.train, whole.train)
            np.testing.assert_array_equal(fold.validation, whole.validation)
    assert with_enrolment(CORPUS, splits, None) == tuple(splits)


@pytest.mark.parametrize(
    ("corpus", "protocol", "says"),
    [
        (CORPUS, "random-5fold", "all clips of a speaker in one part: speaker-5fold.*this one is random-5fold"),
        (make_corpus(n_takes=6), "loso", "Speaker 0 of corpus 'test' has 18 clips here.*more than 20"),
    ],
)
def test_what_has_no_enrolment_is_refused(corpus: Corpus, protocol: str, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        with_enrolment(corpus, [split_corpus(corpus, protocol)], 5)


@pytest.mark.parametrize("n_clips", [-1, 21])
def test_numbers_of_clips_that_are_not_drawn_are_refused(n_clips: int) -> None:
    with pytest.raises(ConfigError, match=f"--enrolment {n_clips}: expected 0 to 20 clips"):
        check_flags(VoiceFeatures(), Supervectors(), Density(enrolment=n_clips))
    check_flags(VoiceFeatures(), Supervectors(), Density(enrolment=20))


def make_system(n_clips: int | None, functionals_ND: np.ndarray) -> System:
    background = Supervectors(components=2, backgrounds=1, background_frames=200, warps=(0.92,))
    voice = VoiceFeatures(n_mfcc=4)
    config = Config(features=voice, background=background, density=Density(axes=4, enrolment=n_clips))
    voice_NTD = np.random.default_rng(0).normal(size=(N_CLIPS, 12, 67)).astype(np.float32)
    mask_NT = np.ones(voice_NTD.shape[:2], np.float32)
    (split,) = with_enrolment(CORPUS, [split_corpus(CORPUS, "speaker-5fold")], n_clips)
    cells = tuple(Cell(0, fold) for fold in split.folds)
    about = {"corpus": CORPUS, "protocol": "speaker-5fold", "speakers_shared": False, "cells": cells}
    problem = DensityProblem(x_NTC=voice_NTD, mask_NT=mask_NT, functionals_ND=functionals_ND, **about)
    return System(problem, Frames.of(voice_NTD, mask_NT > 0, voice, background.warps), config)


def fitted(n_clips: int | None, functionals_ND: np.ndarray) -> tuple[Predictions, Predictions, np.ndarray]:
    """Return what the first fold says of its test clips and its validation clips, and the test rows."""
    system = make_system(n_clips, functionals_ND)
    cell = system.problem.cells[0]
    result = system.fit_cell(cell, system.scores)
    assert result.validation is not None
    return result.test, result.validation, cell.fold.test


def test_a_system_scores_the_same_clips_and_sees_no_speakers_offset() -> None:
    functionals_ND = np.asarray(make_vectors().x_ND)
    test, validation, rows = fitted(20, functionals_ND)
    without, without_validation, _ = fitted(0, functionals_ND)
    assert test.utterance == without.utterance
    assert validation.utterance == without_validation.utterance
    assert len(test.utterance) == len(validation.utterance) == len(EMOTIONS) * N_TAKES - 20
    everything, _, all_rows = fitted(None, functionals_ND)
    assert len(everything.utterance) == len(EMOTIONS) * N_TAKES
    assert np.isin(rows, all_rows).all()
    offset, offset_validation, _ = fitted(20, functionals_ND + OFFSETS[0][SPEAKER_N])
    np.testing.assert_allclose(offset.scores_NK, test.scores_NK, atol=5e-6)  # measured 4e-7
    np.testing.assert_allclose(offset_validation.scores_NK, validation.scores_NK, atol=5e-6)
    assert np.abs(fitted(0, functionals_ND + OFFSETS[0][SPEAKER_N])[0].scores_NK - without.scores_NK).max() > 0.1


def test_a_system_sees_no_speakers_offset_of_supervectors(monkeypatch: pytest.MonkeyPatch) -> None:
    functionals_ND = np.asarray(make_vectors().x_ND)
    systems = {n_clips: make_system(n_clips, functionals_ND) for n_clips in (0, 5)}

    def scores(n_clips: int) -> np.ndarray:
        system = systems[n_clips]
        return system.scores("supervector", system.problem.cells[0], False, (0.2,))[0.2].scores_NK

    plain = {n_clips: scores(n_clips) for n_clips in systems}
    real = study.background_vectors
    monkeypatch.setattr(
        study, "background_vectors", lambda frames, rows, *rest: with_offsets(real(frames, rows, *rest), rows)
    )
    np.testing.assert_allclose(scores(5), plain[5], atol=2e-4)
    assert np.abs(scores(0) - plain[0]).max() > 1


def test_clips_that_are_scored_enter_no_mean() -> None:
    functionals_ND = np.asarray(make_vectors().x_ND)
    test, validation, rows = fitted(20, functionals_ND)
    poisoned_ND = functionals_ND.copy()
    poisoned_ND[rows[1:]] = 1e6
    poisoned, poisoned_validation, _ = fitted(20, poisoned_ND)
    np.testing.assert_array_equal(poisoned.scores_NK[0], test.scores_NK[0])
    np.testing.assert_array_equal(poisoned_validation.scores_NK, validation.scores_NK)


@pytest.mark.usefixtures("no_sound")
def test_run_folders_say_it(tmp_path: Path) -> None:
    def configure(n_clips: int | None) -> Config:
        return Config(
            data=Data(emotions=EMOTIONS, protocol="speaker-6fold"),
            features=VoiceFeatures(vectors=("supervector",), frames=8, n_mfcc=4),
            background=Supervectors(components=2, backgrounds=1, background_frames=200, warps=()),
            density=Density(axes=5, shrinkages=(0.2,), enrolment=n_clips),
            machine=Machine(out=tmp_path / str(n_clips), cache=tmp_path / "cache", quiet=True),
        )

    numbers = (None, 0, 20)
    folders = complete([configure(n_clips).study() for n_clips in numbers])
    metrics = [read_json(folder.path / "metrics.json") for folder in folders]
    tables = [read_predictions(folder.path / "predictions.csv") for folder in folders]
    for n_clips, told in zip(numbers, metrics, strict=True):
        assert told["protocol"] == name_with_enrolment("speaker-6fold", n_clips)
        assert told["title"] == f"synthetic, {told['protocol']}, 1 seed"
    assert metrics[2]["title"] == "synthetic, speaker-6fold, enrolment-20, transductive, 1 seed"
    assert tables[1].utterance == tables[2].utterance
    assert [len(table.utterance) for table in tables] == [24 * 24, 24 * 4, 24 * 4]
    assert len({configure(n_clips).study().flags.fingerprint for n_clips in numbers}) == len(numbers)
