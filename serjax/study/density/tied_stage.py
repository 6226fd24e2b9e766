"""One tied VAE of all emotions per member, on vectors whitened within classes; it starts as tied Gaussians.

Its score is a bound of the log-likelihood ratio to the background (`TiedVAE.class_log_ratio`).
"""

from dataclasses import dataclass

import chex
import numpy as np

from serjax.models.tied_vae import TiedVAE
from serjax.study.density.system import Scores
from serjax.study.density.vae_stage import Member, Part, Stage, Start
from serjax.study.generative.scores import compile_class_log_ratio
from serjax.study.generative.tied_start import LinearPath, silenced, with_paths
from serjax.study.problem import Problem
from serjax.study.trainer import Trainer, check_finite, fresh
from serjax.train.objectives import ConditionalVaeObjective, PictureAugmentation
from serjax.train.runs import Run


@dataclass(frozen=True, eq=False)
class TiedStage(Stage):
    """The members of all cells, and the one VAE of each."""

    def parts(self, member: Member) -> list[Part]:
        """Return what the VAE of a member is of: all emotions."""
        return [Part("all", tuple(range(len(self.problem.labels))), member.centre_KD.mean(axis=0))]

    @property
    def network(self) -> TiedVAE:
        """The VAE of a member."""
        n_classes, flags = len(self.problem.labels), self.flags
        class_dim = flags.class_dim or min(n_classes - 1, flags.latent_dim)
        width = self.problem.x_NTC.shape[2]
        return TiedVAE(1, width, flags.latent_dim, flags.hidden, class_dim=class_dim, n_classes=n_classes)

    @property
    def objective(self) -> ConditionalVaeObjective:
        """What the VAEs minimise."""
        return ConditionalVaeObjective(self.network, PictureAugmentation(roll_frames=0), len(self.problem.labels))

    def start(self, runs: list[Run]) -> Start:
        """Return what gives starting parameters of some of the runs: by the class means of the run's vectors."""
        fresh_of = fresh(runs, self.objective)
        n_dims = self.network.class_dim
        paths = [
            LinearPath.of_means((member.centre_KD - run.shift_C) @ run.projection_CP, n_dims)
            for run, member in zip(runs, self.members, strict=True)
        ]
        return lambda rows: with_paths(silenced(fresh_of(rows)), [paths[r] for r in rows])

    def scores(self, trainer: Trainer, runs: list[Run], params_R: chex.ArrayTree, clips: Problem) -> list[Scores]:
        """Return for each member the log-likelihood ratios of the clips it is to score; others have zeros."""
        compiled = compile_class_log_ratio(self.network, trainer.layout.by_runs())
        ratios = trainer.evaluate_rows(compiled, runs, params_R, self.problem, self.asked)
        ratio_RNK = np.zeros((len(runs), len(clips.truth_N), len(clips.labels)))
        for ratio_NK, rows, found in zip(ratio_RNK, self.asked, ratios, strict=True):
            ratio_NK[self.problem.clip_M[rows]] = found
        check_finite(ratio_RNK, "log-likelihood ratios", runs, clips)
        return list(ratio_RNK)
