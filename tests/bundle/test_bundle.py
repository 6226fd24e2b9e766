"""Bundles as users have them: waveforms in, answers out; what is damaged or foreign is said."""

import io
import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
import soundfile
import soxr

import serjax
from serjax.bundle.about import Training
from serjax.bundle.bundle import compiled
from serjax.bundle.content import content_of, content_of_file
from serjax.bundle.parts import BundleError
from tests.export.made import EMOTIONS, RATE_HZ


def test_it_needs_neither_the_run_nor_its_clips(vae, tmp_path):
    shutil.copytree(vae.folder, tmp_path / "moved")
    wav, sr = soundfile.read(vae.clips[0], dtype="float32")
    answer = serjax.load_bundle(tmp_path / "moved")(wav, sr)
    assert answer == vae.bundle(wav, sr)
    assert set(answer.probabilities) == set(EMOTIONS)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.label == max(answer.probabilities, key=answer.probabilities.get)
    assert answer.heard_s == pytest.approx(47 * 512 / RATE_HZ, abs=1e-4)
    assert "corpus.csv" not in (vae.folder / "weights.safetensors").read_bytes().decode("latin-1")


def test_batches_and_neighbours_change_nothing(vae):
    bundle = vae.bundle
    clips = [bundle.clip(*soundfile.read(path, dtype="float32"), 0.1) for path in vae.clips[:5]]
    together = bundle.answers(clips, 4)
    for clip, answer in zip(clips, together, strict=True):
        alone = bundle.answers([clip])[0]
        for name in EMOTIONS:
            assert answer.probabilities[name] == pytest.approx(alone.probabilities[name], abs=1e-5)
    compiled.cache_clear()
    bundle.answers(clips[:4])
    bundle.answers(clips[:3])
    assert compiled(bundle.system)._cache_size() == 1  # one program, whatever the number of clips


def test_other_rates_and_channels_are_heard_alike(vae):
    wav, sr = soundfile.read(vae.clips[0], dtype="float32")
    stereo = np.stack([2 * wav, 0 * wav], axis=1)
    assert vae.bundle(stereo, sr).probabilities == pytest.approx(vae.bundle(wav, sr).probabilities, abs=1e-5)
    louder = vae.bundle(soundfile.read(vae.clips[0])[0], sr, offset_s=0.1)
    assert louder.probabilities == pytest.approx(vae.bundle(wav, sr).probabilities, abs=1e-5)


def test_noise_is_unlike_training_and_short_clips_are_marked(vae):
    noise = np.random.default_rng(0).normal(0, 0.3, 3 * RATE_HZ).astype(np.float32)
    assert vae.bundle(noise, RATE_HZ).out_of_corpus
    marked = [vae.bundle(*soundfile.read(path, dtype="float32")).out_of_corpus for path in vae.clips]
    assert sum(marked) <= len(marked) // 4
    about = replace(vae.bundle.about, too_short=replace(vae.bundle.about.too_short, shortest_s=1.0))
    strict = replace(vae.bundle, about=about)
    assert strict(noise[: RATE_HZ // 2], RATE_HZ).too_short
    assert not strict(noise, RATE_HZ).too_short


@pytest.mark.parametrize(
    ("wav", "sr", "says"),
    [
        (np.zeros(9_000, np.int16), 16_000, "type int16 .* Divide 16-bit integers"),
        (np.zeros((2, 3, 4), np.float32), 16_000, r"shape \(2, 3, 4\): expected floating samples"),
        (np.full(9_000, np.nan, np.float32), 16_000, "NaN"),
        (np.zeros(1_700, np.float32), 16_000, "0.106 s of sound, of which the first 0.1 s are skipped"),
        (np.zeros(9_000, np.float32), 16_000, "heard is digital silence"),
        (np.zeros(9_000, np.float32), 16, "rate of 16 Hz: expected 4000"),
    ],
)
def test_what_is_no_waveform_is_refused(vae, wav, sr, says):
    with pytest.raises(BundleError, match=says):
        vae.bundle(wav, sr)


def test_content_survives_containers_and_is_else_another(vae, tmp_path):
    wav, sr = soundfile.read(vae.clips[0], dtype="float32")
    soundfile.write(tmp_path / "a.flac", wav, sr, subtype="PCM_24")
    assert content_of_file(tmp_path / "a.flac") == content_of_file(vae.clips[0]) == content_of(wav, sr)
    assert content_of(wav, sr) in vae.bundle.about.training.sha256
    assert len(vae.bundle.about.training.sha256) == len(vae.clips)
    wav[100] += 2e-4
    assert content_of(wav, sr) not in vae.bundle.about.training.sha256
    assert content_of(wav, sr + 1) != content_of(wav, sr)


def test_copies_of_training_clips_are_known_again_and_no_other_clip(vae):
    """At another rate, softer, as MP3 and trimmed at once, which is another content; and heard within a longer file."""
    wav, sr = soundfile.read(vae.clips[0], dtype="float32")
    file = io.BytesIO()
    soundfile.write(file, 0.5 * soxr.resample(wav[800:-800], sr, 16_000), 16_000, format="MP3")
    copy, rate_hz = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")
    assert content_of(copy, rate_hz) not in vae.bundle.about.training.sha256
    assert vae.bundle.in_training(copy, rate_hz)
    assert vae.bundle.in_training(np.concatenate([copy[::-1], copy]), rate_hz)
    assert not vae.bundle.in_training(copy[::-1].copy(), rate_hz)
    unknown = replace(vae.bundle, about=replace(vae.bundle.about, training=Training(36, None)), known=None)
    assert unknown.in_training(wav, sr) is None


@pytest.mark.parametrize(
    ("content", "says"), [(b"other", "is not the file that bundle.json belongs to"), (None, "is not there")]
)
def test_other_fingerprints_are_refused(vae, tmp_path, content, says):
    shutil.copytree(vae.folder, tmp_path / "b")
    file = tmp_path / "b" / "fingerprints.safetensors"
    file.unlink()
    if content:
        file.write_bytes(content)
    with pytest.raises(BundleError, match=f"fingerprints.safetensors {says}"):
        serjax.load_bundle(tmp_path / "b")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda about: about.pop("labels"), "no bundle of this version"),
        (lambda about: about.update(format=99), "format 99, this version reads 2"),
        (lambda about: about["system"]["network"].update(kind="os.system"), "kind 'os.system'; expected one of"),
        (lambda about: about["system"]["network"].update(extra=1), "extra.*Export the run again"),
        (lambda about: about["system"].update(network=about["system"]["frontend"]), "A Mfcc stands where another"),
        (lambda about: about["system"].update(kind="pickle"), "kind 'pickle'"),
        (lambda about: about["system"].update(score="best"), "no score is known"),
        (lambda about: about.update(weights_sha256="0"), "is not the file that bundle.json belongs to"),
    ],
)
def test_a_damaged_bundle_is_refused(vae, tmp_path, harm, says):
    folder = tmp_path / "b"
    shutil.copytree(vae.folder, folder)
    about = json.loads((folder / "bundle.json").read_text())
    harm(about)
    (folder / "bundle.json").write_text(json.dumps(about))
    with pytest.raises(BundleError, match=says):
        serjax.load_bundle(folder)


def test_the_program_of_one_file_answers_alike(vae):
    """Front end, weights and calibration in one file that JAX reads without serjax."""
    program = jax.export.deserialize(bytearray((vae.folder / "program.stablehlo").read_bytes()))
    clip = vae.bundle.clip(*soundfile.read(vae.clips[0], dtype="float32"), 0.1)
    wav_BN = np.zeros((1, vae.bundle.system.frontend.n_samples), np.float32)
    wav_BN[0, : len(clip)] = clip
    probability_BK, evidence_B = program.call(wav_BN, np.array([len(clip)], np.int32))
    answer = vae.bundle.answers([clip])[0]
    np.testing.assert_allclose(probability_BK[0], list(answer.probabilities.values()), atol=1e-5)
    assert float(evidence_B[0]) == pytest.approx(answer.evidence, rel=1e-5)
    assert set(program.platforms) == {"cpu", "cuda", "tpu"}
