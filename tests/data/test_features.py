"""Features against the frontend applied clip by clip, and what becomes of clips that cannot be read."""

import jax
import numpy as np
import pytest

from serjax.data.audio import UnreadableClips
from serjax.data.corpora.corpus import Waveforms
from serjax.data.features import BLOCK, extract_over_devices, features_of, load_features
from serjax.dsp import MelMeans, extract
from tests.data.noise_corpus import FRONTEND, Noise, make_corpus, reads

N_CLIPS = 2 * BLOCK + 7


def test_features_are_those_of_each_clip() -> None:
    corpus = make_corpus(N_CLIPS)
    features = load_features(corpus, FRONTEND, offset_s=0.025)
    assert features.values_NTD.shape == (N_CLIPS, 12, 5)
    assert features.values_NTD.dtype == np.float32
    for row in (0, BLOCK - 1, BLOCK, N_CLIPS - 1):
        clip = np.zeros(FRONTEND.n_samples, np.float32)
        wav = Noise().clip(f"{row:04d}")[200:][: clip.size]  # .025 s at 8 kHz
        clip[: wav.size] = wav
        alone = np.asarray(extract(FRONTEND, clip[None]))[0]
        np.testing.assert_allclose(features.values_NTD[row], alone, rtol=0, atol=1e-3)  # dB; measured: 3.1e-5
        np.testing.assert_array_equal(features.mask_NT[row], np.arange(12) * 128 <= wav.size)


def test_blocks_are_read_once_each_and_progress_is_told() -> None:
    corpus = make_corpus(N_CLIPS)
    told: list[tuple[int, int]] = []
    load_features(corpus, FRONTEND, progress=lambda done, total: told.append((done, total)))
    assert reads(corpus) == [BLOCK, BLOCK, 7]
    assert told == [(BLOCK, N_CLIPS), (2 * BLOCK, N_CLIPS), (N_CLIPS, N_CLIPS)]


@pytest.mark.parametrize("n_devices", [2, 3, 8])
def test_the_number_of_devices_does_not_change_a_bit(n_devices: int) -> None:
    clips_BN = np.random.default_rng(0).normal(size=(BLOCK, FRONTEND.n_samples)).astype(np.float32)
    n_valid_B = np.full(BLOCK, FRONTEND.n_samples, np.int32)
    alone = extract_over_devices(FRONTEND, clips_BN, n_valid_B, jax.devices()[:1])
    several = extract_over_devices(FRONTEND, clips_BN, n_valid_B, jax.devices()[:n_devices])
    np.testing.assert_array_equal(several, alone)


def test_fewer_clips_than_devices() -> None:
    clips_BN = np.random.default_rng(0).normal(size=(3, FRONTEND.n_samples)).astype(np.float32)
    assert extract_over_devices(FRONTEND, clips_BN, np.full(3, 9, np.int32), jax.devices()).shape == (3, 12, 5)


def test_vectors_of_short_clips_are_computed_from_short_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    frontend = MelMeans(frames=22, n_fft=512, hop_length=100)
    lengths: list[int] = []

    def spy(fitting, clips_BN, n_valid_B, devices):  # type: ignore[no-untyped-def]
        lengths.append(clips_BN.shape[1])
        return extract_over_devices(fitting, clips_BN, n_valid_B, devices)

    monkeypatch.setattr("serjax.data.features.extract_over_devices", spy)
    rng = np.random.default_rng(0)
    lengths_B = np.repeat([0, 1, 525, 526, 1_049, 1_050, 2_099], [5, 5, 6, 8, 8, 4, 4])
    n_valid_B = rng.permutation(lengths_B).astype(np.int32)
    wav_BN = rng.normal(size=(40, 2_100)).astype(np.float32) * (np.arange(2_100) < n_valid_B[:, None])
    vectors_BTD, mask_BT = features_of(frontend, Waveforms(wav_BN, n_valid_B))
    assert lengths == [600, 1_100, 2_100]  # 6, 11 and 21 hops: a quarter, a half and all of the frames, rounded up
    whole_BTD = np.asarray(extract(frontend, wav_BN, n_valid=n_valid_B))
    np.testing.assert_allclose(vectors_BTD, whole_BTD, rtol=2e-6, atol=1e-12)
    np.testing.assert_array_equal(mask_BT[:, 0], n_valid_B > 0)


BAD = ("0003", "0070", f"{N_CLIPS - 1:04d}")  # in three blocks


def test_all_unreadable_clips_are_named_at_once() -> None:
    corpus = make_corpus(N_CLIPS, Noise(bad=BAD, wild=("0090",)))
    with pytest.raises(UnreadableClips) as told:
        load_features(corpus, FRONTEND, max_bad=3)
    assert {str(error.path) for error in told.value.errors} == {*BAD, "0090"}
    assert {error.code for error in told.value.errors} == {"damaged", "non-finite"}
    assert "To go on without them: --max-bad 4." in str(told.value)


def test_nothing_goes_on_without_any_clip() -> None:
    with pytest.raises(UnreadableClips, match="2 clips cannot be read"):
        load_features(make_corpus(2, Noise(bad=("0000", "0001"))), FRONTEND, max_bad=9)


@pytest.mark.parametrize("max_bad", [4, 4 / N_CLIPS + 1e-9])
def test_the_rest_goes_on_without_them(max_bad: float) -> None:
    whole = load_features(make_corpus(N_CLIPS), FRONTEND)
    features = load_features(make_corpus(N_CLIPS, Noise(bad=BAD, wild=("0090",))), FRONTEND, max_bad=max_bad)
    bad_N = np.isin(np.arange(N_CLIPS), [int(path) for path in features.errors])
    assert bad_N.sum() == 4
    np.testing.assert_array_equal(features.values_NTD[~bad_N], whole.values_NTD[~bad_N])
    assert not features.values_NTD[bad_N].any()
    assert not features.mask_NT[bad_N].any()


def test_notes_of_all_blocks_are_one() -> None:
    features = load_features(make_corpus(N_CLIPS, Noise(silent=BAD)), FRONTEND)
    (note,) = features.notes
    assert note.line == f"Every sample is zero: 3 clips ({', '.join(BAD)})."
