"""Front ends and networks as JSON and back: a closed list of kinds, so that a bundle names no code of its own."""

import dataclasses
from typing import Any

from serjax import dsp
from serjax.dsp.utterance import Functionals
from serjax.dsp.voice import VoiceFrames
from serjax.errors import SerjaxError
from serjax.models import (
    CNN,
    CNN1D,
    CNNLSTM,
    MLP,
    VAE,
    VGG,
    Autoencoder,
    BoundVAE,
    LogisticRegression,
    MobileNet,
    Recurrent,
    TimeDistributed,
    VectorRecurrent,
)

FRONTENDS = (
    dsp.Chroma,
    dsp.Descriptors,
    dsp.LogMel,
    dsp.Mfcc,
    dsp.RelativeLogMel,
    dsp.SideBySide,
    dsp.Stats180,
    dsp.Stats26,
)
CLASSIFIERS = (
    CNN,
    CNN1D,
    CNNLSTM,
    MLP,
    VGG,
    LogisticRegression,
    MobileNet,
    Recurrent,
    TimeDistributed,
    VectorRecurrent,
)
AUTOENCODERS = (VAE, BoundVAE, Autoencoder)
KINDS = {kind.__name__: kind for kind in (*FRONTENDS, Functionals, VoiceFrames, *CLASSIFIERS, *AUTOENCODERS)}
KIND = "kind"
FLAX = ("parent", "name")  # fields of every network that say where it stands in another one


class BundleError(SerjaxError):
    """A bundle cannot be read, made or used as asked."""


def describe(part: Any) -> dict[str, Any]:
    """Return a front end or a network as JSON: its kind, and every field.

    >>> describe(dsp.Chroma(frames=50))["kind"], describe(dsp.Chroma(frames=50))["frames"]
    ('Chroma', 50)
    """
    names = [field.name for field in dataclasses.fields(part) if field.init and field.name not in FLAX]
    return {KIND: type(part).__name__, **{name: _plain(getattr(part, name)) for name in names}}


def build(content: Any) -> Any:
    """Return what `describe` described.

    Raises:
      BundleError: an unknown kind, or fields that it does not take.

    >>> build(describe(dsp.Mfcc(frames=50))) == dsp.Mfcc(frames=50)
    True
    """
    if not isinstance(content, dict) or content.get(KIND) not in KINDS:
        found = content.get(KIND) if isinstance(content, dict) else content
        raise BundleError(f"A part of kind {found!r}; expected one of {', '.join(KINDS)}. Export the run again.")
    fields = {name: _built(value) for name, value in content.items() if name != KIND}
    try:
        return KINDS[content[KIND]](**fields)
    except (TypeError, ValueError) as error:
        raise BundleError(f"A {content[KIND]} of {fields}: {error}. Export the run again.") from error


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return describe(value)
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _built(value: Any) -> Any:
    if isinstance(value, dict):
        return build(value)
    return tuple(_built(one) for one in value) if isinstance(value, list) else value
