"""Which values of flags make sense: each check raises ConfigError in the words of the command line."""

import math

from serjax.dsp import Frontend, LogMel, Mfcc
from serjax.errors import ConfigError
from serjax.study.flags import Machine, Optimisation, SupervisedTraining
from serjax.train.pictures import PictureChanges


def check_positive(flag: str, value: int | float | None) -> None:
    """Raise ConfigError unless `value` is above zero and finite, or None where a flag may be left open."""
    if value is not None and not 0 < value < math.inf:
        raise ConfigError(f"{flag} {value}: expected a number above 0, not infinite.")


def check_max_bad(max_bad: float | None) -> None:
    """Raise ConfigError unless it is a number of clips, or a share of them."""
    if max_bad is not None and not (0 <= max_bad < 1 or (max_bad >= 1 and max_bad.is_integer())):
        raise ConfigError(f"--max-bad {max_bad}: expected a number of clips, or a share below 1, such as 0.05.")


def check_share(flag: str, share: float) -> None:
    """Raise ConfigError unless a share that is taken leaves something."""
    if not 0 <= share < 1:
        raise ConfigError(f"{flag} {share}: expected a share from 0 to below 1, such as 0.3.")


def check_training(training: Optimisation) -> None:
    """Raise ConfigError for numbers that nothing can be trained with."""
    for flag in ("epochs", "batch_size", "learning_rate", "clip_norm", "patience"):
        check_positive(f"--{flag.replace('_', '-')}", getattr(training, flag))
    if not 0 <= training.momentum < 1:
        raise ConfigError(f"--momentum {training.momentum}: expected a number from 0 to below 1, such as 0.9.")
    if not 0 <= (training.weight_decay or 0.0) < math.inf:
        raise ConfigError(f"--weight-decay {training.weight_decay}: expected a number from 0 on, such as 0.01.")
    for flag in ("roll_frames", "noise", "warmup_steps"):
        if not 0 <= (value := getattr(training, flag)) < math.inf:
            raise ConfigError(f"--{flag.replace('_', '-')} {value}: expected a number from 0 on; 0: none.")
    check_positive("--max-rejected", training.max_rejected)
    if isinstance(training, SupervisedTraining):
        _check_classifier_training(training)


def _check_classifier_training(training: SupervisedTraining) -> None:
    if training.weights is not None and not training.weights.is_file():
        raise ConfigError(f"--weights {training.weights}: there is no such file.")
    if training.pca_variance is not None and not 0 < training.pca_variance < 1:
        raise ConfigError(f"--pca-variance {training.pca_variance}: expected a share between 0 and 1, such as 0.95.")
    if training.ema is not None:
        check_share("--ema", training.ema)
    check_positive("--rolled-copies", training.rolled_copies)
    if (training.rolled_copies or 1) > 1 and not training.roll_frames:
        raise ConfigError(
            f"--rolled-copies {training.rolled_copies} with --roll-frames 0: the copies would be the same. Give "
            "--roll-frames a number above 0, or leave --rolled-copies out."
        )
    if training.keep == "last" and training.patience is not None:
        raise ConfigError("--keep last chooses no epoch, --patience stops by validation rows: give one.")
    if training.class_weights and training.balanced_sampling:
        raise ConfigError(
            "--class-weights and --balanced-sampling each make up for rare classes; together they would do so twice. "
            "Choose one."
        )


def check_stream(machine: Machine, frontend: Frontend, in_memory: dict[str, bool]) -> None:
    """Raise ConfigError where clips are to be streamed to what cannot take them so.

    Args:
      machine: says whether they are.
      frontend: of the study; must give a picture of frames.
      in_memory: flags that need all clips in memory, and whether they are given.
    """
    if machine.stream_workers is not None and machine.stream_workers < 0:
        raise ConfigError(f"--stream-workers {machine.stream_workers}: expected a number from 0 on.")
    if not machine.stream:
        return
    if frontend.n_frames == 1:
        raise ConfigError("--stream is for pictures of frames; this study has one vector per clip. Leave it out.")
    for flag in (flag for flag, given in in_memory.items() if given):
        raise ConfigError(f"--stream with {flag}, which needs all clips in memory at once: leave one of them out.")


def check_pictures(changes: PictureChanges, frontend: Frontend) -> None:
    """Raise ConfigError for changes of pictures that make no sense, or not for what the front end gives."""
    for name, value in vars(changes).items():
        most = 0.5 if name in ("mel_warp", "time_rate") else 1.0 if name == "label_smoothing" else float("inf")
        if not 0 <= value < most:
            raise ConfigError(f"--{name.replace('_', '-')} {value}: expected a number from 0 to below {most:g}.")
    given = [name for name, value in vars(changes).items() if value]
    of_bands = [name for name in given if name in ("mel_warp", "mel_shift", "gain_db")]
    if of_bands and (not isinstance(frontend, LogMel) or isinstance(frontend, Mfcc)):
        flag, kind = of_bands[0].replace("_", "-"), type(frontend).__name__
        raise ConfigError(
            f"--{flag} is for mel pictures, as cnn_logmel and tied_vae_mel have them; the features here are {kind}. "
            "Leave it out, or take one of these experiments."
        )
    of_frames = [name for name in given if name in ("time_rate", "freq_mask", "time_mask")]
    if of_frames and frontend.n_frames == 1:
        flag = of_frames[0].replace("_", "-")
        raise ConfigError(f"--{flag} is for pictures of frames; here a clip is one vector. Leave it out.")
