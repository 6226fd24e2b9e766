"""List what can be run: experiments, studies, corpora, versions and devices.

    python -m serjax

Nothing that is listed is imported, and only the devices need JAX.
"""

import ast
import re
import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serjax.command import run_command
from serjax.data.corpora import crema_d, emodb, ravdess, savee, tess
from serjax.errors import SerjaxError
from serjax.figures.tables import say, terminal_width
from serjax.provenance import PACKAGE, versions

CHECKOUT = PACKAGE.parent
SPEECH, SONG = ravdess.N_CLIPS["speech"], ravdess.N_CLIPS["song"]
UNTRIED = "Not yet run on real files."
CORPORA = {
    "synthetic": f"Made-up speech, computed when it is read: {SPEECH} clips, 24 speakers, 8 emotions. No result on it "
    "tells anything about people.",
    "ravdess": f"RAVDESS, spoken: {SPEECH} clips, 24 actors, 8 emotions.",
    "ravdess-song": f"RAVDESS, sung: {SONG} clips, 23 actors, 6 emotions.",
    "ravdess-all": f"RAVDESS, spoken and sung: {SPEECH + SONG} clips, 24 actors, 8 emotions.",
    "crema-d": f"CREMA-D, the emotion that was intended: {crema_d.N_CLIPS} clips less those with defects, "
    f"{crema_d.N_ACTORS} actors, {len(crema_d.EMOTIONS)} emotions.",
    "crema-d-voted": "The same clips, the emotion that most listeners heard; without those whose vote is a tie.",
    "emodb": f"Emo-DB, German: {sum(emodb.N_CLIPS.values())} clips, 10 actors, {len(emodb.N_CLIPS)} emotions. "
    f"{UNTRIED}",
    "savee": f"SAVEE: {sum(savee.N_CLIPS.values())} clips, 4 men, {len(savee.N_CLIPS)} emotions. {UNTRIED}",
    "tess": f"TESS: {sum(tess.N_CLIPS.values())} clips, 2 women, {len(tess.N_CLIPS)} emotions. {UNTRIED}",
    "FILE.csv": "Your own table: path,emotion,speaker[,gender,text,intensity,channel,split,start,end].",
    "FOLDER": "Your own clips, one sub-folder per emotion.",
}


class DeviceError(SerjaxError):
    """JAX cannot start on this machine as it is set up."""

    exit_code = 1


@dataclass(frozen=True)
class Config:
    """There is no flag but --help."""


def run(_: Config) -> None:
    """Print the list, the devices last.

    Raises:
      DeviceError: JAX cannot start; all else has been printed.
    """
    show(
        "Experiments: python -m serjax.experiments.NAME (--help explains every flag)", commands(PACKAGE / "experiments")
    )
    show(f"Studies: python -m experiments.NAME, in {CHECKOUT}", studies())
    show("Corpora: --corpus NAME, with --root FOLDER where clips are read from disk", CORPORA)
    show("Versions", versions())
    show("Devices", devices())


def studies() -> dict[str, str]:
    """Return the studies of a checkout, as `commands` does; none where the package is installed without them."""
    is_checkout = (CHECKOUT / "pyproject.toml").exists()
    return commands(CHECKOUT / "experiments") if is_checkout else {}


def commands(folder: Path) -> dict[str, str]:
    """Return what can be run among the modules of a package, by name: the first sentence of each one's docstring.

    Modules are read, not imported.

    Args:
      folder: where the modules are; a sub-folder with a `__main__.py` counts too.
    """
    sources = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}
    sources = {name: source for name, source in sources.items() if 'if __name__ == "__main__":' in source}
    sources |= {path.parent.name: path.read_text(encoding="utf-8") for path in folder.glob("*/__main__.py")}
    return {name: first_sentence(ast.get_docstring(ast.parse(sources[name])) or "") for name in sorted(sources)}


def first_sentence(docstring: str) -> str:
    """Return the first sentence of a docstring, on one line."""
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    found = re.match(r".+?[.?!](?=\s|$)", paragraph)
    return found[0] if found else paragraph


def devices() -> dict[str, str]:
    """Return the devices that JAX computes on, and how many there are of each kind.

    Raises:
      DeviceError: JAX is broken, or has no device on the platform that it is told to use.
    """
    try:
        import jax  # takes a second: only when all else has been printed

        found = Counter((device.platform, device.device_kind) for device in jax.devices())
    except (ImportError, RuntimeError) as error:
        raise DeviceError(
            f"JAX cannot start: {error}\nExpected a device of the installed jaxlib. JAX_PLATFORMS=cpu computes on the "
            'CPU alone; `pip install "jax[cuda13]"` adds GPUs.'
        ) from error
    return {platform: f"{n} × {kind}" for (platform, kind), n in found.items()}


def show(title: str, entries: Mapping[str, str]) -> None:
    """Print entries below a title, each beside its name; nothing where there is none."""
    if not entries:
        return
    say(title)
    column = max(map(len, entries)) + 4
    for name, text in entries.items():
        start = f"  {name}".ljust(column)
        lines = textwrap.wrap(text, terminal_width(), initial_indent=start, subsequent_indent=" " * column)
        for line in lines:
            say(line)
    say("")


if __name__ == "__main__":
    run_command(Config, run, __doc__)
