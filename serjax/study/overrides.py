"""Ablations as lists of partial overrides of a frozen configuration, combined by product, zip and chain.

>>> overrides = product(vary("beta", 0.1, 1.0), vary("latent_dim", 2, 8))
>>> [override.name for override in overrides]
['beta=0.1,latent_dim=2', 'beta=0.1,latent_dim=8', 'beta=1.0,latent_dim=2', 'beta=1.0,latent_dim=8']
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from serjax.errors import ConfigError

Config = TypeVar("Config")


@dataclass(frozen=True)
class Override:
    """Flags, by name, and what each is set to; all others stay as they are."""

    flags: tuple[tuple[str, object], ...] = ()

    @property
    def name(self) -> str:
        """What tells it from others, and may name a folder.

        >>> Override((("hidden", (256, 64)), ("refit", True))).name
        'hidden=256-64,refit=True'
        """
        return ",".join(f"{flag}={_text(value)}" for flag, value in self.flags) or "base"


Overrides = tuple[Override, ...]
BASE: Overrides = (Override(),)


def vary(flag: str, *values: object) -> Overrides:
    """Return an override for each value of one flag: a field at any depth, or `section.field` where names repeat."""
    return tuple(Override(((flag, value),)) for value in values)


def product(*lists: Overrides) -> Overrides:
    """Combine each override of a list with each of every other, the last list fastest.

    Raises:
      ConfigError: two lists set the same flag.
    """
    return tuple(_both(several) for several in itertools.product(*lists))


def zipped(*lists: Overrides) -> Overrides:
    """Combine the first overrides of all lists, the second ones, and so on.

    >>> [override.name for override in zipped(vary("epochs", 10, 20), vary("batch_size", 16, 32))]
    ['epochs=10,batch_size=16', 'epochs=20,batch_size=32']

    Raises:
      ConfigError: the lists are of different lengths, or two set the same flag.
    """
    if len(set(map(len, lists))) > 1:
        raise ConfigError(
            f"zipped got lists of {', '.join(str(len(one)) for one in lists)} overrides: expected one size."
        )
    return tuple(_both(several) for several in zip(*lists, strict=True))


def chain(*lists: Overrides) -> Overrides:
    """Put lists one behind the other, each override once.

    >>> [override.name for override in chain(BASE, vary("beta", 0.1, 1.0), vary("beta", 1.0))]
    ['base', 'beta=0.1', 'beta=1.0']
    """
    return tuple(dict.fromkeys(itertools.chain(*lists)))


def apply(base: Config, overrides: Overrides) -> dict[str, Config]:
    """Return the configurations by name, in order; one that equals an earlier one (such as the base) is left out.

    Raises:
      ConfigError: the configuration has no such flag, has several of that name, or the flag takes another type.
    """
    found: dict[str, Config] = {}
    for override in overrides:
        config = apply_one(base, override)
        if config not in found.values():
            found[override.name] = config
    return found


def apply_one(base: Config, override: Override) -> Config:
    """Return the configuration with the flags of one override set."""
    config = base
    for flag, value in override.flags:
        config = _set(config, find(base, flag), value)
    return config


def find(config: object, flag: str) -> tuple[str, ...]:
    """Return the fields that lead to a flag, outermost first; `-` and `_` are the same.

    Raises:
      ConfigError: there is none of that name, or there are several.
    """
    wanted = tuple(flag.replace("-", "_").split("."))
    paths = list(_paths(config))
    found = [path for path in paths if path[-len(wanted) :] == wanted]
    if not found:
        raise ConfigError(f"There is no flag {flag}. Known: {', '.join(sorted({path[-1] for path in paths}))}.")
    if len(found) > 1:
        raise ConfigError(f"There are several flags {flag}: say which, {' or '.join(map('.'.join, found))}.")
    return found[0]


def _paths(config: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value, path = getattr(config, field.name), (*above, field.name)
        if dataclasses.is_dataclass(value):
            yield from _paths(value, path)
        else:
            yield path


def _set(config: Config, path: tuple[str, ...], value: object) -> Config:
    """Return the configuration with one field set; a whole number for a float becomes one, as a flag would."""
    current = getattr(config, path[0])
    if len(path) > 1:
        return dataclasses.replace(config, **{path[0]: _set(current, path[1:], value)})  # type: ignore[type-var]
    if isinstance(current, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if current is not None and type(value) is not type(current) and value is not None:
        kind = type(current).__name__
        raise ConfigError(f"The flag {path[0]} got {value!r}: expected a value of type {kind}, such as {current!r}.")
    return dataclasses.replace(config, **{path[0]: value})  # type: ignore[type-var]


def _both(several: Sequence[Override]) -> Override:
    flags = [pair for override in several for pair in override.flags]
    names = [name for name, _ in flags]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"Two lists set {', '.join(twice)}: let one of them, or chain the lists.")
    return Override(tuple(flags))


def _text(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value).replace("/", "-")
