"""What tests of several studies note of their training, and what they leave out."""

from tests.study.fixtures import no_sound, stacks, traces, usually_no_figures

__all__ = ["no_sound", "stacks", "traces", "usually_no_figures"]
