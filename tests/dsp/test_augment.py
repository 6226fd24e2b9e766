"""Random changes do what they were asked for, to one example at a time, and the same for the same key."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax import dsp
from serjax.dsp import augment
from serjax.dsp.speed import _is_inside
from tests.dsp.cases import CLIPS_BN, POWER_BFT, Case
from tests.reference.dsp import relative_error, vowel

Y, S = vowel(2_000, 8_000), POWER_BFT[0]
SMALL = {"n_fft": 64, "hop_length": 16}
WAVES = {
    "noise": partial(augment.add_noise, snr_db=(5, 30)),
    "notebook noise": partial(augment.add_noise, peak_share=(0, 0.035)),
    "gain": partial(augment.gain, gain_db=(-6, 6)),
    "roll": partial(augment.roll, most=0.2),
    "shift": partial(augment.roll, most=80, fill="zero"),
    "time_stretch": partial(augment.time_stretch, rate=(0.8, 1.25), **SMALL),
    "pitch_shift": partial(augment.pitch_shift, n_steps=(-2, 2), **SMALL),
}
PICTURES = {
    "frequency_shift": partial(augment.frequency_shift, most=4),
    "frequency_shift zero": partial(augment.frequency_shift, most=0.2, fill="zero"),
    "spec_augment": partial(augment.spec_augment, freq_width=8, time_width=4),
}
COMPOSED = {
    "compose": augment.compose(WAVES["noise"], augment.maybe(0.5, WAVES["roll"])),
    "one_of": augment.one_of(WAVES["gain"], WAVES["shift"], lambda key, y: y),
}
IDENTITIES = {
    "noise at 200 dB": (partial(augment.add_noise, snr_db=200), Y, 1e-9),
    "no noise": (partial(augment.add_noise, peak_share=0), Y, 0.0),
    "gain": (partial(augment.gain, gain_db=0), Y, 0.0),
    "roll": (partial(augment.roll, most=0), Y, 0.0),
    "shift": (partial(augment.roll, most=0.0, fill="zero"), Y, 0.0),
    "time_stretch": (partial(augment.time_stretch, rate=1, **SMALL), Y, 1e-6),
    # The low-pass filter remains: measured 1.4e-2 of white noise 40 dB below the voice, see the tone below.
    "pitch_shift": (partial(augment.pitch_shift, n_steps=0, **SMALL), Y, 3e-2),
    "frequency_shift": (partial(augment.frequency_shift, most=0), S, 0.0),
    "no masks": (partial(augment.spec_augment, freq_masks=0, time_masks=0), S, 0.0),
    "empty masks": (partial(augment.spec_augment, freq_width=0, time_share=0), S, 0.0),
    "never": (augment.maybe(0, partial(augment.gain, gain_db=6)), Y, 0.0),
    "nothing": (augment.compose(), Y, 0.0),
}


def each(change):
    """Change every clip with one key, so that only the clip itself makes a difference."""

    def changed(x, ndim):
        one = partial(change, jax.random.key(3))
        return one(x) if x.ndim == ndim else jax.vmap(one)(x)

    return changed


CASES = [
    *(
        Case(f"augment {name}", partial(each(change), ndim=1), CLIPS_BN)
        for name, change in {**WAVES, **COMPOSED}.items()
    ),
    *(Case(f"augment {name}", partial(each(change), ndim=2), POWER_BFT) for name, change in PICTURES.items()),
]
examples = [(change, Y) for change in {**WAVES, **COMPOSED}.values()] + [(change, S) for change in PICTURES.values()]
every_change = pytest.mark.parametrize(("change", "x"), examples, ids=[*WAVES, *COMPOSED, *PICTURES])


@every_change
def test_keeps_the_shape_and_follows_the_key_alone(change, x):
    change = jax.jit(change)
    first, again, other = change(jax.random.key(0), x), change(jax.random.key(0), x), change(jax.random.key(9), x)
    assert first.shape == x.shape
    np.testing.assert_array_equal(first, again)
    assert (np.asarray(first) != np.asarray(other)).any()


@every_change
def test_one_key_a_clip_under_vmap(change, x):
    batch = jnp.stack([x, 2.0 * x, -x])
    together = jax.jit(jax.vmap(change))(jax.random.split(jax.random.key(0), 3), batch)
    for i in range(3):
        alone = jax.jit(change)(jax.random.split(jax.random.key(0), 3)[i], batch[i])
        assert relative_error(together[i], alone) <= 1e-6


@pytest.mark.parametrize("name", IDENTITIES)
def test_no_strength_changes_nothing(name):
    change, x, tolerance = IDENTITIES[name]
    assert relative_error(jax.jit(change)(jax.random.key(0), x), x) <= tolerance


@pytest.mark.parametrize("snr_db", [-10.0, 0, 20.0])
@pytest.mark.parametrize("loudness", [1e-12, 1.0, 1e12])
def test_noise_reaches_its_ratio_exactly(snr_db, loudness):
    y = np.asarray(loudness * Y.astype(np.float64), np.float32)
    noise = np.asarray(augment.add_noise(jax.random.key(0), y, snr_db=snr_db), np.float64) - y
    reached = 10 * np.log10(np.sum(np.square(y, dtype=np.float64)) / np.sum(np.square(noise)))
    assert reached == pytest.approx(snr_db, abs=1e-4)


def test_drawn_ratios_lie_in_their_range_and_fill_it():
    noise = jax.jit(jax.vmap(lambda key: augment.add_noise(key, Y, snr_db=(5, 30)) - Y))(
        jax.random.split(jax.random.key(0), 200)
    )
    reached = 10 * np.log10(np.sum(Y**2) / np.sum(np.square(noise), axis=1))
    assert 5 - 1e-2 <= reached.min() < 7
    assert 28 < reached.max() <= 30 + 1e-2


def test_noise_of_notebooks():
    noise = augment.add_noise(jax.random.key(0), np.full(20_000, -3.0, np.float32), peak_share=0.035) + 3.0
    assert np.std(noise) == pytest.approx(0.035 * 3.0, rel=0.03)  # 20 000 samples: a standard error of 0.5 %
    assert abs(np.mean(noise)) < 0.004
    shares = jax.vmap(lambda key: augment.add_noise(key, jnp.ones(500), peak_share=(0, 0.035)).std())
    drawn = np.asarray(shares(jax.random.split(jax.random.key(1), 200)))
    assert drawn.min() < 0.003
    assert 0.032 < drawn.max() < 0.04


def test_gain_is_in_decibels():
    louder = augment.gain(jax.random.key(0), Y, gain_db=6)
    np.testing.assert_allclose(
        dsp.amplitude_to_db(louder, top_db=None, amin=1e-9),
        dsp.amplitude_to_db(Y, top_db=None, amin=1e-9) + 6,
        atol=1e-3,
    )
    gains = jax.vmap(lambda key: augment.gain(key, jnp.ones(1), gain_db=(-6, 6)))(
        jax.random.split(jax.random.key(0), 100)
    )
    assert 10 ** (-6 / 20) <= gains.min() < 0.6
    assert 1.8 < gains.max() <= 10 ** (6 / 20) + 1e-6


def test_roll_and_shift_move_by_every_number_of_places():
    x = jnp.arange(1.0, 6.0)
    keys = jax.random.split(jax.random.key(0), 100)
    rolled = jax.vmap(lambda key: augment.roll(key, x, most=2))(keys)
    assert {tuple(row) for row in rolled.tolist()} == {tuple(np.roll(x, s).tolist()) for s in range(-2, 3)}
    shifted = jax.vmap(lambda key: augment.roll(key, x, most=2, fill="zero"))(jax.random.split(jax.random.key(0), 100))
    expected = {(3, 4, 5, 0, 0), (2, 3, 4, 5, 0), (1, 2, 3, 4, 5), (0, 1, 2, 3, 4), (0, 0, 1, 2, 3)}
    assert {tuple(row) for row in shifted.tolist()} == expected


def test_frequency_shift_moves_bins():
    moved = augment.frequency_shift(jax.random.key(1), S, most=4, fill="zero")
    fits = [s for s in range(-4, 5) if np.array_equal(moved[4:-4], np.roll(S, s, axis=0)[4:-4])]
    assert len(fits) == 1


@pytest.mark.parametrize("rate", [0.5, 1.25, 2.0])
def test_time_stretch_is_that_of_the_library(rate):
    expected = jax.jit(partial(dsp.time_stretch, rate=rate, **SMALL))(Y)
    stretched = jax.jit(partial(augment.time_stretch, rate=rate, **SMALL))(jax.random.key(0), Y)
    ours = min(len(expected), len(Y))
    assert stretched.shape == Y.shape
    assert relative_error(stretched[:ours], expected[:ours]) <= 1e-6  # measured: 1.6e-7
    assert not stretched[ours:].any()


def test_time_stretch_has_the_length_of_the_library():
    stretched = augment.time_stretch(jax.random.key(0), np.ones(23, np.float32), rate=1.25, **SMALL)
    assert not np.asarray(stretched)[18:].any()
    for n in (1, 2, 3, 5, 23, 1_023, 70_001):
        for steps in (1_024, 3_277, 4_095, 4_096, 4_097, 5_120, 6_144, 8_192, 16_384):
            inside = np.asarray(_is_inside(jnp.arange(4 * n + 2), jnp.int32(steps), n))
            expected = round(n / (steps / 4_096))
            np.testing.assert_array_equal(inside, np.arange(4 * n + 2) < expected)


@pytest.mark.parametrize("n_steps", [-12, 0, 5])
def test_pitch_shift_moves_a_tone(n_steps):
    y = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000).astype(np.float32)
    shifted = np.asarray(jax.jit(partial(augment.pitch_shift, n_steps=n_steps))(jax.random.key(0), y))
    spectrum = np.abs(np.fft.rfft(shifted[3_000:-3_000] * np.hanning(10_000), 160_000))
    assert abs(spectrum.argmax() / 10 - 1_000 * 2 ** (n_steps / 12)) < 1
    if n_steps == 0:
        assert np.abs(shifted - y)[300:-300].max() < 2e-3  # the ripple of a filter of 60 dB


def test_masks_are_bands_of_the_widths_asked_for():
    x = np.random.default_rng(0).standard_normal((40, 100)).astype(np.float32)
    one = partial(
        augment.spec_augment, freq_masks=1, freq_width=7, time_masks=1, time_width=30, time_share=0.2, value=0.0
    )
    masked = np.asarray(jax.jit(jax.vmap(lambda key: one(key, x)))(jax.random.split(jax.random.key(0), 300)))
    gone = masked == 0
    bins, frames = gone.all(axis=2), gone.all(axis=1)
    np.testing.assert_array_equal(gone, bins[:, :, None] | frames[:, None, :])
    assert set(bins.sum(axis=1)) == set(range(8))
    assert set(frames.sum(axis=1)) == set(range(21))
    assert (np.abs(np.diff(np.pad(bins, ((0, 0), (1, 1))).astype(int), axis=1)).sum(axis=1) <= 2).all()  # one band
    assert bins.any(axis=0).all()
    assert frames.any(axis=0).all()
    mean = augment.spec_augment(jax.random.key(0), x, freq_width=7, time_width=20)
    assert np.isclose(mean, x.mean()).any()


def test_masks_stay_inside_the_valid_frames():
    x = np.random.default_rng(0).standard_normal((40, 100)).astype(np.float32)
    x[:, 60:] = np.nan  # what is padding does not enter the mean
    change = partial(augment.spec_augment, freq_width=7, time_masks=1, time_width=50, time_share=0.5)
    keys, n_valid = jax.random.split(jax.random.key(0), 200), jnp.arange(200) % 61
    masked = np.asarray(jax.jit(jax.vmap(lambda key, n: change(key, x, n_valid=n)))(keys, n_valid))
    for picture, n in zip(masked, n_valid, strict=True):
        np.testing.assert_array_equal(picture[:, n:], x[:, n:])
        changed = picture[:, :n] != x[:, :n]
        assert changed.all(axis=0).sum() <= n // 2
        assert not changed.any() or np.allclose(picture[:, :n][changed], x[:, :n].mean(), atol=1e-6)
    assert max((picture[:, :60] != x[:, :60]).all(axis=0).sum() for picture in masked) > 20
    whole = x[:, :60]
    all_valid, as_it_is, none_valid = (
        change(jax.random.key(1), whole, **given) for given in ({"n_valid": 60}, {}, {"n_valid": 0})
    )
    np.testing.assert_allclose(all_valid, as_it_is, atol=1e-7)
    np.testing.assert_array_equal(none_valid, whole)


@pytest.mark.parametrize("given", [np.float16, jnp.bfloat16, np.float32])
def test_changes_of_any_precision_can_be_chosen_among(given):
    keep = lambda key, x: x  # noqa: E731
    for change in (*WAVES.values(), *PICTURES.values()):
        x = jnp.asarray(S if change in PICTURES.values() else Y[:400], given)
        assert jax.eval_shape(augment.one_of(change, keep), jax.random.key(0), x).dtype == given


def test_mixup_mixes_labels_as_it_mixes_examples():
    x, labels = np.random.default_rng(0).standard_normal((64, 3, 5)).astype(np.float32), np.eye(64, dtype=np.float32)
    mixed, targets = jax.jit(partial(augment.mixup, alpha=0.5))(jax.random.key(0), x, labels)
    np.testing.assert_allclose(mixed, np.einsum("bk,k...->b...", targets, x), atol=1e-5)
    np.testing.assert_allclose(targets.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(targets.sum(axis=0).mean(), 1.0, rtol=1e-6)
    assert len(set(np.round(np.diag(targets), 4))) > 30  # a share for each pair
    same, _ = augment.mixup(jax.random.key(0), x, labels, alpha=0)
    np.testing.assert_array_equal(same, x)


def test_maybe_and_one_of_happen_as_often_as_they_should():
    double, negate = (lambda key, x: 2.0 * x), (lambda key, x: -x)
    keys = jax.random.split(jax.random.key(0), 1_000)
    happened = jax.jit(jax.vmap(lambda key: augment.maybe(0.3, double)(key, jnp.ones(1))))(keys) == 2
    assert np.mean(happened) == pytest.approx(0.3, abs=0.045)  # three standard errors
    keys = jax.random.split(jax.random.key(1), 1_000)
    chosen = jax.jit(jax.vmap(lambda key: augment.one_of(double, negate)(key, jnp.ones(1))))(keys)
    assert np.mean(chosen == 2) == pytest.approx(0.5, abs=0.05)
    assert np.isin(chosen, [2, -1]).all()
    assert augment.compose(double, negate, double)(jax.random.key(0), jnp.ones(1)).item() == -4


def test_the_loudest_and_shortest():
    assert np.isfinite(augment.add_noise(jax.random.key(0), np.full(9, 3e38, np.float32), snr_db=30)).all()
    for name, change in WAVES.items():
        for n_samples in (0, 1):
            changed = jax.jit(change)(jax.random.key(0), jnp.ones(n_samples))
            assert changed.shape == (n_samples,), name
            assert np.isfinite(changed).all(), name


K = jax.random.key
WRONG = {
    "noise both": (lambda: augment.add_noise(K(0), Y, snr_db=1, peak_share=1), "either snr_db or peak_share"),
    "noise none": (lambda: augment.add_noise(K(0), Y), "exactly one"),
    "noise range": (lambda: augment.add_noise(K(0), Y, snr_db=(30, 5)), "snr_db=5 .* at least 30"),
    "noise share": (lambda: augment.add_noise(K(0), Y, peak_share=-1), "peak_share=-1"),
    "noise batch": (
        lambda: augment.add_noise(K(0), CLIPS_BN, snr_db=1),
        r"\(3, 400\), expected one waveform .* jax.vmap",
    ),
    "noise PCM": (lambda: augment.add_noise(K(0), Y.astype(np.int16), snr_db=1), "y has dtype int16"),
    "noise triple": (lambda: augment.add_noise(K(0), Y, snr_db=(1, 2, 3)), r"\(1, 2, 3\) .* range \(low, high\)"),
    "gain": (lambda: augment.gain(K(0), Y, gain_db=float("inf")), "gain_db=inf"),
    "roll most": (lambda: augment.roll(K(0), Y, most=1.5), "most=1.5"),
    "roll back": (lambda: augment.roll(K(0), Y, most=-1), "most=-1"),
    "roll fill": (lambda: augment.roll(K(0), Y, most=1, fill="edge"), "fill='edge' .*'wrap', 'zero'"),
    "roll axis": (lambda: augment.roll(K(0), Y, most=1, axis=1), "axis=1"),
    "stretch": (lambda: augment.time_stretch(K(0), Y, rate=(0.1, 1)), "rate=0.1"),
    "stretch fast": (lambda: augment.time_stretch(K(0), Y, rate=5), "rate=5 .* at most 4"),
    "stretch hop": (lambda: augment.time_stretch(K(0), Y, rate=1, hop_length=0), "hop_length=0"),
    "pitch": (lambda: augment.pitch_shift(K(0), Y, n_steps=25), "n_steps=25 .* at most 24"),
    "picture": (lambda: augment.spec_augment(K(0), Y), "expected one picture"),
    "masks": (lambda: augment.spec_augment(K(0), S, freq_masks=-1), "freq_masks=-1"),
    "mask width": (lambda: augment.spec_augment(K(0), S, time_width=1.5), "time_width=1.5"),
    "mask share": (lambda: augment.spec_augment(K(0), S, time_share=2), "time_share=2 .* at most 1"),
    "mask valid": (lambda: augment.spec_augment(K(0), S, n_valid=13), "n_valid=13 .* from 0 to the 12 frames"),
    "mask valid part": (lambda: augment.spec_augment(K(0), S, n_valid=1.5), "n_valid=1.5"),
    "mask valid each": (lambda: augment.spec_augment(K(0), S, n_valid=np.array([1, 2])), "one whole number"),
    "mixup alpha": (lambda: augment.mixup(K(0), CLIPS_BN, np.eye(3, dtype=np.float32), alpha=-1), "alpha=-1"),
    "mixup labels": (lambda: augment.mixup(K(0), CLIPS_BN, np.eye(4, dtype=np.float32)), "one label per example"),
    "chance": (lambda: augment.maybe(1.1, WAVES["gain"]), "chance=1.1 .* at most 1"),
    "one_of": (lambda: augment.one_of(), "at least one change"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_argument(case, monkeypatch):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    call, message = WRONG[case]
    with pytest.raises(dsp.ParameterError, match=message):
        call()
