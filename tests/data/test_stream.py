"""Clips that stay on the disk: decoded in the order asked for, surveyed as features in memory tell."""

import os
import subprocess
import sys
from contextlib import closing

import numpy as np
import psutil
import pytest

from serjax.data import Window
from serjax.data.features import BLOCK, load_features
from serjax.data.leaks import feature_digests
from serjax.data.stream import ClipStream, Survey, in_blocks, survey
from serjax.train.runs import fit_normaliser
from tests.data.noise_corpus import FRONTEND, Noise, make_corpus
from tests.source import ROOT

N = BLOCK + 30
WINDOW = Window(FRONTEND.sample_rate_hz, FRONTEND.n_samples)
ODD = Noise(bad=("0003",), silent=("0005",), wild=("0070",))


def make_stream(source=None, n_clips=N, n_workers=0) -> ClipStream:
    paths = tuple(clip.path for clip in make_corpus(n_clips).utterances)
    return ClipStream(source or Noise(), paths, WINDOW, FRONTEND, n_workers)


def ignore(done, total):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [0, 2])
@pytest.mark.parametrize("first", [0, 1])
def test_blocks_come_in_their_order_whoever_decodes_them(n_workers, first):
    rows = np.random.default_rng(0).permutation(N)
    order = [*in_blocks(rows), rows[:0], rows[:5]]
    expected = make_corpus(N).source.read([f"{row:04d}" for row in rows], WINDOW).values_BN
    with closing(make_stream(n_workers=n_workers).blocks(order, first)) as blocks:
        read = list(blocks)
    for (own, _), expected_rows in zip(read, order[first:], strict=True):
        np.testing.assert_array_equal(own, expected_rows)
    found = [block.waveforms.values_BN for _, block in read]
    assert [len(values_BN) for values_BN in found] == [BLOCK, 30, 0, 5][first:]
    for values_BN, start in zip(found, [0, BLOCK, 0, 0][first:], strict=True):
        np.testing.assert_array_equal(values_BN, expected[start : start + len(values_BN)])


def test_a_survey_is_what_features_in_memory_tell():
    table = load_features(make_corpus(N, ODD), FRONTEND, max_bad=2)
    told = []
    found = survey(make_stream(ODD), lambda done, total: told.append((done, total)))
    assert told == [(BLOCK, N), (N, N)]
    np.testing.assert_array_equal(found.mask_NT, table.mask_NT)
    assert found.notes == table.notes
    assert list(map(str, found.errors.values())) == list(map(str, table.errors.values()))
    assert len(found.errors) == 2
    silent_N = np.arange(N) == 5
    digests = feature_digests(table.values_NTD, table.mask_NT, silent_N)
    assert found.digests(silent_N) == digests
    assert [row for row, digest in enumerate(digests) if not digest] == [3, 5, 70]
    for rows in (np.arange(0, N, 2), np.array([3, 4, 70]), np.array([9])):
        expected = fit_normaliser(table.values_NTD, table.mask_NT.astype(np.float32), rows)
        np.testing.assert_allclose(found.normaliser(rows), expected, rtol=1e-6)
        x_MC = table.values_NTD[rows][table.mask_NT[rows]].astype(np.float64)
        np.testing.assert_array_equal(found.ranges(rows), np.ptp(x_MC, axis=0))


def test_some_clips_of_a_survey_keep_what_was_found_of_them():
    found = survey(make_stream(ODD), ignore)
    kept_N = ~np.isin(np.arange(N), [3, 70])
    left = found.keeping(kept_N)
    assert not left.errors
    assert left.values_NTD.shape == (0, FRONTEND.n_frames, FRONTEND.n_features)
    np.testing.assert_array_equal(left.normaliser(np.arange(N - 2)), found.normaliser(np.flatnonzero(kept_N)))
    assert left.digests(np.zeros(N - 2, bool)) == found.digest_N[kept_N].tolist()


def test_clips_differ_if_one_valid_frame_does():
    x_NTC, mask_NT = np.full((4, 3, 2), -80.0, np.float32), np.arange(3) < np.array([[3], [2], [3], [0]])
    x_NTC[~mask_NT] = 0.0
    assert not Survey.of(x_NTC, mask_NT).differs()
    x_NTC[2, 1, 1] = -79.0
    assert Survey.of(x_NTC, mask_NT).differs()


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
READING = """
import time
from tests.data.test_stream import in_blocks, make_stream, np
if __name__ == "__main__":
    blocks = make_stream(n_workers=1).blocks(in_blocks(np.arange(94)) * 1_000)
    next(blocks)
    print("reading", flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(tmp_path):
    """Killed, it can tell them nothing."""
    script = tmp_path / "reading.py"
    script.write_text(READING)
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert process.stdout is not None
    assert process.stdout.readline() == "reading\n"
    workers = [child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    assert workers
    process.kill()
    process.wait()
    process.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive
