"""Training on clips that come by: the epochs of a stack in pieces, each on a window of clips.

Clips that do not fit in memory come by in windows: as many consecutive steps as need so many clips, whose features are
computed when their turn comes. A window is to the compiled program what else the whole corpus is, with rows of its own.
"""

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import chex
import jax
import numpy as np
from jaxtyping import Float, Int

from serjax.data.batches import IndexBlocks
from serjax.data.features import BLOCK
from serjax.data.stream import ClipStream, RowsRead
from serjax.train.parallel import Layout
from serjax.train.runs import Run, stack_inputs
from serjax.train.state import Dataset, RunInputs, Sound, TrainState
from serjax.train.step import Reached
from serjax.train.too_large import check_fits

WINDOW = 2048  # clips whose features are held at a time: 18 MB of MFCC pictures
SOUNDING_WINDOW = 512  # where their waveforms are held too: 112 MB of clips of 2.5 s
ENDED = ("validation_loss", "rejected")  # metrics of an epoch as a whole; the others are means over its steps
HostMetrics = dict[str, Float[np.ndarray, "R E"]]
Rows = Int[np.ndarray, "R S B"]


@dataclass(frozen=True, eq=False)
class Streamed:
    """The clips of a corpus that stay on the disk, and their classes; `sounding`: steps change their waveforms."""

    stream: ClipStream
    label_N: Int[np.ndarray, " N"]
    sounding: bool = False

    @property
    def window(self) -> int:
        """How many clips may be held at a time."""
        return SOUNDING_WINDOW if self.sounding else WINDOW

    @contextlib.contextmanager
    def open(
        self, train: Callable, runs: list[Run], blocks: IndexBlocks, layout: Layout, epoch: int
    ) -> "Iterator[StreamedProgram]":
        """Open the program of a stack that goes on from `epoch`; clips are decoded while it is open."""
        host = stack_inputs(runs)
        windows = Windows.of(blocks, host, self.window)
        first = epoch * windows.n_pieces * windows.n_blocks
        with contextlib.closing(self.stream.blocks(windows, first)) as coming:
            yield StreamedProgram(train, layout.put_runs(host), self, layout, windows, coming)

    def silence(self, capacity: int) -> Dataset:
        """Return a data set on the host that so many clips can be written into."""
        stream, frontend = self.stream, self.stream.frontend
        wav_NL = np.zeros((capacity if self.sounding else 0, stream.window.n_samples), np.float32)
        return Dataset(
            x_NTC=np.zeros((capacity, frontend.n_frames, frontend.n_features), np.float32),
            mask_NT=np.zeros((capacity, frontend.n_frames), np.float32),
            label_N=np.zeros(capacity, np.int32),
            sound=Sound(wav_NL, np.zeros(len(wav_NL), np.int32)) if self.sounding else None,
        )

    def dataset(self, read: Iterable[RowsRead], rows: Int[np.ndarray, " n"], capacity: int) -> Dataset:
        """Return the clips at `rows`, which were `read` one block after another, on the host; silence fills them up."""
        dataset, first = self.silence(capacity), 0
        dataset.label_N[: len(rows)] = self.label_N[rows]
        for own, block in read:
            place = slice(first, first := first + len(own))
            assert np.array_equal(own, rows[place]), "the stream stands elsewhere than the index stream"
            if len(own):
                dataset.x_NTC[place], dataset.mask_NT[place] = self.stream.features(block)
            if dataset.sound is not None:
                dataset.sound.wav_NL[place], dataset.sound.n_valid_N[place] = block.waveforms[:2]
        assert first == len(rows), "the stream has ended"
        return dataset


class Piece(NamedTuple):
    """What of an epoch is trained on one window: the rows of some steps, or else some validation rows of each run."""

    rows_RKB: Int[np.ndarray, "R K B"]
    validation_RV: Int[np.ndarray, "R V"]
    weight_RV: Float[np.ndarray, "R V"]

    @property
    def clips(self) -> Int[np.ndarray, " n"]:
        """The rows of its clips, each once."""
        return np.unique(np.concatenate([self.rows_RKB.ravel(), self.validation_RV.ravel()]))


@dataclass(frozen=True, eq=False)
class Windows:
    """How epochs are cut into pieces, and the order in which their clips are needed, as a source for grain.

    An epoch has pieces of `n_steps` steps, then pieces of `n_validation` validation rows of each run. The clips of a
    piece are `n_blocks` blocks, the last of which may be empty. Each block is a function of its number alone.
    """

    blocks: IndexBlocks
    validation_RV: Int[np.ndarray, "R V"]
    weight_RV: Float[np.ndarray, "R V"]
    n_steps: int
    n_validation: int
    n_blocks: int

    @classmethod
    def of(cls, blocks: IndexBlocks, inputs: RunInputs, most: int) -> "Windows":
        """Make pieces as long as `most` clips allow, and of one step where that has more."""
        validation_RV, weight_RV = np.asarray(inputs.validation_V), np.asarray(inputs.validation_weight_V)
        n_runs, n_validation = validation_RV.shape
        n_steps, a_step = blocks.steps, n_runs * blocks.batch_size
        n_clips = len(np.unique(np.concatenate([*blocks.rows, validation_RV.ravel()])))
        if n_clips > most:
            n_steps = min(max(most // a_step, 1), n_steps)
            n_validation = min(max(most // n_runs, 1), n_validation)
        n_held = min(n_clips, max(n_steps * a_step, n_validation * n_runs))
        return cls(blocks, validation_RV, weight_RV, n_steps, n_validation, -(-n_held // BLOCK))

    @property
    def n_pieces(self) -> int:
        """How many pieces an epoch has."""
        return -(-self.blocks.steps // self.n_steps) + -(-self.validation_RV.shape[1] // self.n_validation)

    def cut(self, rows_RSB: Int[np.ndarray, "R S B"]) -> Iterator[Piece]:
        """Give the pieces of an epoch."""
        validation_RV, weight_RV = self.validation_RV, self.weight_RV
        for first in range(0, rows_RSB.shape[1], self.n_steps):
            yield Piece(rows_RSB[:, first : first + self.n_steps], validation_RV[:, :0], weight_RV[:, :0])
        for first in range(0, validation_RV.shape[1], self.n_validation):
            columns = slice(first, first + self.n_validation)
            yield Piece(rows_RSB[:, :0], validation_RV[:, columns], weight_RV[:, columns])

    def __len__(self) -> int:
        return len(self.blocks) * self.n_pieces * self.n_blocks

    def __getitem__(self, number: int) -> Int[np.ndarray, " b"]:
        piece, block = divmod(number, self.n_blocks)
        epoch, place = divmod(piece, self.n_pieces)
        return _clips_of_epoch(self, epoch)[place][block * BLOCK : (block + 1) * BLOCK]


@functools.lru_cache(maxsize=2)
def _clips_of_epoch(windows: Windows, epoch: int) -> list[Int[np.ndarray, " n"]]:
    return [piece.clips for piece in windows.cut(windows.blocks[epoch])]


@dataclass(frozen=True, eq=False)
class StreamedProgram:
    """The compiled pieces of the epochs of a stack, and the blocks of clips that they need, in turn."""

    train: Callable
    inputs: RunInputs
    clips: Streamed
    layout: Layout
    windows: Windows
    coming: Iterator[RowsRead]

    def call(self, state: TrainState, rows: Sequence[Rows]) -> tuple[TrainState, HostMetrics]:
        """Train for as many epochs as there are `rows`, piece by piece; return state and metrics."""
        epochs = []
        for rows_RSB in rows:
            state, metrics_R = self._train_epoch(state, rows_RSB)
            epochs.append(metrics_R)
        return state, {name: np.stack([metrics_R[name] for metrics_R in epochs], axis=1) for name in epochs[0]}

    def check_fits(self, state: TrainState) -> None:
        """Compile, and raise TooLargeError where memory cannot hold what is computed."""
        n_runs, batch_size = self._n_runs, self.windows.blocks.batch_size
        no_rows = np.zeros((n_runs, 0, batch_size), np.int32)
        piece = Piece(no_rows, self.windows.validation_RV[:, :0], self.windows.weight_RV[:, :0])
        given = self._given(piece, self.clips.silence(self._capacity), is_last=False)
        compiled = self.train.lower(self._begun(state), *given).compile()  # type: ignore[attr-defined]
        check_fits(compiled, self.layout.devices, n_runs, batch_size)

    def _train_epoch(self, state: TrainState, rows_RSB: Rows) -> tuple[TrainState, dict[str, np.ndarray]]:
        """Train for an epoch; return state and the metrics of each run, NaN where it stood still."""
        reached, steps = self._begun(state), []
        for number, piece in enumerate(self.windows.cut(rows_RSB), start=1):
            read = itertools.islice(self.coming, self.windows.n_blocks)
            dataset = self.clips.dataset(read, piece.clips, self._capacity)
            given = self._given(piece, dataset, is_last=number == self.windows.n_pieces)
            reached, metrics = jax.block_until_ready(self.train(reached, *given))
            metrics = self.layout.get_runs(metrics, self._n_runs)
            ended = {name: metrics.pop(name) for name in ENDED}
            steps.append({name: values_RK[:, : piece.rows_RKB.shape[1]] for name, values_RK in metrics.items()})
        stood_R = np.isnan(ended["rejected"])
        means = {name: np.concatenate([values[name] for values in steps], axis=1).mean(axis=1) for name in metrics}
        return reached[0], {name: np.where(stood_R, np.nan, mean_R) for name, mean_R in means.items()} | ended

    def _given(self, piece: Piece, dataset: Dataset, is_last: bool) -> tuple[chex.ArrayTree, ...]:
        """Return what the compiled program takes beside the state: a piece, its rows counted among its own clips."""
        clips = piece.clips
        rows_RKB, validation_RV = (np.searchsorted(clips, rows).astype(np.int32) for rows in piece[:2])
        n_steps, put_runs = rows_RKB.shape[1], self.layout.put_runs
        short = [(0, 0), (0, self.windows.n_validation - validation_RV.shape[1])]
        inputs = replace(
            self.inputs,
            validation_V=put_runs(np.pad(validation_RV, short)),
            validation_weight_V=put_runs(np.pad(piece.weight_RV, short)),
        )
        rows_RKB = np.pad(rows_RKB, [(0, 0), (0, self.windows.n_steps - n_steps), (0, 0)])
        part = self.layout.put_shared((np.int32(n_steps), np.bool_(is_last)))
        return inputs, self.layout.put_rows(rows_RKB), part, self.layout.put_shared(dataset)

    def _begun(self, state: TrainState) -> Reached:
        """Return a state as it is at the beginning of an epoch: nothing is validated yet."""
        return state, self.layout.put_runs(np.zeros((self._n_runs, 2), np.float32))

    @property
    def _n_runs(self) -> int:
        return len(self.windows.validation_RV)

    @property
    def _capacity(self) -> int:
        return self.windows.n_blocks * BLOCK
