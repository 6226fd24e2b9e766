"""Thousands of drawn examples of the comparisons with librosa and the definitions: a second run of those tests."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.nightly
def test_two_thousand_drawn_examples_pass():
    pytest.importorskip("librosa")
    command = (sys.executable, "-m", "pytest", "tests/dsp", "-n", "2", "-m", "not slow and not nightly", "-k", "equals")
    thorough = ("--hypothesis-profile=thorough", "--hypothesis-show-statistics")
    run = subprocess.run((*command, *thorough), cwd=Path(__file__).parents[2], capture_output=True, text=True)
    n_examples = sum(map(int, re.findall(r"(\d+) passing", run.stdout)))
    print(run.stdout[-2_000:])
    assert run.returncode == 0
    assert n_examples >= 2_000
