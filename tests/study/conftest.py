"""What tests of several studies note of their training, and what they leave out."""

from tests.study.fixtures import no_figures, no_sound, stacks, traces

__all__ = ["no_figures", "no_sound", "stacks", "traces"]
