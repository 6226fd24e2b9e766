"""On what and how a study is tested: what stands in every title."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serjax.data.notes import Note
from serjax.study.problem import Problem


@dataclass(frozen=True)
class Setting:
    """On what and how it was tested: what stands in every title."""

    corpus: str
    corpus_notes: tuple[Note, ...]
    protocol: str
    speakers_shared: bool
    labels: tuple[str, ...]
    told_apart: str
    title: str
    leak: str | None = None
    offset_s: float = 0.0
    texts_shared: bool = False
    leaks: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, problem: Problem) -> "Setting":
        """Take it from a problem."""
        corpus, shared = problem.corpus, problem.speakers_shared
        named = problem.labels, problem.told_apart, problem.title
        leaks = tuple(found.as_json() for found in problem.leaks)
        about = problem.leak, problem.offset_s, problem.texts_shared
        return cls(corpus.name, corpus.notes, problem.protocol, shared, *named, *about, leaks)
