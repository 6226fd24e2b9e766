"""The `README.md` of a bundle: a model card as Hugging Face reads it, with the figures of the run."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from serjax.bundle.about import About
from serjax.evaluate.metrics import uar
from serjax.evaluate.predictions import Predictions
from serjax.export.rebuild import ExportedRun
from serjax.figures.markdown import markdown_facts, markdown_page, markdown_section, markdown_table
from serjax.study.problem import Problem

KEPT = """experiment corpus protocol speakers_shared texts_shared leak told_apart title uar uar_sd uar_ci95 war macro_f1
per_class ece nll refit command versions git"""
USE = """```python
import soundfile
import serjax

model = serjax.load_bundle("BUNDLE")
answer = model(*soundfile.read("clip.wav"))
print(answer.label, answer.probabilities)
```

```
python -m serjax.predict BUNDLE clip.wav folder/
```

`program.stablehlo` is the same for one clip, front end and weights included: `jax.export.deserialize` reads it, without
serjax."""
INTENDED = """Research on how emotion sounds in speech: comparing corpora, features and models; sorting recordings for
further listening. One clip is one short utterance of one speaker, without music or noise."""
LIMITS = """- It tells how speech *sounds* to it, as acted or labelled in its corpus. It knows nothing of what a person
  feels. Do not decide about people by it: hiring, policing, health, schooling, insurance.
- Figures hold for the corpus and protocol named here. On other languages, microphones, rooms and ages expect less.
- The mark `out of corpus` sees what is explained badly, such as music. Noise and other corpora may pass.
- Probabilities are calibrated on the corpus. Elsewhere they are too sure.
- The licence of the corpus may bind the weights: many corpora of emotion are for research alone."""


def run_facts(run: ExportedRun, problem: Problem) -> dict[str, Any]:
    """Return what a bundle keeps of its run: figures, flags, and UAR by gender of the speaker."""
    facts = {name: run.metrics.get(name) for name in KEPT.split()}
    genders = {clip.path: clip.gender for clip in problem.corpus.utterances}
    return {**facts, "uar_by_gender": uar_by_gender(run.finished.predictions, genders), "config": run.config["config"]}


def uar_by_gender(predictions: Predictions, genders: Mapping[str, str | None]) -> dict[str, float]:
    """Return the UAR of the test clips of each gender that the corpus tells, all seeds and folds pooled."""
    gender_N = np.array([genders.get(path) or "" for path in predictions.utterance])
    known = sorted(set(gender_N.tolist()) - {""})
    return {gender: uar(predictions.rows(gender_N == gender).confusion()) for gender in known}


def model_card(about: About) -> str:
    """Return the page, with the front matter that Hugging Face reads."""
    run = about.run
    title = f"{run['experiment']} on {run['corpus']}"
    sections = [
        markdown_section("Use", USE),
        markdown_section("Intended use", INTENDED),
        markdown_section("Limits", LIMITS),
        markdown_section("Figures of the run", _protocol(run), _figures(run)),
        markdown_section("Per emotion", _per_class(run)),
        markdown_section("By gender of the speaker", _by_gender(run["uar_by_gender"])),
        markdown_section("By length", _by_length(about)),
        markdown_section("How it was made", _made(about)),
    ]
    return front_matter(about, title) + markdown_page(title, _first(about), *sections)


def front_matter(about: About, title: str) -> str:
    """Return the YAML block: tags and `model-index`, each value as JSON, which YAML is able to read."""
    run = about.run
    metrics = [{"type": name, "value": run[name], "name": name} for name in ("uar", "war", "macro_f1")]
    dataset = {"type": run["corpus"], "name": f"{run['corpus']}, {run['protocol']}", "split": "test"}
    task = {"type": "audio-classification", "name": "Speech emotion recognition"}
    fields = {
        "library_name": "serjax",
        "pipeline_tag": "audio-classification",
        "tags": ["speech-emotion-recognition", "jax", run["experiment"]],
        "model-index": [{"name": title, "results": [{"task": task, "dataset": dataset, "metrics": metrics}]}],
    }
    return "---\n" + "".join(f"{name}: {json.dumps(value)}\n" for name, value in fields.items()) + "---\n\n"


def _first(about: About) -> str:
    labels, heard_s = ", ".join(about.labels), about.listening.offset_s
    return (
        f"Tells {labels} in speech. It hears a clip from second {heard_s:g} on, as in training; give another offset "
        "where speech begins earlier. Made with serjax; weights are safetensors, no file is a pickle."
    )


def _protocol(run: Mapping[str, Any]) -> str:
    shares = [name for name in ("speakers", "texts") if run[f"{name}_shared"]]
    shared = f" Test clips share {' and '.join(shares)} with training clips." if shares else ""
    leak = f" **LEAK: {run['leak']}.**" if run["leak"] else ""
    return f"Test clips under `{run['protocol']}`, by models that did not see them.{shared}{leak}"


def _figures(run: Mapping[str, Any]) -> str:
    interval = f" [{run['uar_ci95'][0]:.3f}, {run['uar_ci95'][1]:.3f}]" if run["uar_ci95"] else ""
    calibration = [("calibration error", "not measured" if run["ece"] is None else f"{run['ece']:.3f}")]
    rows = [("UAR", f"{run['uar']:.3f}{interval}"), ("accuracy", f"{run['war']:.3f}")]
    return markdown_table(("figure", "value"), (*rows, ("macro F1", f"{run['macro_f1']:.3f}"), *calibration))


def _per_class(run: Mapping[str, Any]) -> str:
    rows = [(label, of["precision"], of["recall"], of["support"]) for label, of in run["per_class"].items()]
    return markdown_table(("label", "precision", "recall", "clips"), rows)


def _by_gender(found: Mapping[str, float]) -> str:
    return markdown_table(("gender", "UAR"), list(found.items())) if found else "The corpus does not tell genders."


def _by_length(about: About) -> str:
    found = about.too_short
    if found is None:
        return "Not measured: the protocol leaves no validation clips."
    rows = [(f"{seconds:g} s", reached) for seconds, reached in found.uar]
    table = markdown_table(("heard", "UAR"), [*rows, ("whole clip", found.uar_whole)])
    return (
        f"{found.n_clips} validation clips, cut. Below {found.needed_s:g} s answers are marked `too short`.\n\n{table}"
    )


def _made(about: About) -> str:
    refit, training, calibration = about.refit, about.training, about.calibration
    epochs = refit.get("epochs")
    facts = {
        "Trained on": f"all {training.n_clips} clips, after the run had chosen everything",
        "Seeds": str(refit["seeds"]),
        "Temperature": "none"
        if calibration.temperature is None
        else f"{calibration.temperature:.3f}, fitted to {calibration.n_clips} validation scores of the run",
        "Run": f"`{about.run['command']}`",
    }
    return markdown_facts(facts | ({"Epochs": f"`{json.dumps(epochs)}`"} if epochs else {}))
