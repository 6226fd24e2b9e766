"""Run nine commands on short synthetic corpora and keep all that they compute; or compare two such folders.

    python -m scripts.golden_runs FOLDER
    python -m scripts.golden_runs FOLDER --against EARLIER

A restructuring must leave every figure as it was, to the last digit, on one machine with one version of JAX. So record
a folder before it, another one after it, and compare: files that hold tables must be equal byte by byte, JSON by
values. What a run cannot repeat (times, versions, command lines, hashes of flags) is left out.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SMALL = "--synthetic-clips 96 --frames 32 --n-mfcc 8 --n-mels 24 --quiet"
BRIEF = f"{SMALL} --epochs 3 --batch-size 16"
NETWORK = "--hidden 24 --latent-dim 6 --pretrain-epochs 2"
TABLE = "--synthetic-clips 96 --frames 60 --quiet"
COMMANDS = {  # by the name of what they leave; later ones read earlier ones
    "vae": f"vae_mfcc {BRIEF} {NETWORK} --seeds 2 --out vae",
    "vae-refit": f"vae_mfcc {BRIEF} {NETWORK} --refit --protocol loso --emotions happy sad --out vae-refit",
    "vae-conditional": f"vae_mfcc {BRIEF} {NETWORK} --conditional --score elbo --out vae-conditional",
    "ae": f"ae_mfcc {BRIEF} {NETWORK} --out ae",
    "logreg": f"logreg {BRIEF} --seeds 2 --refit --out logreg",
    "lstm": f"lstm_mfcc {BRIEF} --filters 4 --hidden 8 --dense 8 --class-weights --out lstm",
    "cnn": f"cnn_mfcc {BRIEF} --channels 4 8 --dense 8 --picks 1 --noise-share 0.1 --out cnn",
    "cnn-last": f"cnn_mfcc {BRIEF} --channels 4 8 --dense 8 --keep last --protocol random-80-20 --out cnn-last",
    "tabular": f"tabular {TABLE} --models logistic knn tree --votes logistic+knn --cv-folds 2 --out tabular",
    "tuned": f"tabular {TABLE} --models tree --tune 3 --inner-folds 2 --features stats26 mfcc --out tuned",
    "two-stage": "two_stage --synthetic-clips 288 --frames 60 --quiet --models logistic --out two-stage",
    "vote": "vote logreg vae --weights 2 1 --out vote",
    "compare-md": "compare vae ae logreg --anyway --out compare.md --plot compare.png",
    "compare-csv": "compare vae vote logreg --anyway --metric macro_f1 --out compare.csv",
    "compare-json": "compare vae-conditional ae lstm --out compare.json",
    "compare-tex": "compare ae lstm --out compare.tex",
    "explore": "explore --synthetic-clips 48 --examples 2 --quiet --out explore",
}
UNREPEATABLE = {"seconds", "command", "versions", "machine", "git", "device", "fingerprint", "plan", "clips", "made"}
LAST_CELL = re.compile(r"[│|] *\d+(\.\d)? [│|]$|,[\d.]+,$")  # minutes or seconds
TABLES = {".csv", ".gz", ".tex", ".md", ".txt"}


def main() -> None:
    """Record a folder, compare it with another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--against", type=Path)
    arguments = parser.parse_args()
    record(arguments.folder)
    if arguments.against is not None:
        differing = list(differences(arguments.against, arguments.folder))
        print("\n".join(differing) or "All figures are equal.")
        sys.exit(bool(differing))


def record(folder: Path) -> None:
    """Run the commands that `folder` lacks inside it, and keep what each prints."""
    folder.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    surroundings = os.environ | {"PYTHONPATH": path, "SERJAX_CACHE": str((folder / "cache").resolve())}
    for name, command in COMMANDS.items():
        if (folder / f"{name}.txt").exists():
            continue
        words = [sys.executable, "-m", *shlex.split(f"serjax.experiments.{command}")]
        done = subprocess.run(words, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{command}\nended with {done.returncode}:\n{done.stderr}")
        (folder / f"{name}.txt").write_text(done.stdout)
        print(name, flush=True)


def differences(earlier: Path, later: Path) -> Iterator[str]:
    """Give a line for each value that is not the same in both folders, and for each field that only one has."""
    ours, theirs = (dict(values(folder)) for folder in (later, earlier))
    for name in sorted(ours.keys() & theirs.keys()):
        if ours[name] != theirs[name]:
            yield f"{name}: {theirs[name]} → {ours[name]}"
    for which, names in (("earlier", theirs.keys() - ours.keys()), ("later", ours.keys() - theirs.keys())):
        fields = Counter(name.partition("/")[2] for name in names)
        yield from (f"only {which}: {field} ({n} ×)" for field, n in sorted(fields.items()))


def values(folder: Path) -> Iterator[tuple[str, str]]:
    """Give each line of a table and each value of a JSON file under a name of its own."""
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        if any(part in place for part in ("cache/", "/cells/", "/checkpoints/", "manifest.json")):
            continue
        if path.suffix == ".json":
            yield from leaves(json.loads(path.read_text()), place)
        elif path.suffix == ".jsonl":
            for n, line in enumerate(path.read_text().splitlines()):
                yield from leaves(json.loads(line), f"{place}:{n}")
        elif path.suffix in TABLES - {".gz"}:
            lines = path.read_text().splitlines()
            yield from (
                (f"{place}:{n}", LAST_CELL.sub("", " ".join(line.split())))
                for n, line in enumerate(lines)
                if repeatable(line)
            )


def repeatable(line: str) -> bool:
    """Tell whether a line of a printed table or page says only what another run would say again."""
    return not any(sign in line for sign in ("Written to", "Command:", " minutes", " in ", "git "))


def leaves(content: object, name: str) -> Iterator[tuple[str, str]]:
    """Give each value of a JSON document by the path that leads to it."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key not in UNREPEATABLE:
                yield from leaves(value, f"{name}/{key}")
    elif isinstance(content, list):
        for n, value in enumerate(content):
            yield from leaves(value, f"{name}/{n}")
    else:
        yield name, repr(content)


if __name__ == "__main__":
    main()
