"""`compare` on run folders made by hand: the figures, what it refuses, and what it writes."""

import csv
import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from serjax.command import run_command
from serjax.errors import ConfigError
from serjax.evaluate.metrics import Metric
from serjax.evaluate.predictions import Predictions, write_predictions
from serjax.evaluate.summary import summarise
from serjax.experiments import compare
from serjax.experiments.compare import Config
from serjax.figures.tables import TitledTable
from serjax.folder import manifest
from serjax.folder.finished import read_run
from serjax.results import comparison_table
from serjax.results.comparison import make_table, runs_among
from serjax.results.comparison_table import CSV, Row, Table, latex, table_of
from serjax.results.page import read_content

LABELS, N_SPEAKERS, N_CLIPS = ("happy", "sad"), 8, 64  # 8 clips per speaker, 4 of each label


def predictions(wrong: list[int], n_seeds: int = 1) -> Predictions:
    """Return a run in which clip n (speaker n mod 8, label n // 8 mod 2) is mistaken if it is in `wrong`."""
    truth_N = np.arange(N_CLIPS) // N_SPEAKERS % 2
    prediction_N = np.where(np.isin(np.arange(N_CLIPS), wrong), 1 - truth_N, truth_N)
    return Predictions(
        utterance=tuple(f"{n:02d}.wav" for n in range(N_CLIPS)) * n_seeds,
        speaker=tuple(f"s{n % N_SPEAKERS}" for n in range(N_CLIPS)) * n_seeds,
        fold=("fold-1",) * (N_CLIPS * n_seeds),
        seed=np.repeat(np.arange(n_seeds), N_CLIPS),
        truth=np.tile(truth_N, n_seeds),
        prediction=np.tile(prediction_N, n_seeds),
        scores_NK=np.eye(2)[np.tile(prediction_N, n_seeds)],
        labels=LABELS,
    )


def write_run(path: Path, run: Predictions, config: dict | None = None, **about: object) -> Path:
    """Write the files of a finished run that `compare` reads."""
    path.mkdir(parents=True)
    content = {
        "experiment": "made_up",
        "corpus": "ravdess",
        "protocol": "speaker-6fold",
        "speakers_shared": False,
        "leak": None,
        "refit": False,
        "labels": list(run.labels),
        "n_parameters": 1234,
        "n_models": None,
        "seconds": 5.0,
    } | about
    content |= summarise(run, bool(content["speakers_shared"]))
    (path / "metrics.json").write_text(json.dumps(content))
    (path / "config.json").write_text(json.dumps({"command": "python -m made.up", "config": config or {}}))
    write_predictions(run, path / "predictions.csv")
    manifest.finish(path, {})
    return path


def table(paths: list[Path], metric: Metric = "uar", anyway: bool = False) -> Table:
    return make_table([read_run(path) for path in paths], metric, anyway)


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """One run without a mistake; one with a mistake of every speaker; one with a mistake of two speakers."""
    return [
        write_run(tmp_path / "right", predictions([])),
        write_run(tmp_path / "all-err", predictions(list(range(8)))),
        write_run(tmp_path / "two-err", predictions([8, 9], n_seeds=2)),
    ]


def test_what_is_no_run_is_left_out_with_a_word(three, capsys):
    (three[0].parent / "notes.txt").write_text("")
    (three[0].parent / "explored").mkdir()
    paths = sorted(three[0].parent.iterdir())
    assert runs_among(paths) == sorted(three)
    said = capsys.readouterr().err
    assert "notes.txt is left out: it is a file, no run folder." in said
    assert "explored is left out: it is no run folder: it has no config.json." in said
    with pytest.raises(ConfigError, match=r"None of these is the folder of a run: .*explored.*; .*notes.txt"):
        runs_among([path for path in paths if path not in three])


def test_differences_p_and_holm_by_hand(three):
    """Mistakes in 8 of 32 happy clips: Δ = −1/8, and 2 of 2⁸ swaps are as large; in 2 of 32 sad: −1/32, 2 of 2²."""
    first, second, third = table(three).rows
    assert (first.mean, first.difference, first.p_value, first.p_holm) == (1.0, None, None, None)
    assert (second.mean, second.difference) == (1 - 1 / 8, -1 / 8)
    assert second.p_value == pytest.approx(2 / 2**8, abs=0.003)
    assert second.difference_interval == (-1 / 8, -1 / 8)
    assert (third.n_seeds, third.sd, third.difference) == (2, 0.0, -1 / 32)
    assert third.p_value == pytest.approx(1 / 2, abs=0.015)
    assert (second.p_holm, third.p_holm) == (2 * second.p_value, third.p_value)


def test_the_order_of_rows_turns_the_sign(three):
    there, back = table(three[:2]).rows[1], table(three[1::-1]).rows[1]
    assert there.name == "all-err"
    assert back.name == "right"
    assert (there.difference, there.p_value) == (-back.difference, back.p_value)


@pytest.mark.parametrize("metric", ["war", "macro_f1"])
def test_other_metrics(three, metric):
    rows = table(three, metric).rows
    content = json.loads((three[1] / "metrics.json").read_text())
    assert rows[1].mean == pytest.approx(content[metric], abs=1e-12)
    assert rows[1].difference == pytest.approx(content[metric] - 1, abs=1e-12)


def test_one_run_is_a_table_without_differences(three):
    (row,) = table(three[:1]).rows
    assert (row.difference, row.p_value) == (None, None)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"corpus": "crema-d"}, "corpus ravdess against crema-d"),
        ({"protocol": "loso"}, "protocol speaker-6fold against loso"),
        ({"refit": True}, "right was not trained again on train"),
    ],
)
def test_other_problems_are_refused_unless_told(three, tmp_path, about, message):
    other = write_run(tmp_path / "other", predictions([0]), **about)
    with pytest.raises(ConfigError, match=f"{message}.*Give --anyway"):
        table([three[0], other])
    shown = table([three[0], other], anyway=True)
    assert shown.rows[1].unlike == tuple(about)
    assert any(note.startswith("NOT THE SAME PROBLEM") for note in shown.notes)
    paired = "corpus" not in about
    assert (shown.rows[1].p_value is not None) == paired
    assert shown.rows[1].difference == pytest.approx(-1 / 64)


def test_other_labels_have_no_difference(three, tmp_path):
    run = replace(predictions([0]), labels=("happy", "angry"))
    other = write_run(tmp_path / "other", run)
    with pytest.raises(ConfigError, match="labels happy sad against happy angry"):
        table([three[0], other])
    row = table([three[0], other], anyway=True).rows[1]
    assert (row.unlike, row.difference, row.p_value) == (("labels",), None, None)


def test_other_clips_are_not_paired(three, tmp_path):
    part = predictions([0]).rows(np.arange(N_CLIPS) < 48)
    other = write_run(tmp_path / "other", part)
    with pytest.raises(ConfigError, match=r"16 clips are not tested alike in both, among them 48\.wav"):
        table([three[0], other])
    row = table([three[0], other, three[1]], anyway=True).rows
    assert (row[1].unlike, row[1].difference_interval, row[1].p_value, row[1].p_holm) == (("clips",), None, None, None)
    assert row[2].p_holm == row[2].p_value  # one test only in the table


def test_shared_speakers_have_no_interval_and_say_so(tmp_path):
    paths = [write_run(tmp_path / n, predictions(w), speakers_shared=True) for n, w in (("a", []), ("b", [0, 1]))]
    shown = table(paths)
    assert [(row.interval, row.difference_interval) for row in shown.rows] == [(None, None)] * 2
    assert shown.rows[0].protocol == "speaker-6fold (LEAK: speakers shared)"
    assert any("no interval" in note for note in shown.notes)


def test_flags_that_differ_are_named(tmp_path):
    paths = [
        write_run(tmp_path / "a", predictions([]), {"beta": 0.1, "model": {"width": 8}, "machine": {"devices": 1}}),
        write_run(tmp_path / "b", predictions([0]), {"beta": 0.1, "model": {"width": 9}, "machine": {"devices": 2}}),
    ]
    assert table(paths).settings == {"model.width": {"a": "8", "b": "9"}}


def test_parameters_are_of_all_models_that_classify_a_clip(tmp_path):
    path = write_run(tmp_path / "a", predictions([], n_seeds=3), n_parameters=10, n_models=6)
    assert read_run(path).n_parameters == 20
    assert read_run(write_run(tmp_path / "b", predictions([]), n_parameters=None)).n_parameters is None


def test_a_part_of_a_command_has_its_configuration_above(tmp_path):
    path = write_run(tmp_path / "rivals" / "pca", predictions([]), {"beta": 1.0})
    (path / "config.json").rename(tmp_path / "rivals" / "config.json")
    manifest.finish(path, {})
    assert read_run(path).settings == {"beta": "1.0"}


def break_run(path: Path, how: str) -> None:
    metrics = json.loads((path / "metrics.json").read_text())
    match how:
        case "unfinished":
            (path / "manifest.json").unlink()
            (path / "history.jsonl").write_text("{}")
        case "digit":
            (path / "metrics.json").write_text(json.dumps(metrics | {"uar": 0.5}))
        case "no manifest":
            (path / "manifest.json").write_text('{"files": {"metrics.json": "12')
        case "cut":
            (path / "metrics.json").write_text('{"experiment": "ma')
        case "list":
            (path / "metrics.json").write_text("[]")
        case "lacking":
            (path / "metrics.json").write_text(json.dumps({"uar": 1.0}))
        case "no predictions":
            (path / "predictions.csv").unlink()
        case "other predictions":
            write_predictions(predictions([5]), path / "predictions.csv")
        case "other labels":
            (path / "metrics.json").write_text(json.dumps(metrics | {"labels": ["a", "b"]}))
        case "no config":
            (path / "config.json").unlink()
        case "foreign config":
            (path / "config.json").write_text("{}")
        case "damaged predictions":
            (path / "predictions.csv").write_text((path / "predictions.csv").read_text()[:-30])
    if how in SEALED:
        manifest.finish(path, {})


SEALED = {  # as by somebody who wrote the manifest anew, or by another version of serjax
    "cut": "metrics.json is damaged",
    "list": "metrics.json is damaged (it holds no JSON object)",
    "lacking": "lacks experiment, corpus, protocol",
    "other predictions": "uar is 1.000000 in metrics.json and 0.984375 by predictions.csv",
    "other labels": "the files are not of one run",
    "no config": "config.json is not there",
    "foreign config": "is not a configuration of serjax",
    "damaged predictions": "the file is damaged, write it again",
}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        *SEALED.items(),
        ("unfinished", "is not finished (it has no whole manifest.json). Give its command again to finish it: python"),
        ("digit", "metrics.json is not what the run wrote"),
        ("no manifest", "is not finished (it has no whole manifest.json)"),
        ("no predictions", "predictions.csv is not there any more. Give the run's command again"),
        ("gone", "is not there: give the folder of a finished run"),
    ],
)
def test_broken_run_folders_are_told(three, capsys, monkeypatch, how, message):
    break_run(three[0], how)
    path = three[0] / "nowhere" if how == "gone" else three[0]
    code, out = command(capsys, monkeypatch, str(path), str(three[1]))
    assert code == 2
    assert " ".join(message.split()) in out


def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["compare", *words])
    with pytest.raises(SystemExit) as stop:
        run_command(Config, compare.run, "")
    said = capsys.readouterr()
    return int(stop.value.code or 0), " ".join((said.out + said.err).split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "No run is given"),
        (["right", "right/../right"], "is given twice"),
        (["right", "--out", "a.pdf"], "expected a name that ends in .md, .csv, .tex, .json"),
        (["right", "--plot", "a.pdf"], "expected a name that ends in .png"),
        (["right", "--metric", "auc"], "invalid choice"),
    ],
)
def test_wrong_flags_are_told(three, capsys, monkeypatch, words, message):
    monkeypatch.chdir(three[0].parent)
    code, out = command(capsys, monkeypatch, *words)
    assert code == 2
    assert message in out


def test_every_form_has_the_same_figures(three, tmp_path, capsys, monkeypatch):
    words = [*map(str, three), "--plot", str(tmp_path / "out" / "t.png")]
    for suffix in ("md", "csv", "tex", "json"):
        code, out = command(capsys, monkeypatch, *words, "--out", str(tmp_path / "out" / f"t.{suffix}"))
        assert code == 0
    assert "UAR of 3 runs · ravdess · speaker-6fold" in out
    assert "−0.125" in out
    markdown, latex = ((tmp_path / "out" / f"t.{suffix}").read_text() for suffix in ("md", "tex"))
    assert (
        "| all-err | ravdess | speaker-6fold | 1 | 0.875 | – | 0.875 – 0.875 | −0.125 | −0.125 … −0.125 |" in markdown
    )
    assert r"all-err & ravdess & speaker-6fold & 1 & 0.875 & -- & 0.875 -- 0.875 & $-$0.125 &" in latex
    assert latex.count(r"\\") == 4
    content = json.loads((tmp_path / "out" / "t.json").read_text())
    with (tmp_path / "out" / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, expected in zip(rows, content["rows"], strict=True):
        assert row["name"] == expected["name"]
        assert float(row["mean"]) == expected["mean"]
        assert [float(row[f"interval_{end}"]) for end in ("low", "high")] == expected["interval"]
    assert list(rows[0])[:3] == ["metric", "name", "experiment"]
    assert set(CSV) == {field.name for field in fields(Row)}
    assert rows[0]["p_value"] == ""
    assert float(rows[1]["p_value"]) == content["rows"][1]["p_value"]
    assert (tmp_path / "out" / "t.png").read_bytes().startswith(b"\x89PNG")


def test_latex_is_escaped(tmp_path):
    path = write_run(tmp_path / "a_b&c 50%", predictions([]))
    assert r"a\_b\&c 50\% &" in latex(table([path]))


def test_a_narrow_terminal_gets_two_tables(three, capsys, monkeypatch):
    monkeypatch.setattr(comparison_table, "terminal_width", lambda: 80)
    _, out = command(capsys, monkeypatch, *map(str, three))
    assert out.count("UAR of 3 runs") == 2
    assert out.count("all-err") == 2


def test_a_page_is_what_its_json_gives(three, tmp_path):
    below = TitledTable("UAR by score", ("run", "elbo"), (("right", 1.0), ("all-err", None)))
    written = replace(table(three), more=(below,))
    comparison_table.write_page(written, tmp_path / "deep" / "t.md")
    read = table_of(read_content(tmp_path / "deep" / "t.json"))
    assert read == written
    text = (tmp_path / "deep" / "t.md").read_text()
    assert text == comparison_table.markdown(read, "t.png")
    assert text.endswith("## UAR by score\n\n| run | elbo |\n| --- | ---: |\n| right | 1.000 |\n| all-err | – |\n")


def test_comparing_loads_nothing_that_trains():
    code = "import sys; import serjax.results.comparison; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "serjax" in loaded
    assert not loaded & {"flax", "orbax", "grain", "optax"}
