"""The studies in `experiments/` that are declared by overrides: their rows and pages; nothing is trained here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import tyro

from experiments import ablate_augmentation, ablate_features, ablate_vae, learning_curve, protocols, seeds
from experiments import sweep as ablation_study
from serjax.data import load_corpus
from serjax.data.corpora.corpus import Corpus
from serjax.data.splits import ProtocolError, speaker_order, split_corpus, with_train_speakers
from serjax.errors import ConfigError
from serjax.experiments import cnn_mfcc, logreg, vae_mfcc
from serjax.study.fingerprint import fingerprint
from serjax.study.flags import Data, Machine
from serjax.study.overrides import apply
from serjax.study.problem import split_for_seeds
from serjax.study.stages import Study
from serjax.study.supervised import SupervisedStudy
from tests.results.test_comparison import predictions, write_run

SCORES = ("reconstruction", "elbo", "iwae", "auto")


@dataclass(frozen=True)
class Folder:
    """Stands for a finished run folder."""

    path: Path


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[Study]:
    """Write each study as if it had been trained: study n mistakes the first 4 n clips in seed 0; note the studies."""
    noted: list[Study] = []

    def complete(studies: Sequence[Study]) -> list[Folder]:
        noted.extend(studies)
        for n, study in enumerate(studies):
            data = study.flags.sections["data"]
            assert isinstance(data, Data)
            found = predictions(list(range(4 * n)), data.seeds)
            about = {"protocol": data.protocol or "speaker-6fold", "scores": {name: {"uar": 0.5} for name in SCORES}}
            flags = {"data": {"train_speakers": data.train_speakers}}
            write_run(study.flags.out, found, flags, **about)
        return [Folder(study.flags.out) for study in studies]

    monkeypatch.setattr(ablation_study, "complete", complete)
    return noted


def rows(path: Path) -> list[dict]:
    assert path.with_suffix(".png").stat().st_size > 0
    assert path.with_suffix(".md").stat().st_size > 0
    return json.loads(path.with_suffix(".json").read_text())["rows"]


def machine(out: Path) -> Machine:
    return Machine(out=out / "o", quiet=True)


def test_seeds_are_twenty_of_each_classifier(tmp_path: Path, made_up: list[Study], capsys) -> None:
    config = seeds.Config(models=("logreg", "cnn_mfcc"), results=tmp_path / "page.md", machine=machine(tmp_path))
    seeds.run(config)
    assert [row["name"] for row in rows(tmp_path / "page")] == ["logreg", "cnn_mfcc"]
    assert [row["n_seeds"] for row in rows(tmp_path / "o" / "results")] == [20, 20]
    assert "the UAR of single seeds is 1.000 to 1.000" in (tmp_path / "page.md").read_text()
    configs = [study.config for study in made_up if isinstance(study, SupervisedStudy)]
    assert [type(one) for one in configs] == [logreg.Config, cnn_mfcc.Config]
    assert {one.data for one in configs} == {Data(seeds=20)}


def test_protocols_start_with_the_one_by_speaker(tmp_path: Path, made_up: list[Study], capsys) -> None:
    config = protocols.Config(data=Data(synthetic_clips=96), machine=machine(tmp_path), epochs=3)
    protocols.run(config)
    found = rows(tmp_path / "o" / "results")
    assert [row["protocol"] for row in found] == ["speaker-6fold", "random-5fold", "text", "speaker-text"]
    assert [row["unlike"] for row in found] == [[], ["protocol"], ["protocol"], ["protocol"]]
    assert all(row["p_value"] is not None for row in found[1:])  # the clips are the same
    assert {study.config.training.epochs for study in made_up if isinstance(study, SupervisedStudy)} == {3}
    with pytest.raises(ConfigError, match="choose by --protocols"):
        protocols.run(replace(config, data=Data(protocol="loso")))


def test_fewer_speakers_have_more_passes(tmp_path: Path, made_up: list[Study], capsys) -> None:
    learning_curve.run(learning_curve.Config(speakers=(2, 8, 4), epochs=10, machine=machine(tmp_path)))
    configs = [study.config for study in made_up if isinstance(study, SupervisedStudy)]
    drawn = [(one.data.train_speakers, one.training.epochs) for one in configs]
    assert drawn == [(None, 10), (8, 10), (4, 20), (2, 40)]
    assert [row["name"] for row in rows(tmp_path / "o" / "results")][1] == "train_speakers=8,epochs=10"
    with pytest.raises(ConfigError, match="expected numbers from 1"):
        learning_curve.curve((0, 2), 10)


def test_vaes_are_every_size_with_every_beta_and_shown_by_every_score(tmp_path: Path, made_up, capsys) -> None:
    grid = ablate_vae.Grid(latent_dims=(2, 8), betas=(0.1, 1.0), widths=(64,), conditional_latent_dims=(8,))
    recipe = vae_mfcc.Config(machine=machine(tmp_path))
    ablate_vae.run(ablate_vae.Config(grid=grid, recipe=recipe, results=tmp_path / "page.md"))
    sizes = [(one.model.hidden, one.model.latent_dim, one.beta) for one in made_up]
    every = [((64,), latent, beta) for latent in (2, 8) for beta in (0.1, 1.0)]
    assert sizes == [((256,), 128, 0.1), *every, ((256,), 8, 0.1), ((256,), 8, 1.0)]
    assert [one.conditional for one in made_up] == [False] * 5 + [True] * 2
    assert "| run | reconstruction | elbo | iwae | auto |" in (tmp_path / "page.md").read_text()
    (below,) = json.loads((tmp_path / "page.json").read_text())["more"]
    assert below["rows"][0] == ["base", 0.5, 0.5, 0.5, 0.5]
    assert len(rows(tmp_path / "page")) == 7
    assert rows(tmp_path / "page")[6]["name"] == "conditional=True,latent_dim=8,beta=1.0"
    with pytest.raises(ConfigError, match="Markdown"):
        ablate_vae.run(ablate_vae.Config(recipe=recipe, results=tmp_path / "page.txt"))


def test_without_sizes_no_vae_is_told_the_emotion() -> None:
    grid = ablate_vae.Grid(conditional_latent_dims=())
    assert not any(config.conditional for config in apply(vae_mfcc.Config(), grid.overrides).values())
    found = apply(vae_mfcc.Config(), ablate_vae.Grid().overrides).values()
    told = [config for config in found if config.conditional]
    assert len(told) == 4 * 3
    assert all(replace(config, conditional=False) in found for config in told)  # each has a partner


def test_features_change_one_thing_at_a_time_and_keep_the_seconds() -> None:
    base = logreg.Config()
    found = apply(base, ablate_features.changes(base.features))
    assert next(iter(found)) == "base"
    assert len(found) == 1 + 2 + 2 + 1 + 1 + 1 + 1  # 20 coefficients, 128 bands and .5 s are the base
    for config in found.values():
        features = config.features.frontend()
        assert features.frames * features.hop_length / features.sample_rate_hz == pytest.approx(108 * 512 / 22_050)


def test_augmentation_starts_from_none() -> None:
    found = list(apply(cnn_mfcc.Config(), ablate_augmentation.changes(True)).values())
    assert [(one.training.roll_frames, one.training.noise) for one in found[:5]] == [
        (0, 0.0),
        (8, 0.0),
        (16, 0.0),
        (0, 0.1),
        (0, 0.3),
    ]
    assert [one.augmentation.picks for one in found] == [0] * 5 + [1] * 4 + [2]
    assert [len(one.augmentation.changes()) for one in found[5:]] == [2] * 4 + [5]  # none is a change too
    assert list(apply(cnn_mfcc.Config(), ablate_augmentation.changes(False)).values()) == found[:5]


@pytest.mark.parametrize("script", [seeds, protocols, learning_curve, ablate_vae, ablate_features, ablate_augmentation])
def test_every_field_is_a_flag_and_explained(script, capsys: pytest.CaptureFixture) -> None:
    flags = ["--synthetic-clips", "96", "--seeds", "2", "--devices", "1", "--results", "page.md"]
    form = (tyro.conf.OmitArgPrefixes,)
    assert tyro.cli(script.Config, args=flags, config=form).results == Path("page.md")
    with pytest.raises(SystemExit):
        tyro.cli(script.Config, args=["--help"], description=script.__doc__, config=form)
    printed = capsys.readouterr().out
    assert "--train-speakers" in printed
    assert f"python -m {script.__name__}" in printed


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus("synthetic", None, synthetic_clips=192)


def test_fewer_speakers_are_nested_balanced_and_leave_the_rest(corpus: Corpus) -> None:
    split = split_corpus(corpus, "speaker-6fold")
    speakers = np.array([utterance.speaker for utterance in corpus.utterances])
    gender = {utterance.speaker: utterance.gender for utterance in corpus.utterances}
    small, large = (with_train_speakers(corpus, split, n, seed=3) for n in (4, 6))
    for whole, few, more in zip(split.folds, small.folds, large.folds, strict=True):
        kept = set(speakers[few.train])
        assert len(kept) == 4
        assert sorted(gender[name] for name in kept) == ["female"] * 2 + ["male"] * 2
        assert kept < set(speakers[more.train]) < set(speakers[whole.train])
        assert set(few.train) == {row for row in whole.train if speakers[row] in kept}
        np.testing.assert_array_equal(few.validation, whole.validation)
        np.testing.assert_array_equal(few.test, whole.test)
        assert few.train.dtype == whole.train.dtype
    fold = split.folds[0]
    assert speaker_order(corpus, fold, 0) != speaker_order(corpus, fold, 1)


@pytest.mark.parametrize("n_speakers", [0, 9])
def test_a_fold_cannot_have_more_speakers_than_there_are(corpus: Corpus, n_speakers: int) -> None:
    with pytest.raises(ProtocolError, match=r"8 training speakers.*Expected 1 to 8"):
        with_train_speakers(corpus, split_corpus(corpus, "speaker-6fold"), n_speakers, 0)


def test_too_few_speakers_for_all_classes_are_told(corpus: Corpus) -> None:
    first = corpus.utterances[0]
    lacking = [u for u in corpus.utterances if u.speaker == first.speaker or u.emotion != first.emotion]
    fewer = replace(corpus, utterances=tuple(lacking))
    split = split_corpus(corpus, "speaker-6fold")
    fold = replace(split.folds[0], train=np.arange(len(lacking), dtype=np.int32))
    lone = replace(split, folds=(fold,))
    seed = next(seed for seed in range(99) if speaker_order(fewer, fold, seed)[0] != first.speaker)
    with pytest.raises(ProtocolError, match=f"no clip of {first.emotion}"):
        with_train_speakers(fewer, lone, 1, seed)


def test_the_flag_reaches_the_split_and_the_fingerprint(corpus: Corpus) -> None:
    data = Data(synthetic_clips=192, protocol="speaker-6fold", seeds=2, train_speakers=4)
    first, second = split_for_seeds(corpus, data, selecting=True)
    assert len(first.folds[0].train) < len(split_corpus(corpus, "speaker-6fold").folds[0].train)
    assert set(first.folds[0].train) != set(second.folds[0].train)
    everybody = replace(data, train_speakers=None)
    assert fingerprint("x", {"data": data}) != fingerprint("x", {"data": everybody})
