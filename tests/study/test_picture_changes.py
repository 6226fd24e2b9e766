"""Changes of training pictures and averaged weights as flags: numbers of a run, refused where they make no sense."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.bundle.systems import Networks, system_of
from serjax.dsp import RelativeLogMel
from serjax.errors import ConfigError
from serjax.evaluate.logits import classify_all, even_rolls
from serjax.experiments import cnn_logmel, cnn_mfcc, dense_stats, tied_vae_mel, vae_mfcc
from serjax.models.cnn import CNN
from serjax.study.flags import Machine, Model, Training
from serjax.study.frontends import BandFeatures
from serjax.study.generative.tied import TiedModel, TiedTraining
from serjax.study.overrides import apply, product, vary
from serjax.study.stages import complete
from serjax.train.pictures import PictureChanges
from serjax.train.runs import fit_normaliser
from serjax.train.state import Dataset, RunInputs
from tests.reference.vae import random_params
from tests.study.test_stages import DATA, FEATURES, assert_same
from tests.study.test_tied import MEL

pytestmark = pytest.mark.usefixtures("no_sound", "no_figures")

SMALL = cnn_logmel.Config(
    data=DATA,
    features=BandFeatures(sample_rate=8_000, frames=20, n_fft=256, hop_length=256, n_mels=12, fmax=None),
    model=cnn_logmel.Model(channels=(4,)),
    training=replace(cnn_logmel.Config().training, epochs=2, roll_frames=4, rolled_copies=3),
    pictures=replace(cnn_logmel.Config().pictures, freq_mask=3, time_mask=5),
)
AUTOENCODERS = vae_mfcc.Config(
    data=DATA, features=FEATURES, model=Model(latent_dim=2, hidden=(4,)), training=Training(epochs=2, pretrain_epochs=0)
)
TIED = tied_vae_mel.Config(
    data=DATA,
    features=MEL,
    model=TiedModel(latent_dim=3, hidden=(8,)),
    training=TiedTraining(epochs=2, learning_rate=0.01, batch_size=8, roll_frames=1),
)


def at(out: Path, config: Any):
    return replace(config, machine=Machine(out=out, quiet=True, devices=1, stack_size=24)).study()


@pytest.mark.slow
def test_strengths_and_decay_are_numbers_of_a_run(tmp_path: Path, stacks: list[list[int]]) -> None:
    configs = apply(SMALL, product(vary("mixup", 0.1, 0.9), vary("ema", 0.1, 0.9)))
    complete([at(tmp_path / name, config) for name, config in configs.items()])
    assert stacks == [[6, 6, 6, 6]]
    name, config = list(configs.items())[3]
    complete([at(tmp_path / "alone", config)])
    assert_same(tmp_path / name, tmp_path / "alone")
    assert len({(tmp_path / one / "predictions.csv").read_text() for one in configs}) == 4


@pytest.mark.slow
def test_studies_with_other_changes_do_not_share_a_program(tmp_path: Path, stacks: list[list[int]]) -> None:
    configs = apply(SMALL, vary("ema", 0.5, None))
    complete([at(tmp_path / name, config) for name, config in configs.items()])
    assert stacks == [[6], [6]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (AUTOENCODERS, PictureChanges(time_rate=0.1, freq_mask=2, time_mask=3)),
        (TIED, PictureChanges(0.1, 2.0, 0.1, 3.0, freq_mask=3, time_mask=5)),
    ],
    ids=["vae_mfcc", "tied_vae_mel"],
)
def test_autoencoders_have_strengths_of_their_own(
    tmp_path: Path, stacks: list[list[int]], config: Any, changes: PictureChanges
) -> None:
    plain, weak = replace(config, pictures=PictureChanges()), replace(config, pictures=changes)
    strong = replace(config, pictures=PictureChanges(**{name: type(v)(2 * v) for name, v in vars(changes).items()}))
    complete([at(tmp_path / "weak", weak), at(tmp_path / "strong", strong), at(tmp_path / "plain", plain)])
    n_runs = 6 * (1 if config is TIED else len(DATA.emotions))
    assert stacks == [[n_runs, n_runs], [n_runs]]
    complete([at(tmp_path / "alone", strong)])
    assert_same(tmp_path / "strong", tmp_path / "alone")
    assert len({(tmp_path / name / "predictions.csv").read_text() for name in ("weak", "strong", "plain")}) == 3


@pytest.mark.parametrize(
    ("experiment", "flags", "says"),
    [
        (cnn_mfcc, {"mel_warp": 0.1}, "--mel-warp is for mel pictures"),
        (vae_mfcc, {"mel_shift": 1.0}, "--mel-shift is for mel pictures"),
        (tied_vae_mel, {"time_mask": -1}, "--time-mask -1: expected a number from 0"),
        (cnn_mfcc, {"gain_db": 3.0}, "the features here are Mfcc"),
        (dense_stats, {"time_mask": 2}, "--time-mask is for pictures of frames"),
        (cnn_logmel, {"mel_warp": 0.5}, "--mel-warp 0.5: expected a number from 0 to below 0.5"),
        (cnn_logmel, {"time_rate": -0.1}, "--time-rate -0.1"),
        (cnn_logmel, {"label_smoothing": 1.0}, "--label-smoothing 1.0"),
        (cnn_logmel, {"mixup": float("nan")}, "--mixup nan"),
    ],
)
def test_changes_that_make_no_sense_are_refused(experiment, flags, says) -> None:
    config = experiment.Config()
    study = replace(config, pictures=replace(config.pictures, **flags)).study()
    with pytest.raises(ConfigError, match=says):
        study.check()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"ema": 1.0}, "--ema 1.0: expected a share"),
        ({"rolled_copies": 0}, "--rolled-copies 0"),
        (
            {"rolled_copies": 3, "roll_frames": 0},
            "--rolled-copies 3 with --roll-frames 0: the copies would be the same",
        ),
    ],
)
def test_averages_that_make_no_sense_are_refused(flags, says) -> None:
    with pytest.raises(ConfigError, match=says):
        replace(SMALL, training=replace(SMALL.training, **flags)).study().check()


@pytest.mark.slow
def test_copies_give_their_mean_probability_in_runs_and_bundles() -> None:
    model, rng = CNN(3, (4,), (), pooling="attentive-statistics"), np.random.default_rng(0)
    x_NTC, mask_NT = rng.normal(size=(5, 16, 12)).astype(np.float32), np.ones((5, 16), np.float32)
    mask_NT[2, 9:] = 0
    shapes = jax.eval_shape(model.init, jax.random.key(0), x_NTC, mask_NT)
    params = jax.tree.map(jnp.abs, random_params(shapes, seed=1))  # variances are positive
    shift_C, scale_C = fit_normaliser(x_NTC, mask_NT, np.arange(5))
    inputs = RunInputs(jnp.asarray(shift_C), jnp.asarray(scale_C), jnp.ones(3), None, jnp.zeros(1, int), jnp.ones(1))
    dataset = Dataset(jnp.asarray(x_NTC), jnp.asarray(mask_NT), jnp.zeros(5, int))
    z_NTC = np.where(mask_NT[..., None] > 0, (x_NTC - shift_C) / scale_C, 0)
    copies = [model.apply(params, jnp.roll(z_NTC, n, 1), jnp.roll(mask_NT, n, 1)) for n in (-3, 0, 3)]
    expected_NK = np.mean([jax.nn.softmax(logits_NK) for logits_NK in copies], axis=0)
    found_NK = classify_all(model, params, inputs, dataset, even_rolls(3, 3))
    assert np.isfinite(expected_NK).all()
    np.testing.assert_allclose(np.exp(found_NK), expected_NK, atol=1e-6)
    system = Networks(RelativeLogMel(frames=16, n_mels=12), model, even_rolls(3, 3))
    assert system_of(system.describe()) == system
