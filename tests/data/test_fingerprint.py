"""A recording is known again after what files go through; another one, or a sound that all share, is not."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
import soxr

from serjax.data import Window
from serjax.data.corpora.synthetic import synthetic_corpus
from serjax.data.fingerprint import MOST_ERRORS, copies, fingerprint
from serjax.errors import SerjaxError
from tests.dsp.test_imports import new_modules

RATE_HZ = 22_050
Sound = tuple[np.ndarray, int]


@pytest.fixture(scope="module")
def wavs() -> list[np.ndarray]:
    """Give 16 clips, among them both repetitions of what one voice says."""
    corpus = synthetic_corpus(1440)
    paths = [u.path for u in corpus.utterances if u.speaker == "01" and u.emotion in ("sad", "angry")]
    values_BN, n_valid_B, _ = corpus.source.read(paths, Window(RATE_HZ, 5 * RATE_HZ))
    return [wav_N[:n] for wav_N, n in zip(values_BN, n_valid_B, strict=True)]


def mp3(wav: np.ndarray, rate_hz: int) -> Sound:
    file = io.BytesIO()
    form = {"format": "MP3", "compression_level": 0.65, "bitrate_mode": "CONSTANT"}
    soundfile.write(file, wav, rate_hz, "MPEG_LAYER_III", **form)
    assert len(file.getvalue()) * 8 * rate_hz / len(wav) == pytest.approx(64_000, rel=0.1)
    return soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")


def cut(wav: np.ndarray, rate_hz: int) -> Sound:
    return wav[round(0.05 * rate_hz) : -round(0.05 * rate_hz)], rate_hz


CHANGES: dict[str, Callable[[np.ndarray, int], Sound]] = {
    "8 kHz": lambda wav, rate_hz: (soxr.resample(wav, rate_hz, 8_000), 8_000),
    "44.1 kHz": lambda wav, rate_hz: (soxr.resample(wav, rate_hz, 44_100), 44_100),
    "mp3": mp3,
    "louder, clipped": lambda wav, rate_hz: (np.clip(4 * wav, -1, 1), rate_hz),
    "softer, 16 bits": lambda wav, rate_hz: (np.round(wav / 4 * 2**15).astype(np.float32) / 2**15, rate_hz),
    "cut": cut,
    "all": lambda wav, rate_hz: mp3(*cut(soxr.resample(np.clip(4 * wav, -1, 1), rate_hz, 16_000), 16_000)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_no_other(wavs: list[np.ndarray], change: str) -> None:
    found = copies(
        [fingerprint(wav, RATE_HZ) for wav in wavs], [fingerprint(*CHANGES[change](w, RATE_HZ)) for w in wavs]
    )
    assert [pair[:2] for pair in found] == [(n, n) for n in range(len(wavs))]
    assert all(0 <= pair.errors <= MOST_ERRORS for pair in found)


def test_the_same_words_again_are_no_copy_but_a_part_of_a_recording_is(wavs: list[np.ndarray]) -> None:
    prints = [fingerprint(wav, RATE_HZ) for wav in (*wavs, np.concatenate([wavs[3], wavs[5]]))]
    assert copies(prints[:-1]) == ()
    assert [pair[:2] for pair in copies(prints)] == [(3, 16), (5, 16)]
    assert copies([], prints) == copies([]) == ()


def test_a_jingle_in_common_makes_no_copy_and_noise_in_pauses_hides_none(wavs: list[np.ndarray]) -> None:
    jingle = wavs[0][RATE_HZ // 2 : RATE_HZ]
    one, other = (fingerprint(np.concatenate([jingle, wav]), RATE_HZ) for wav in (wavs[3], wavs[5]))
    assert copies([one], [other]) == ()
    pausing = np.concatenate([wavs[3], np.zeros(3 * RATE_HZ, np.float32)])
    noise = np.random.default_rng(0).normal(size=len(pausing)).astype(np.float32)
    noisy = pausing + 1e-3 * np.abs(pausing).max() * noise
    assert len(copies([fingerprint(pausing + 1e-7 * noise[::-1], RATE_HZ)], [fingerprint(noisy, RATE_HZ)])) == 1


def test_silence_and_moments_are_like_nothing() -> None:
    moment = np.random.default_rng(0).normal(size=6_600).astype(np.float32)  # 0.3 s
    silence, sample = np.zeros(RATE_HZ, np.float32), np.ones(1, np.float32)
    prints = [fingerprint(wav, RATE_HZ) for wav in (silence, silence, moment, moment, sample, sample)]
    assert [bool(words_T.any()) for words_T in prints] == [False, False, True, True, False, False]
    assert copies(prints) == ()


@pytest.mark.parametrize(("wav", "rate_hz"), [(np.ones((2, 9)), 8_000), (np.full(9, np.nan), 8_000), (np.ones(9), 100)])
def test_what_is_no_mono_sound_is_refused(wav: np.ndarray, rate_hz: int) -> None:
    with pytest.raises(SerjaxError, match="finite mono samples"):
        fingerprint.__wrapped__(wav.astype(np.float32), rate_hz)


def test_it_loads_neither_jax_nor_what_trains() -> None:
    loaded = new_modules("import serjax.data.fingerprint", before="pass")
    assert loaded & {"jax", "grain", "orbax", "flax", "optax"} == set()
    assert "serjax" in loaded
