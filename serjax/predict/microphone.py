"""What a microphone hears: a record for each window, until the command is interrupted."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float32

from serjax.bundle.bundle import Bundle
from serjax.errors import SerjaxError
from serjax.predict.hearing import row_of
from serjax.predict.tables import record_of
from serjax.predict.timeline import Windows

MICROPHONE = Path("microphone")


class MicrophoneError(SerjaxError):
    """No sound can be recorded here."""


def listen(bundle: Bundle, windows: Windows) -> Iterator[dict[str, Any]]:
    """Give a record for each window of what the default microphone hears; an interrupt ends it.

    Raises:
      MicrophoneError: `sounddevice` or its library is not installed, or there is no microphone.
    """
    start_s = 0.0
    try:
        for window_N in _windows(_sounddevice(), bundle.sample_rate_hz, windows):
            [answer] = bundle.answers([bundle.clip(window_N, bundle.sample_rate_hz, 0.0)])
            span = {"start_s": start_s, "end_s": start_s + min(windows.window_s, answer.heard_s)}
            yield {**span, **record_of(row_of(MICROPHONE, answer, None))}
            start_s += windows.hop_s
    except KeyboardInterrupt:
        return


def _windows(sounddevice: ModuleType, rate_hz: int, windows: Windows) -> Iterator[Float32[np.ndarray, " N"]]:
    """Record; give the last `window_s` seconds whenever `hop_s` more have been heard."""
    n_window, n_hop = round(windows.window_s * rate_hz), round(windows.hop_s * rate_hz)
    try:
        with sounddevice.InputStream(samplerate=rate_hz, channels=1, dtype="float32") as stream:
            heard_N = stream.read(n_window)[0][:, 0]
            while True:
                yield heard_N
                heard_N = np.concatenate([heard_N, stream.read(n_hop)[0][:, 0]])[-n_window:]
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(f"No microphone can be read ({error}). Plug one in, or record to a file.") from error


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except ImportError:
        raise MicrophoneError("--microphone needs sounddevice: pip install 'serjax[microphone]'.") from None
    except OSError as error:
        raise MicrophoneError(f"--microphone needs PortAudio ({error}): install libportaudio2 or its like.") from None
    module: ModuleType = sounddevice
    return module
