"""The vectors of all cells and background models in one data set, and the VAEs that are trained on it in stacks.

Each member (a background model in a cell) has vectors of its own. They stand one after another. The normaliser of a run
subtracts the mean of its emotion and whitens: the VAE models what is left of the class mean, and its decoder starts by
saying that nothing is.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import chex
import numpy as np
from jaxtyping import Array, Float, Int

from serjax.evaluate.likelihood import decode_mean
from serjax.models.density.classifier import Vector
from serjax.models.density.whitening import class_means, fit_whitening
from serjax.models.vae import VAE, squared_error_by_feature
from serjax.study.density.flags import Vaes
from serjax.study.density.system import Scores, Vectors, background_log_px
from serjax.study.flags import Optimisation
from serjax.study.generative.tied_start import silenced
from serjax.study.problem import Cell, Problem
from serjax.study.trainer import Recipe, Request, Trainer, check_finite, fresh
from serjax.train.objectives import PictureAugmentation, VaeObjective
from serjax.train.parallel import Layout
from serjax.train.runs import Run
from serjax.train.state import Dataset, RunInputs, gather_all, in_blocks

Start = Callable[[range], dict[str, Any]]


@dataclass(frozen=True, eq=False, kw_only=True)
class VectorProblem(Problem):
    """A data set of vectors; row m is one of clip `clip_M[m]`, which may have several."""

    clip_M: Int[np.ndarray, " M"]

    @functools.cached_property
    def truth_N(self) -> Int[np.ndarray, " M"]:
        """The class id of every row."""
        return self.corpus.label_ids[self.clip_M]


@dataclass(frozen=True, eq=False)
class Member:
    """The vectors of one background model in one cell: `n_train` of training clips and copies, then those to score.

    `centre_KD` are class means; `axes` whiten, by shrinkage; `log_px_N` is of all clips.
    """

    cell: Cell
    number: int
    x_MD: Float[np.ndarray, "M D"]
    clip_M: Int[np.ndarray, " M"]
    n_train: int
    centre_KD: Float[np.ndarray, "K D"]
    axes: dict[float, Float[np.ndarray, "D D"]]
    log_px_N: Float[np.ndarray, " N"]

    @classmethod
    def fit(
        cls,
        place: tuple[Cell, int],
        vectors: Vectors,
        rows: tuple[Int[np.ndarray, " n"], Int[np.ndarray, " s"]],
        n_classes: int,
        shrinkages: Sequence[float],
    ) -> "Member":
        """Fit class means and whitening to the vectors of training clips; `rows` are these clips and those to score."""
        train_n, scored_s = rows
        fitted_to = (vectors.train_MD, vectors.label_M, n_classes)
        return cls(
            *place,
            x_MD=np.concatenate([vectors.train_MD, vectors.x_ND[scored_s]]),
            # `train_MD` holds the recorded clips and then each copy of them, so their rows repeat.
            clip_M=np.concatenate([np.resize(train_n, len(vectors.train_MD)), scored_s]),
            n_train=len(vectors.train_MD),
            centre_KD=np.asarray(class_means(*fitted_to)),
            axes={share: np.asarray(fit_whitening(*fitted_to, share).axes_DP) for share in shrinkages},
            log_px_N=background_log_px(vectors, n_classes, shrinkages[0]),
        )

    def padded(self, width: int) -> "Member":
        """Return it with zeros up to `width` features, which every VAE rebuilds without error from its start on."""
        more = width - self.x_MD.shape[1]
        if not more:
            return self
        x_MD, centre_KD = (np.pad(array, ((0, 0), (0, more))) for array in (self.x_MD, self.centre_KD))
        axes = {share: np.pad(axes_DD, (0, more)) for share, axes_DD in self.axes.items()}
        return replace(self, x_MD=x_MD, centre_KD=centre_KD, axes=axes)


class Part(NamedTuple):
    """What one VAE of a member is of: its name, the classes of its clips, and what is subtracted of their vectors."""

    name: str
    classes: tuple[int, ...]
    centre_D: Float[np.ndarray, " D"]


@dataclass(frozen=True, eq=False)
class Stage:
    """The members of all cells in one data set, each from row `first` on, and the VAEs that are trained on them."""

    problem: VectorProblem
    members: list[Member]
    kind: Vector
    refit: bool
    flags: Vaes

    @classmethod
    def of(cls, problem: Problem, members: list[Member], kind: Vector, refit: bool, flags: Vaes) -> "Stage":
        """Put members one after another."""
        width = max(member.x_MD.shape[1] for member in members)
        members = [member.padded(width) for member in members]
        x_MD, clip_M = (np.concatenate([getattr(member, name) for member in members]) for name in ("x_MD", "clip_M"))
        vectors = VectorProblem(
            corpus=problem.corpus,
            protocol=problem.protocol,
            speakers_shared=problem.speakers_shared,
            x_NTC=x_MD[:, None],
            mask_NT=np.ones((len(x_MD), 1), np.float32),
            cells=(),
            clip_M=clip_M,
        )
        return cls(vectors, members, kind, refit, flags)

    @property
    def first(self) -> list[int]:
        """The first row of each member."""
        return np.cumsum([0, *(len(member.clip_M) for member in self.members[:-1])]).tolist()

    @property
    def asked(self) -> list[Int[np.ndarray, " s"]]:
        """The rows of each member that are to be scored."""
        places = zip(self.members, self.first, strict=True)
        return [first + np.arange(member.n_train, len(member.clip_M)) for member, first in places]

    def of_members(self, shares: Sequence[float]) -> list[float]:
        """Return for each member the share of its cell; `shares` has one per cell."""
        by_cell = dict(zip(dict.fromkeys(id(member.cell) for member in self.members), shares, strict=True))
        return [by_cell[id(member.cell)] for member in self.members]

    def by_run(self, epochs_R: Int[np.ndarray, " R"]) -> dict[str, int]:
        """Return the epochs of runs by seed, fold with member, and emotion."""
        places = [f"{member.cell.seed}/{self._fold(member)}" for member in self.members]
        names = [
            f"{place}/{part.name}" for place, m in zip(places, self.members, strict=True) for part in self.parts(m)
        ]
        return dict(zip(names, epochs_R.tolist(), strict=True))

    def _fold(self, member: Member) -> str:
        return f"{member.cell.fold.name} {self.kind} {member.number}"

    @property
    def n_models(self) -> int:
        """How many VAEs a member has."""
        return len(self.parts(self.members[0]))

    def parts(self, member: Member) -> list[Part]:
        """Return what each VAE of a member is of: one emotion."""
        return [Part(name, (k,), member.centre_KD[k]) for k, name in enumerate(self.problem.labels)]

    @property
    def objective(self) -> VaeObjective:
        """What the VAEs minimise."""
        network = VAE(1, self.problem.x_NTC.shape[2], self.flags.latent_dim, self.flags.hidden)
        return VaeObjective(network, PictureAugmentation(roll_frames=0))

    def request(self, trainer: Trainer, name: str, runs: list[Run]) -> Request:
        """Ask for VAEs to be trained."""
        recipe = Recipe(self.objective, Optimisation(learning_rate=self.flags.learning_rate, roll_frames=0))
        return Request(trainer, recipe, name, runs, self.start(runs), self.problem)

    def start(self, runs: list[Run]) -> Start:
        """Return what gives starting parameters of some of the runs: decoders that say nothing."""
        fresh_of = fresh(runs, self.objective)
        return lambda rows: silenced(fresh_of(rows))

    def runs(self, shares: Sequence[float], epochs_R: Int[np.ndarray, " R"] | None) -> list[Run]:
        """Return one run per member and VAE, in this order; vectors are whitened with the member's share."""
        class_M, n_classes = self.problem.truth_N, len(self.problem.labels)
        n_runs, longest = len(self.members) * self.n_models, self.flags.vae_epochs
        limits = iter([longest] * n_runs if epochs_R is None else epochs_R.tolist())
        runs = []
        for member, first, share in zip(self.members, self.first, shares, strict=True):
            train_n = first + np.arange(member.n_train)
            held_out = np.isin(member.clip_M[member.n_train :], [] if self.refit else member.cell.fold.validation)
            held_out_v = first + member.n_train + np.flatnonzero(held_out)
            for part in self.parts(member):
                run = Run(
                    seed=member.cell.seed,
                    fold=self._fold(member),
                    emotion=part.name,
                    train=train_n[np.isin(class_M[train_n], part.classes)],
                    validation=held_out_v[np.isin(class_M[held_out_v], part.classes)],
                    shift_C=part.centre_D,
                    scale_C=np.ones_like(part.centre_D),
                    projection_CP=member.axes[share],
                    learning_rate=self.flags.learning_rate,
                    beta=self.flags.beta,
                    epochs=next(limits),
                    # The learning rate falls as in the longest training, also where a refit stops earlier.
                    decay_epochs=longest,
                    class_weight_K=np.ones(n_classes, np.float32),
                )
                runs.append(run)
        return runs

    def scores(self, trainer: Trainer, runs: list[Run], params_R: chex.ArrayTree, clips: Problem) -> list[Scores]:
        """Return for each member minus half the squared error of the clips it is to score, under each emotion's VAE."""
        n_classes = len(clips.labels)
        asked_R = [rows for rows in self.asked for _ in range(n_classes)]
        compiled = compile_squared_error(self.objective.model, trainer.layout.by_runs())
        squared_R = trainer.evaluate_rows(compiled, runs, params_R, self.problem, asked_R)
        error_RN = np.zeros((len(runs), len(clips.truth_N)))
        for error_N, rows, squared in zip(error_RN, asked_R, squared_R, strict=True):
            error_N[self.problem.clip_M[rows]] = squared
        check_finite(error_RN, "reconstruction errors", runs, clips)
        return [-error_KN.T / 2 for error_KN in error_RN.reshape(-1, n_classes, error_RN.shape[1])]


@functools.cache
def compile_squared_error(model: VAE, layout: Layout) -> Callable:
    """Compile the squared errors of rows for stacks of `(params, inputs, rows)` beside `(dataset, ids)`."""

    def squared_error(run: tuple[Any, RunInputs, Array], shared: tuple[Dataset, Array]) -> Float[Array, " M"]:
        params, inputs, rows_M = run

        def one_block(rows_B: Int[Array, " B"]) -> Float[Array, " B"]:
            batch = gather_all(shared[0], inputs, rows_B)
            output_BTC = decode_mean(model, params, batch.x_BTC)
            return squared_error_by_feature(batch.x_BTC, output_BTC, batch.mask_BT).sum(axis=-1)

        return in_blocks(one_block, rows_M)

    return layout.evaluate(squared_error)
