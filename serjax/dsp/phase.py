"""Waveforms from magnitudes alone: phases are searched for that a signal could have."""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Complex, Float, PRNGKeyArray, Real

from serjax.dsp.columns import safe_power
from serjax.dsp.compiled import compiled
from serjax.dsp.effects import polar
from serjax.dsp.inverse import istft, mel_to_power
from serjax.dsp.parameters import (
    MelNorm,
    Number,
    PadMode,
    ParameterError,
    Window,
    as_spectrum,
    check_choice,
    check_number,
    check_size,
)
from serjax.dsp.spectral import stft

PhaseInit = Literal["random"]


@compiled
def griffin_lim(
    key: PRNGKeyArray,
    S: Real[ArrayLike, "*batch F T"],
    *,
    n_iter: int = 32,
    hop_length: int | None = None,
    win_length: int | None = None,
    n_fft: int | None = None,
    window: Window = "hann",
    center: bool = True,
    length: int | None = None,
    pad_mode: PadMode = "constant",
    momentum: Number = 0.99,
    init: PhaseInit | None = "random",
) -> Float[Array, "*batch N"]:
    r"""Waveform of a magnitude spectrogram, by `D = S exp(i arg(R[n] - m / (1 + m) R[n-1]))`, `R[n] = stft(istft(D))`.

    All clips of a batch begin with the same phases, so that none depends on its place.

    Args:
      key: random key of the first phases.
      S: magnitude, at least 0, `(..., 1 + n_fft // 2, frames)`.
      n_iter: iterations, at least 0.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      win_length: samples under the window, at most `n_fft`; `None`: `n_fft`.
      n_fft: length of the transform in samples; `None`: the even one of that many bins.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: whether frame t is centred at sample `t * hop_length`, see `stft`.
      length: samples that come out, as many as make the frames of S; `None`: as `istft`.
      pad_mode: what is padded, see `stft`.
      momentum: m, at least 0; 0: the algorithm of 1984.
      init: `random` phases, or `None`: all zero.

    Raises:
      ParameterError: as `istft`; or a choice is unknown, or another length needed.

    Source: N. Perraudin, P. Balazs and P. L. Søndergaard, "A fast Griffin-Lim algorithm", 2013.

    >>> griffin_lim(jax.random.key(0), jnp.ones((129, 10))).shape
    (576,)
    """
    check_size("n_iter", n_iter, least=0)
    check_number("momentum", momentum)
    if init is not None:
        check_choice("init", init, get_args(PhaseInit))
    magnitude = as_spectrum("S", S)
    n_bins, n_frames = magnitude.shape[-2:]
    n_fft = 2 * (n_bins - 1) if n_fft is None else n_fft
    framing: dict[str, Any] = {"hop_length": hop_length, "win_length": win_length, "window": window, "center": center}
    peak = jax.lax.stop_gradient(jnp.abs(magnitude).max(axis=(-2, -1), keepdims=True, initial=0.0))
    peak = jnp.where(peak == 0, 1.0, peak)  # the search is of one scale, whatever the level

    def signal_of(D: Complex[Array, "*batch F T"]) -> Float[Array, "*batch N"]:
        return istft(D, n_fft=n_fft, length=length, **framing)

    def improve(state: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        phasor, before = state
        possible = stft(signal_of(magnitude / peak * phasor), n_fft=n_fft, pad_mode=pad_mode, **framing)
        if possible.shape != before.shape:
            raise ParameterError(
                f"length={length} makes {possible.shape[-1]} frames, S has {n_frames}: give one that fits, or None."
            )
        # Only the phase is kept; the magnitude is the one that was asked for.
        return (polar(possible - momentum / (1.0 + momentum) * before)[1], possible), None

    key = jax.random.clone(key)  # on purpose: the blocks of a batch begin alike
    turns = jax.random.uniform(key, (n_bins, n_frames), magnitude.dtype) if init else jnp.zeros((n_bins, n_frames))
    start = jnp.broadcast_to(jnp.exp(2j * jnp.pi * turns), magnitude.shape)
    phasor, _ = jax.lax.scan(improve, (start, jnp.zeros_like(start)), None, length=n_iter)[0]
    return signal_of(magnitude / peak * phasor) * peak[..., 0]


@compiled
def mel_to_audio(
    key: PRNGKeyArray,
    M: Real[ArrayLike, "*batch M T"],
    *,
    sr: Number = 22050,
    n_fft: int = 2048,
    hop_length: int | None = 512,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
    power: Number = 2.0,
    n_iter: int = 32,
    length: int | None = None,
    fmin: Number = 0.0,
    fmax: Number | None = None,
    htk: bool = False,
    norm: MelNorm | None = "slaney",
) -> Float[Array, "*batch N"]:
    """Waveform of a mel spectrogram, `griffin_lim(mel_to_power(M) ** (1 / power))`.

    Args:
      key: random key of the first phases.
      M: mel spectrogram, at least 0, `(..., n_mels, frames)`; of decibels `db_to_power` first.
      sr: sampling rate in Hz, above 0.
      n_fft: length of the transform in samples.
      hop_length: samples from frame to frame; `None`: `win_length // 4`.
      win_length: samples under the window, at most `n_fft`; `None`: `n_fft`.
      window: a name or an array of `win_length` weights, see `get_window`.
      center: whether frame t is centred at sample `t * hop_length`, see `stft`.
      pad_mode: what is padded, see `stft`.
      power: which power of the magnitude M is of, above 0.
      n_iter: iterations of `griffin_lim`, at least 0.
      length: samples that come out, as many as make the frames of M; `None`: as `istft`.
      fmin: lowest frequency in Hz, at least 0.
      fmax: highest frequency in Hz, above `fmin` and at most `sr / 2`, which `None` stands for.
      htk: the mel formula of HTK instead of Slaney's.
      norm: `slaney` (unit area) or `None` (unit height), see `mel_filterbank`.

    Raises:
      ParameterError: as `mel_to_power` and `griffin_lim`; or `power` is not above 0.

    >>> mel_to_audio(jax.random.key(0), jnp.ones((40, 10)), sr=16_000, n_fft=512, hop_length=160).shape
    (1440,)
    """
    check_number("power", power, strict=True)
    S = safe_power(mel_to_power(M, sr=sr, n_fft=n_fft, fmin=fmin, fmax=fmax, htk=htk, norm=norm), 1.0 / power)
    return griffin_lim(
        key,
        S,
        n_iter=n_iter,
        hop_length=hop_length,
        win_length=win_length,
        n_fft=n_fft,
        window=window,
        center=center,
        length=length,
        pad_mode=pad_mode,
    )
