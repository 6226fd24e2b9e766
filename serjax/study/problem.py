"""What an experiment works on: a corpus, its features, and the folds of every seed."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol as StructuralType
from typing import runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from serjax.data.corpora.corpus import Corpus, Waveforms, Window
from serjax.data.feature_cache import Features
from serjax.data.features import Found, FoundOfClips, check_bad, check_differ, leave_out, load_features
from serjax.data.fingerprint import Fingerprint
from serjax.data.labels import label_by, merge_emotions, parse_merges
from serjax.data.leaks import FoundLeak, copies_in_training, find_leaks
from serjax.data.notes import gather
from serjax.data.recordings import load_fingerprints
from serjax.data.splits import Fold, Split, default_protocol, split_corpus, with_train_speakers
from serjax.dsp import Frontend
from serjax.errors import ConfigError
from serjax.study.checks import check_max_bad, check_positive
from serjax.study.flags import Data
from serjax.train.runs import fit_normaliser
from serjax.train.state import Dataset, Sound

Report = Callable[[int, int], None]  # of (clips done, clips in all)


@runtime_checkable
class FeatureFlags(StructuralType):
    """Flags that describe a DSP front end."""

    def frontend(self) -> Frontend:
        """Return the front end."""
        ...


@dataclass(frozen=True)
class Cell:
    """One fold under one seed: what is trained and tested together."""

    seed: int
    fold: Fold


@dataclass(frozen=True, eq=False)
class Problem:
    """Clips as arrays, and the cells in which a study trains and tests on them.

    `protocol` is what titles call it. `x_NTC` holds no clip where they are streamed. `windows` says for each corpus
    from where on its clips are read (`offset_s`), and how many `seconds` at most. `waveforms` are read where training
    augments them; `leak` says what test rows have in common with training rows beside speakers and sentences.
    """

    corpus: Corpus
    protocol: str
    speakers_shared: bool
    x_NTC: Float[np.ndarray, "n T C"]
    mask_NT: Float[np.ndarray, "N T"]
    cells: tuple[Cell, ...]
    windows: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    waveforms: Waveforms | None = None
    leak: str | None = None
    texts_shared: bool = False
    leaks: tuple[FoundLeak, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels (emotions, unless asked otherwise), in the order of class ids."""
        return self.corpus.labels

    @cached_property
    def truth_N(self) -> Int[np.ndarray, " N"]:
        """The class id of every clip."""
        return self.corpus.label_ids

    @property
    def dataset(self) -> Dataset:
        """The clips as the device holds them."""
        return Dataset(jnp.asarray(self.x_NTC), jnp.asarray(self.mask_NT), jnp.asarray(self.truth_N, jnp.int32))

    @property
    def label_kind(self) -> str:
        """What the classes are: emotion, emotion × gender, or gender; merged emotions are named as such."""
        labelling = self.corpus.labelling
        if labelling.scheme == "gender":
            return "gender"
        emotion = "merged emotion" if labelling.merged else "emotion"
        return emotion if labelling.scheme == "emotion" else f"{emotion} × gender"

    @property
    def part_size(self) -> int:
        """How many clips a part of the corpus has."""
        return len(self.x_NTC)

    def parts(self) -> Iterator[Dataset]:
        """Give the clips part by part, in their order: all at once, where they are in memory."""
        yield self.dataset

    def take(self, rows: Int[np.ndarray, " n"]) -> Dataset:
        """Return some clips."""
        return jax.tree.map(lambda array_N: array_N[rows], self.dataset)

    def normaliser(self, rows: Int[np.ndarray, " n"]) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
        """Return mean and standard deviation of each coefficient over the valid frames of rows."""
        return fit_normaliser(self.x_NTC, self.mask_NT, rows)

    def ranges(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, " C"]:
        """Return maximum − minimum of each coefficient over the valid frames of rows."""
        return np.ptp(self.x_NTC[rows][self.mask_NT[rows] > 0].astype(np.float64), axis=0)

    @property
    def sounding_dataset(self) -> Dataset:
        """The clips as the device holds them where training augments their waveforms."""
        assert self.waveforms is not None
        sound = Sound(jnp.asarray(self.waveforms.values_BN), jnp.asarray(self.waveforms.n_valid_B))
        return replace(self.dataset, sound=sound)

    @property
    def title(self) -> str:
        """Corpus, classes, protocol and seeds, as every table and figure names them."""
        n_seeds = len({cell.seed for cell in self.cells})
        name = self.corpus.name
        return make_title(name, self.label_kind, self.protocol, self.speakers_shared, self.leak, n_seeds)

    def digest(self) -> str:
        """Return a hash of clips and names, so that a checkpoint never meets other data."""
        digest = hashlib.sha256(self._features())
        labelling = self.corpus.labelling
        digest.update(repr([(u.path, labelling(u), u.speaker) for u in self.corpus.utterances]).encode())
        return digest.hexdigest()[:16]

    def _features(self) -> bytes:
        """Return what differs where features do."""
        return np.ascontiguousarray(self.x_NTC).tobytes()


def make_title(
    corpus: str, label_kind: str, protocol: str, speakers_shared: bool, leak: str | None, n_seeds: int
) -> str:
    """Name a result's corpus, classes (unless emotions), protocol and seeds, and what test rows share with training.

    >>> make_title("ravdess-all", "emotion × gender", "random-80-20", True, None, 2)
    'ravdess-all, emotion × gender, random-80-20, LEAK: speakers shared, 2 seeds'
    """
    classes = "" if label_kind == "emotion" else f", {label_kind}"
    leaks = "; ".join(([leak] if leak else []) + ["speakers shared"] * speakers_shared)
    return f"{corpus}{classes}, {protocol}{f', LEAK: {leaks}' if leaks else ''}, {n_seeds} seed{'s' * (n_seeds > 1)}"


def load_problem(
    data: Data,
    features: FeatureFlags,
    cache: Path | None,
    report: Report,
    listened: Report = lambda done, total: None,
    selecting: bool = True,
) -> Problem:
    """Read the corpus, compute or fetch its features, and split it for every seed.

    `report(done, total)` is called as clips become features, `listened(done, total)` as copies are looked for. Unless
    `selecting`, validation rows go to training.
    """
    corpus, splits, (table,) = load_parts(data, (features,), cache, (report,), selecting)
    window = window_of(corpus, data, features.frontend())
    return make_problem(corpus, splits, table, window, fingerprints_of(corpus, data, cache, listened))


def load_parts(
    data: Data,
    sets: Sequence[FeatureFlags],
    cache: Path | None,
    reports: Sequence[Report],
    selecting: bool,
) -> tuple[Corpus, tuple[Split, ...], list[Features]]:
    """Read the corpus, compute or fetch one or several sets of features, and split what is readable for every seed.

    Clips that some set cannot be computed of are left out of all, as far as `--max-bad` allows; a note names them.

    Raises:
      UnreadableClips: there are more of them.
    """
    pairs = list(zip(sets, reports, strict=True))
    return read_parts(
        data, lambda corpus: [read_features(corpus, data, flags, cache, report) for flags, report in pairs], selecting
    )


def read_parts(
    data: Data, read: Callable[[Corpus], list[Found]], selecting: bool
) -> tuple[Corpus, tuple[Split, ...], list[Found]]:
    """Read the corpus, what `read` finds of its clips, and split what is readable for every seed; as `load_parts`."""
    check_positive("--seeds", data.seeds)
    check_max_bad(data.max_bad)
    corpus = labelled_corpus(data)
    splits = split_for_seeds(corpus, data, selecting)  # says what is wrong before anything is computed
    tables = read(corpus)
    corpus = replace(corpus, notes=gather([*corpus.notes, *(note for table in tables for note in table.notes)]))
    errors = {path: error for table in tables for path, error in table.errors.items()}
    if errors:
        check_bad(errors, data.max_bad or 0, len(corpus.utterances))
        corpus, tables = leave_out(corpus, tables, errors)
        splits = split_for_seeds(corpus, data, selecting)
    check_differ(tables)
    return corpus, splits, tables


def window_of(corpus: Corpus, data: Data, frontend: Frontend) -> Window:
    """Return the part of each clip that a front end gets."""
    return Window(frontend.sample_rate_hz, frontend.n_samples, corpus.offset_s, data.duration)


def fingerprints_of(corpus: Corpus, data: Data, cache: Path | None, report: Report) -> tuple[Fingerprint, ...]:
    """Compute or fetch what copies are known by; of clips that are computed from their names, none is a copy."""
    return () if data.corpus == "synthetic" else load_fingerprints(corpus, cache, report)


def labelled_corpus(data: Data) -> Corpus:
    """Read the corpus or corpora, and give the clips the labels and the offset asked for."""
    corpus = data.load()
    corpus = corpus.only(data.emotions) if data.emotions else corpus
    corpus = corpus if data.clips is None else corpus.drawn(data.clips)
    return label_by(merge_emotions(corpus, parse_merges(data.merge)), data.labels)


def split_for_seeds(corpus: Corpus, data: Data, selecting: bool) -> tuple[Split, ...]:
    """Split a corpus once for each seed.

    Raises:
      ConfigError: there is nothing to tell apart.
    """
    if len(corpus.labels) < 2:
        raise ConfigError(
            f"All clips are {corpus.labels[0]}, and there is nothing to tell it from. Choose two labels at least: see "
            "--emotions, --merge and --labels."
        )
    protocol = data.protocol or default_protocol(corpus)
    splits = (split_corpus(corpus, protocol, seed, selecting) for seed in range(data.seeds))
    if data.train_speakers is None:
        return tuple(splits)
    return tuple(with_train_speakers(corpus, split, data.train_speakers, seed) for seed, split in enumerate(splits))


def read_features(corpus: Corpus, data: Data, features: FeatureFlags, cache: Path | None, report: Report) -> Features:
    """Compute or fetch the features of the part of each clip that is asked for.

    Raises:
      UnreadableClips: more clips than `--max-bad` cannot be read.
    """
    return load_features(
        corpus,
        features.frontend(),
        offset_s=corpus.offset_s,
        duration_s=data.duration,
        cache=cache,
        progress=report,
        max_bad=data.max_bad or 0,
    )


def make_problem(
    corpus: Corpus,
    splits: tuple[Split, ...],
    table: FoundOfClips,
    window: Window,
    fingerprints: Sequence[Fingerprint],
    leak: str | None = None,
    make: Callable[..., Problem] = Problem,
) -> Problem:
    """Put a corpus, the split of each seed and the features together, and look for what training and test share.

    `make` is called with the fields of a `Problem`. Without `fingerprints` only clips of equal features are the same.

    Raises:
      ProtocolError: one recording is in training and test of a protocol that keeps them apart.
    """
    silent = {path for note in corpus.notes if note.kind == "silent" for path, _ in note.clips}
    silent_N = np.array([utterance.path in silent for utterance in corpus.utterances])
    leaks = find_leaks(corpus.utterances, splits, table.digests(silent_N), fingerprints)
    return make(
        corpus=corpus,
        protocol=splits[0].protocol,
        speakers_shared=any(split.speakers_shared for split in splits),
        x_NTC=table.values_NTD,
        mask_NT=table.mask_NT.astype(np.float32),
        cells=tuple(Cell(seed, fold) for seed, split in enumerate(splits) for fold in split.folds),
        windows=corpus.windows(window),
        leak=leak or copies_in_training(leaks),
        leaks=leaks,
        texts_shared=any(split.texts_shared for split in splits),
    )
