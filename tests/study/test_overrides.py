"""Overrides: how lists of them combine, and which flags they may set."""

import pytest

from serjax.errors import ConfigError
from serjax.experiments import logreg, vae_mfcc
from serjax.study.overrides import BASE, Override, apply, apply_one, chain, find, product, vary, zipped

VAE = vae_mfcc.Config()


def test_a_product_has_every_pair_and_names_them():
    found = apply(VAE, product(vary("beta", 0.5, 2), vary("latent-dim", 2, 8), vary("hidden", (64, 32))))
    assert list(found)[:2] == ["beta=0.5,latent-dim=2,hidden=64-32", "beta=0.5,latent-dim=8,hidden=64-32"]
    assert [(c.beta, c.model.latent_dim) for c in found.values()] == [(0.5, 2), (0.5, 8), (2.0, 2), (2.0, 8)]
    assert {c.model.hidden for c in found.values()} == {(64, 32)}
    assert {c.training for c in found.values()} == {VAE.training}
    assert product() == BASE


def test_zip_pairs_in_order_and_wants_equal_lengths():
    found = apply(VAE, zipped(vary("epochs", 10, 20), vary("pretrain_epochs", 1, 2)))
    assert [(c.training.epochs, c.training.pretrain_epochs) for c in found.values()] == [(10, 1), (20, 2)]
    with pytest.raises(ConfigError, match="2, 1 overrides"):
        zipped(vary("epochs", 10, 20), vary("beta", 1.0))


def test_a_chain_leaves_out_what_is_there_already():
    found = apply(VAE, chain(BASE, vary("latent_dim", 2, VAE.model.latent_dim), vary("beta", 1)))
    assert list(found) == ["base", "latent_dim=2", "beta=1"]
    assert found["base"] == VAE


def test_a_whole_number_for_a_float_is_a_float():
    """As on the command line: else one configuration would have two fingerprints."""
    assert repr(apply_one(VAE, vary("beta", 1)[0]).beta) == "1.0"


def test_a_flag_that_has_no_value_yet_takes_any():
    assert apply_one(logreg.Config(), vary("pca_variance", 0.9)[0]).training.pca_variance == 0.9


@pytest.mark.parametrize("config", [VAE, logreg.Config()])
def test_an_unknown_flag_lists_the_known_ones(config):
    with pytest.raises(ConfigError, match=r"no flag latent_dims.*batch_size.*learning_rate"):
        apply(config, vary("latent_dims", 2))


def test_a_flag_of_two_sections_needs_its_section():
    from experiments.features_models import Config

    with pytest.raises(ConfigError, match=r"mlp\.hidden or lstm\.hidden or vae\.hidden"):
        find(Config(), "hidden")
    assert apply_one(Config(), vary("mlp.hidden", (8,))[0]).mlp.hidden == (8,)


@pytest.mark.parametrize(("flag", "value"), [("epochs", 1.5), ("beta", "1"), ("refit", 1), ("hidden", 256)])
def test_a_value_of_another_type_is_refused(flag, value):
    with pytest.raises(ConfigError, match=f"flag {flag} got .*expected"):
        apply(VAE, vary(flag, value))


def test_a_flag_is_set_once():
    with pytest.raises(ConfigError, match="set beta"):
        product(vary("beta", 1.0), vary("beta", 2.0))


def test_names_are_names_of_folders():
    assert Override((("root", "a/b"),)).name == "root=a-b"
