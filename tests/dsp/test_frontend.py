"""The frontend gives the features that the single functions give, frames first, block by block."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax import export

from serjax import dsp
from tests.reference import dsp as reference
from tests.reference.dsp import relative_error, vowel

FRONTEND = dsp.Mfcc(sample_rate_hz=8_000, n_mfcc=5, frames=9, n_fft=64, hop_length=16, n_mels=8)
WAV_BN = np.stack([vowel(FRONTEND.n_samples, 8_000, seed) for seed in range(7)])
EXPECTED_BTD = np.stack([reference.mfcc(wav, 8_000, 5, 64, 16, 8).T for wav in WAV_BN])


def test_defaults_are_librosa_s_mfcc():
    frontend = dsp.Mfcc()
    wav = vowel(frontend.n_samples, frontend.sample_rate_hz)
    features = dsp.extract(frontend, wav)
    assert features.shape == (frontend.frames, frontend.n_features) == (108, 20)
    assert relative_error(features, dsp.mfcc(wav).T) <= 1e-6


def test_spectra_by_matrix_give_the_definition_and_are_no_ffts():
    by_matrix = replace(FRONTEND, transform="matmul")
    assert relative_error(dsp.extract(by_matrix, WAV_BN), EXPECTED_BTD) <= 1e-6  # measured: 9e-8
    assert "fft" not in str(jax.make_jaxpr(partial(dsp.extract, by_matrix))(WAV_BN))
    assert "fft" in str(jax.make_jaxpr(partial(dsp.extract, FRONTEND))(WAV_BN))


@pytest.mark.parametrize("block", [1, 2, 3, 7, 8, None])
def test_every_block_size_gives_the_definition(block):
    assert relative_error(dsp.extract(FRONTEND, WAV_BN, block=block), EXPECTED_BTD) <= 1e-6  # measured: 9e-8


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,), (2, 0)])
def test_any_leading_axes(shape):
    count = int(np.prod(shape))
    features = dsp.extract(FRONTEND, WAV_BN[:count].reshape(*shape, -1) if count else np.zeros((*shape, 5), np.float32))
    assert features.shape == (*shape, 9, 5)
    if count:
        assert relative_error(features.reshape(-1, 9, 5), EXPECTED_BTD[:count]) <= 1e-6


@pytest.mark.parametrize("n_samples", [0, 1, 50, 127, 129, 300])
def test_short_clips_are_padded_and_long_ones_cut(n_samples):
    wav = vowel(300, 8_000)[:n_samples]
    fitted = np.zeros(128, np.float32)
    fitted[: min(n_samples, 128)] = wav[:128]
    expected = reference.mfcc(fitted, 8_000, 5, 64, 16, 8).T
    assert relative_error(dsp.extract(FRONTEND, wav), expected) <= 1e-6


def test_no_floor_and_a_band():
    frontend = dsp.Mfcc(
        sample_rate_hz=8_000,
        n_mfcc=5,
        frames=9,
        n_fft=64,
        hop_length=16,
        n_mels=8,
        fmin_hz=200.0,
        fmax_hz=3_000.0,
        top_db=None,
    )
    mel = dsp.melspectrogram(WAV_BN[0], sr=8_000, n_fft=64, hop_length=16, n_mels=8, fmin=200, fmax=3_000)
    expected = dsp.mfcc(S=dsp.power_to_db(mel, top_db=None), n_mfcc=5).T
    assert relative_error(dsp.extract(frontend, WAV_BN[0]), expected) <= 1e-6
    floored = replace(frontend, top_db=10.0)
    assert relative_error(dsp.extract(floored, WAV_BN[0]), expected) > 1e-2


def test_gradients_pass_through_the_blocks():
    def total(wav_BN, block):
        return jnp.square(dsp.extract(FRONTEND, wav_BN, block=block)).sum()

    whole = jax.grad(total)(jnp.asarray(WAV_BN), None)
    assert relative_error(jax.grad(total)(jnp.asarray(WAV_BN), 3), whole) <= 1e-5


@pytest.mark.parametrize("n_valid", [1, 15, 16, 17, 100, 127, 128])
def test_mask_has_the_frames_of_the_unpadded_clip(n_valid):
    own_frames = dsp.stft(WAV_BN[0, :n_valid], n_fft=64, hop_length=16).shape[1]
    np.testing.assert_array_equal(dsp.frame_mask(FRONTEND, np.int32(n_valid)), np.arange(9) < own_frames)


def test_mask_of_a_batch():
    mask = jax.jit(lambda n: dsp.frame_mask(FRONTEND, n))(jnp.array([[0, 1], [64, 128]]))
    np.testing.assert_array_equal(mask.sum(axis=-1), [[0, 1], [5, 9]])


def test_frames_beyond_the_mask_do_not_reach_into_it():
    """Frames whose window lies in the valid samples are the same, whatever the padding."""
    other = WAV_BN[0].copy()
    other[100:] = 0.0
    inside = (np.arange(9) * 16 + 32) <= 100
    np.testing.assert_allclose(
        dsp.extract(FRONTEND, other)[inside], dsp.extract(FRONTEND, WAV_BN[0])[inside], rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize("block", [3, None])
def test_one_exported_program_takes_batches_of_any_size(block):
    (batch,) = export.symbolic_shape("batch")
    shape = jax.ShapeDtypeStruct((batch, FRONTEND.n_samples), np.float32)
    program = export.export(jax.jit(partial(dsp.extract, FRONTEND, block=block)))(shape)
    for count in (1, 4, 7):
        assert relative_error(program.call(WAV_BN[:count]), EXPECTED_BTD[:count]) <= 1e-6


RATE_HZ, FRAMES = 22_050, 45
LENGTHS_B = np.array([22_528, 22_527, 15_000, 513, 1])
CLIPS_BN = np.zeros((len(LENGTHS_B), 22_528), np.float32)
for row, length in enumerate(LENGTHS_B):
    CLIPS_BN[row, :length] = 10.0**-row * vowel(length, RATE_HZ, row)


def librosa_means_180(librosa, y):
    """The script that users have: means of what librosa gives for the clip as it is."""
    chroma = librosa.feature.chroma_stft(S=np.abs(librosa.stft(y)), sr=RATE_HZ)
    features = (
        librosa.feature.mfcc(y=y, sr=RATE_HZ, n_mfcc=40),
        chroma,
        librosa.feature.melspectrogram(y=y, sr=RATE_HZ),
    )
    return [rows.mean(axis=1) for rows in features]


def librosa_means_26(librosa, y):
    one = librosa.feature
    rows = [one.chroma_stft(y=y, sr=RATE_HZ).mean(axis=0, keepdims=True), one.rms(y=y)]
    rows += [one.spectral_centroid(y=y, sr=RATE_HZ), one.spectral_bandwidth(y=y, sr=RATE_HZ)]
    rows += [one.spectral_rolloff(y=y, sr=RATE_HZ), one.zero_crossing_rate(y)]
    return [feature.mean(axis=1) for feature in (*rows, one.mfcc(y=y, sr=RATE_HZ, n_mfcc=20))]


@pytest.mark.filterwarnings("ignore")  # librosa warns of its own dependencies and of short clips
@pytest.mark.parametrize(
    ("frontend", "means"),
    [
        (dsp.Stats180(frames=FRAMES), librosa_means_180),
        (dsp.MelMeans(frames=FRAMES), lambda librosa, y: librosa_means_180(librosa, y)[2:]),
        (dsp.Stats26(frames=FRAMES), librosa_means_26),
    ],
)
def test_vectors_are_those_of_the_unpadded_clips(frontend, means):
    librosa = pytest.importorskip("librosa")
    features = dsp.extract(frontend, CLIPS_BN, n_valid=LENGTHS_B, block=2)
    assert features.shape == (len(LENGTHS_B), 1, frontend.n_features)
    for wav, length, vector in zip(CLIPS_BN, LENGTHS_B, features[:, 0], strict=True):
        groups = means(librosa, wav[:length].astype(np.float64))
        starts = np.cumsum([0, *(len(group) for group in groups)])
        for start, expected in zip(starts, groups, strict=False):
            found = np.asarray(vector[start : start + len(expected)])
            error = np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30)
            assert error <= 5e-6  # measured: 3.5e-7


@pytest.mark.slow
def test_what_lies_behind_a_clip_does_not_enter_its_vector():
    for frontend in (dsp.Stats180(frames=FRAMES), dsp.Stats26(frames=FRAMES)):
        quiet = dsp.extract(frontend, CLIPS_BN[2], n_valid=15_000)
        longer = dsp.extract(type(frontend)(frames=2 * FRAMES), CLIPS_BN[2], n_valid=15_000)
        assert relative_error(longer, quiet) <= 1e-6


@pytest.mark.parametrize(
    ("frontend", "rows"),
    [
        (dsp.LogMel(frames=FRAMES), lambda y: [dsp.power_to_db(dsp.melspectrogram(y))]),
        (dsp.RelativeLogMel(frames=FRAMES), lambda y: [dsp.power_to_db(dsp.melspectrogram(y), ref=jnp.max)]),
        (dsp.Chroma(frames=FRAMES), lambda y: [dsp.chroma_stft(y)]),
        (
            dsp.Descriptors(frames=FRAMES),
            lambda y: [
                dsp.rms(y),
                dsp.zero_crossing_rate(y),
                dsp.spectral_centroid(y),
                dsp.spectral_bandwidth(y),
                dsp.spectral_rolloff(y),
                dsp.spectral_flatness(y),
            ],
        ),
    ],
)
def test_pictures_are_what_the_functions_give(frontend, rows):
    wav = CLIPS_BN[0]
    expected = np.concatenate(rows(wav), axis=0).T
    features = dsp.extract(frontend, wav)
    assert features.shape == expected.shape == (FRAMES, frontend.n_features)
    for d in range(frontend.n_features):
        assert relative_error(features[:, d], expected[:, d]) <= 3e-6  # measured: 1.4e-6, of chroma


FRAMING = {"frames": FRAMES, "n_fft": 1024, "hop_length": 256}
PICTURES = (dsp.Mfcc(**FRAMING, n_mfcc=5), dsp.Chroma(**FRAMING), dsp.Descriptors(**FRAMING))
VECTORS = (dsp.Stats26(frames=FRAMES), dsp.Stats180(frames=FRAMES))


@pytest.mark.parametrize("parts", [PICTURES, PICTURES[:1], VECTORS], ids=["pictures", "one", "vectors"])
def test_parts_stand_side_by_side(parts):
    both = dsp.SideBySide.of(*parts)
    alone = [dsp.extract(part, CLIPS_BN[:3], n_valid=LENGTHS_B[:3], block=2) for part in parts]
    features = dsp.extract(both, CLIPS_BN[:3], n_valid=LENGTHS_B[:3], block=2)
    assert features.shape[1:] == (both.n_frames, both.n_features)
    assert both.n_samples == parts[0].n_samples
    expected = np.concatenate(alone, axis=-1)
    for d in range(both.n_features):
        assert relative_error(features[..., d], expected[..., d]) <= 1e-5  # one program fuses what several do not
    np.testing.assert_array_equal(dsp.frame_mask(both, LENGTHS_B), dsp.frame_mask(parts[0], LENGTHS_B))


def test_parts_have_the_same_frames():
    with pytest.raises(dsp.ParameterError, match="parts=\\(\\) is empty"):
        dsp.SideBySide.of()
    with pytest.raises(dsp.ParameterError, match="Chroma has hop_length=512, expected 256"):
        dsp.SideBySide.of(PICTURES[0], dsp.Chroma(frames=FRAMES, n_fft=1024))
    with pytest.raises(dsp.ParameterError, match="differ: give pictures only, or vectors only"):
        dsp.SideBySide.of(dsp.Mfcc(frames=FRAMES), VECTORS[0])
    with pytest.raises(dsp.ParameterError, match="Mfcc has frames=45, expected 108"):
        dsp.SideBySide(parts=PICTURES[:1])


def test_valid_samples_are_one_number_a_clip(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(dsp.ParameterError, match=r"n_valid has shape \(2,\), expected \(5,\)"):
        dsp.extract(dsp.Stats26(frames=FRAMES), CLIPS_BN, n_valid=np.array([1, 2]))
