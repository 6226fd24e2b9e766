"""What a tied VAE of mel pictures makes, to be seen and heard: clips again, in another emotion, and from nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import soundfile
from jaxtyping import Float, Int

from serjax import dsp
from serjax.dsp import LogMel
from serjax.escape import file_name
from serjax.figures.canvas import save
from serjax.figures.signal import Colours, Rows, clip_pictures
from serjax.folder.manifest import SAMPLES
from serjax.models.tied_vae import TiedVAE
from serjax.study.problem import Problem
from serjax.study.trainer import pick
from serjax.train.runs import Run, stack_inputs
from serjax.train.state import gather_all

RANGE_DB = 60.0  # that colours tell apart
TICKS_HZ = (250, 1_000, 2_000, 4_000, 8_000)


@dataclass(frozen=True, eq=False)
class Voice:
    """A mel picture in dB, what it is, and how many of its frames belong to it."""

    name: str
    picture_TM: Float[np.ndarray, "T M"]
    n_frames: int


def draw_voices(
    problem: Problem, network: TiedVAE, params: Any, run: Run, frontend: LogMel, title: str, folder: Path
) -> None:
    """Draw voices as `voices.png`, and write each as a WAV file beside the folder of pictures.

    Args:
      problem: the clips.
      network: the model.
      params: of the first cell's model.
      run: that of this model, whose normaliser made its pictures.
      frontend: what the pictures are.
      title: names study, corpus and protocol.
      folder: of the pictures.
    """
    voices = make_voices(problem, network, params, run)
    own_TM = [voice.picture_TM - voice.picture_TM.max() for voice in voices]
    figure = clip_pictures(
        [np.where(np.arange(len(own)) < v.n_frames, own.T, np.nan) for own, v in zip(own_TM, voices, strict=True)],
        [voice.name for voice in voices],
        _mel_rows(frontend),
        Colours("level / dB below the picture's loudest", "magma", -RANGE_DB, 0.0, "min"),
        frontend.hop_length / frontend.sample_rate_hz,
        title,
        columns=len(problem.labels),
    )
    save(figure, folder / "voices.png")
    write_sounds(voices, frontend, folder.parent / SAMPLES)


def make_voices(problem: Problem, network: TiedVAE, params: Any, run: Run) -> list[Voice]:
    """Return four rows of a voice per emotion: test clips; these rebuilt; the first in each emotion; new ones.

    The first clip of each emotion is taken; one that no test clip has, or a corpus without, is left out of two rows.
    """
    rows = _examples(problem)
    batch = gather_all(problem.take(rows), pick(stack_inputs([run]), 0), jnp.arange(len(rows)))
    told_BK = jax.nn.one_hot(batch.label_B, len(problem.labels))
    each_KK = jnp.eye(len(problem.labels))

    def ask(method: str, *given: object) -> Float[np.ndarray, "b T C"]:
        return np.asarray(network.apply(params, *given, method=method)) * run.scale_C + run.shift_C

    rebuilt = ask("change_class", batch.x_BTC, told_BK, told_BK)
    first_KTC, told_KK = (jnp.repeat(of_B[:1], len(each_KK), axis=0) for of_B in (batch.x_BTC, told_BK))
    changed = ask("change_class", first_KTC, told_KK, each_KK)
    drawn = ask("sample_prior", jax.random.key(run.seed), each_KK)
    lengths = np.asarray(batch.mask_BT.sum(axis=1), int)
    own = [problem.labels[k] for k in problem.truth_N[rows]]
    return [
        *_voices("real {}", own, problem.x_NTC[rows], lengths),
        *_voices("rebuilt {}", own, rebuilt, lengths),
        *_voices(own[0] + " as {}", problem.labels, changed, np.repeat(lengths[:1], len(changed))),
        *_voices("new {}", problem.labels, drawn, np.full(len(drawn), drawn.shape[1])),
    ]


def write_sounds(voices: list[Voice], frontend: LogMel, folder: Path) -> None:
    """Write voices as WAV files, by `mel_to_audio`; what would be over full scale is made quieter."""
    folder.mkdir(exist_ok=True)
    sounds_VN = mel_sounds(np.stack([voice.picture_TM for voice in voices]), frontend)
    for voice, sound_N in zip(voices, sounds_VN, strict=True):
        n_samples = min(len(sound_N), voice.n_frames * frontend.hop_length)
        cut_N = sound_N[:n_samples] / max(1.0, float(np.abs(sound_N[:n_samples]).max(initial=0.0)))
        soundfile.write(folder / f"{file_name(voice.name.replace(' ', '-'))}.wav", cut_N, frontend.sample_rate_hz)


def mel_sounds(picture_VTM: Float[np.ndarray, "V T M"], frontend: LogMel) -> Float[np.ndarray, "V N"]:
    """Return waveforms of mel pictures in dB, of the length of a clip."""
    made_VN = dsp.mel_to_audio(
        jax.random.key(0),
        dsp.db_to_power(picture_VTM.swapaxes(1, 2)),
        sr=frontend.sample_rate_hz,
        n_fft=frontend.n_fft,
        hop_length=frontend.hop_length,
        length=frontend.n_samples,
        fmin=frontend.fmin_hz,
        fmax=frontend.fmax_hz,
    )
    return np.asarray(made_VN)


def _examples(problem: Problem) -> Int[np.ndarray, " b"]:
    """Return the first test clip of each emotion in the first cell, neutral first where there is one."""
    test, labels = problem.cells[0].fold.test, problem.labels
    order = sorted(range(len(labels)), key=lambda k: labels[k] != "neutral")
    rows = [test[problem.truth_N[test] == k][:1] for k in order]
    return np.concatenate(rows)


def _voices(
    caption: str, names: tuple[str, ...] | list[str], pictures: Float[np.ndarray, "b T M"], n_frames: np.ndarray
) -> list[Voice]:
    made = zip(names, pictures, n_frames.tolist(), strict=True)
    return [Voice(caption.format(name), picture_TM, n) for name, picture_TM, n in made]


def _mel_rows(frontend: LogMel) -> Rows:
    top_hz = frontend.fmax_hz or frontend.sample_rate_hz / 2
    band_hz = np.asarray(dsp.mel_frequencies(frontend.n_mels + 2, fmin=frontend.fmin_hz, fmax=top_hz))[1:-1]
    ticks = {float(np.interp(hz, band_hz, np.arange(len(band_hz)))): f"{hz:,}" for hz in TICKS_HZ if hz < band_hz[-1]}
    return Rows(np.arange(frontend.n_mels + 1) - 0.5, "frequency / Hz, mel scale", "linear", ticks)
