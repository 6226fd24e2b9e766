"""The flags that experiments share, as frozen dataclasses: every field is a flag, its docstring the help text."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from serjax.data.corpora import CORPUS_NAMES, load_corpora
from serjax.data.corpora.corpus import Corpus, LabelScheme
from serjax.data.corpora.crema_d import Defects
from serjax.data.splits import Protocol
from serjax.escape import file_name
from serjax.evaluate.generative import ClassPrior
from serjax.models.layers import Architecture
from serjax.train.optimizer import OptimizerName
from serjax.train.parallel import Shard, Stacking
from serjax.train.processes import join_processes

Score = Literal["reconstruction", "elbo", "iwae", "auto"]


@dataclass(frozen=True)
class Data:
    """Which clips, and how they are split."""

    corpus: str | tuple[str, ...] = "synthetic"
    """synthetic, ravdess (speech), ravdess-song, ravdess-all, crema-d, crema-d-voted, emodb, savee, tess; or a path of
    a CSV or folder. Several are joined: labels are those of all, each keeps its own offset."""
    root: Path | tuple[Path, ...] | None = None
    """Folder that holds the corpus's audio files at any depth; of a CSV: where its paths start, if not beside it. Of
    several corpora: one folder for each that is known by name."""
    test_corpus: str | None = None
    """Test on this corpus, train on the others: protocol cross-corpus; `--test-root` is its folder."""
    test_root: Path | None = None
    """Folder of the test corpus."""
    label_map: Path | None = None
    """JSON: for each corpus its emotions and the labels they get, {"ravdess": {"calm": "neutral"}, ...}; emotions that
    are not in it are left out. Default: emotions keep their names."""
    protocol: Protocol | None = None
    """How train, validation and test are split; default: speaker-6fold where defined, else speaker-5fold, else loso.
    speaker-6fold (EmoBox) and speaker-5fold-luna (Luna-Jiménez et al. 2021) are published folds of RAVDESS."""
    emotions: tuple[str, ...] = ()
    """Only these emotions, e.g. `--emotions happy sad`; default: all."""
    merge: tuple[str, ...] = ()
    """Emotions that get a new name and so become one, after `--emotions`, e.g. `--merge calm=neutral`."""
    labels: LabelScheme = "emotion"
    """What is told apart: emotion (merged or not), emotion and gender (`angry_male`), or gender."""
    seeds: int = 1
    """Number of seeds: each trains every fold with its own initialisation, batches and augmentation."""
    clips: int | None = None
    """Only so many clips of the corpus, drawn at random, the same in every run; default: all."""
    train_speakers: int | None = None
    """Train each fold on only so many of its training speakers, drawn by seed; a smaller draw is part of a larger."""
    synthetic_clips: int | None = None
    """Shorten the synthetic corpus to so many clips, 8 to 1440 (96 or more fill six folds); default: all."""
    defects: Defects | None = None
    """Clips of crema-d without sound or with the bytes of one of another emotion: left out (default) or kept."""
    offset: float | None = None
    """Seconds skipped at the start of each clip; default: where speech begins in the corpus, .5 for ravdess and
    synthetic, else 0."""
    duration: float | None = None
    """Seconds read at most; what `--frames` asks beyond is padded and masked. Default: as `--frames` needs."""

    max_bad: float | None = None
    """Go on without clips that cannot be read, if they are so many at most: a number, or a share below 1, such as 0.05;
    default: none may be bad."""

    @property
    def corpus_name(self) -> str:
        """The corpora as a part of file names."""
        return corpus_name(self.corpus, self.test_corpus)

    def load(self) -> Corpus:
        """Read the corpus, or several as one, each from the offset asked for or its own."""
        return load_corpora(
            self.corpus,
            self.root,
            test=self.test_corpus,
            test_root=self.test_root,
            label_map=self.label_map,
            offset_s=self.offset,
            synthetic_clips=self.synthetic_clips,
            defects=self.defects,
        )


@dataclass(frozen=True)
class Model:
    """The autoencoder of one emotion."""

    latent_dim: int = 128
    """Numbers in the code of a clip."""
    hidden: tuple[int, ...] = (256,)
    """Hidden widths of the encoder, mirrored in the decoder: units (dense) or channels (conv)."""
    architecture: Architecture = "dense"
    """dense, or conv: convolutions over time."""


@dataclass(frozen=True)
class Optimisation:
    """How any model is trained."""

    batch_size: int = 32
    """Clips per step."""
    optimizer: OptimizerName = "adam"
    """adam, or sgd: gradient descent with momentum."""
    momentum: float = 0.9
    """Share of its velocity that sgd keeps from step to step, 0 to below 1; adam has its own."""
    learning_rate: float = 1e-3
    """Peak of the warm-up and cosine schedule."""
    weight_decay: float | None = None
    """Share of a kernel that a step takes away, times the learning rate (AdamW), e.g. 0.01; default: none."""
    warmup_steps: int = 20
    """Steps in which the learning rate rises from 0."""
    clip_norm: float | None = 1.0
    """Gradients of a larger global norm are scaled down to it; None: they are taken as they come."""
    roll_frames: int = 8
    """Augmentation: training pictures are rolled in time by up to so many frames."""
    noise: float = 0.0
    """Augmentation: noise on what the model sees, in standard deviations of the features."""
    patience: int | None = None
    """Stop a model when its validation loss has not been lower for so many epochs; default: it makes all epochs."""
    refit: bool = False
    """Train each fold again on train + validation rows, for the number of epochs that validation chose."""
    max_rejected: int = 20
    """Stop when a run gives so many non-finite losses or gradients in a row."""


@dataclass(frozen=True)
class Training(Optimisation):
    """How the models of single emotions are trained."""

    epochs: int = 50
    """Passes over the training clips of the emotion that has most, and as many steps for each of the others; the best
    one on validation rows is kept."""
    pretrain_epochs: int = 20
    """Passes over all emotions' training clips by one model per fold, from which each emotion's starts; 0: none."""


@dataclass(frozen=True)
class SupervisedTraining(Optimisation):
    """How classifiers are trained."""

    epochs: int = 60
    """Passes over the training clips; the best one on validation rows is kept."""
    keep: Literal["last"] | None = None
    """last: choose no epoch but keep the last, and train on validation rows too (with --refit after these have been
    scored); default: the best on these."""
    class_weights: bool = False
    """Weigh clips by the inverse frequency of their class in training."""
    balanced_sampling: bool = False
    """Draw training clips so that classes come equally often; an epoch has as many steps as without."""
    weights: Path | None = None
    """Start from the weights of a .npz or .safetensors file, torchvision's VGGs included; default: fresh ones."""
    ema: float | None = None
    """Validate and classify with a moving average of the weights that keeps this share per step, e.g. 0.999."""
    rolled_copies: int | None = None
    """Classify a clip by the mean probability of so many copies, rolled by up to --roll-frames; default: as it is."""
    pca_variance: float | None = None
    """Project frames onto the principal axes of training rows that hold this share of the variance, e.g. 0.95."""


@dataclass(frozen=True)
class Classification:
    """How a clip is scored under each emotion's model."""

    score: Score = "reconstruction"
    """What classifies: reconstruction error, ELBO, importance-weighted bound; auto: the best on each fold's validation
    clips. What the others reach is printed beside it."""
    importance_samples: int = 16
    """Samples of the posterior per clip for ELBO and IWAE."""
    class_prior: ClassPrior = "uniform"
    """Class prior added to ELBO and IWAE: uniform, or the empirical one of the training clips."""


@dataclass(frozen=True)
class Output:
    """Where results go, of what trains no network; not part of the configuration's fingerprint."""

    out: Path | None = None
    """Run folder; default: runs/EXPERIMENT-CORPUS-HASH. The same command goes on where it was stopped."""
    cache: Path | None = None
    """Folder of computed features; default: $SERJAX_CACHE, else the user's cache folder."""
    quiet: bool = False
    """No progress, only the result."""
    log_json: bool = False
    """Progress and messages as lines of JSON on standard error, for programs that follow them."""


@dataclass(frozen=True)
class Machine:
    """Where and how loudly it runs; not part of the configuration's fingerprint."""

    out: Path | None = None
    """Run folder; default: runs/EXPERIMENT-CORPUS-HASH. The same command goes on where it was stopped."""
    devices: int | None = None
    """Local devices to train on (CPU: virtual ones are made), of each process; default: all, on CPU one per core."""
    coordinator: str | None = None
    """HOST:PORT of process 0 where several processes train together; under Slurm and on TPU pods it is found."""
    num_processes: int | None = None
    """How many processes train together; 1: alone, also where a cluster is found."""
    process_id: int | None = None
    """Which of them this is, from 0; process 0 writes the run folder, which all must see."""
    shard: Shard = "runs"
    """What is spread over the devices: the runs, or the batch of each run."""
    stacking: Stacking | Literal["auto"] = "auto"
    """Runs of one device one after another (map) or in one batched program (vmap); auto: map on CPU, else vmap."""
    stack_size: int | None = None
    """Models trained at a time; default: 24 per device by map, 512 by vmap (on CPU 8), fewer networks on pictures."""
    save_every: float = 30.0
    """Seconds between checkpoints at least; stacks that take long to save are saved less often."""
    stream: bool = False
    """Decode clips whenever they are needed, for corpora that do not fit in memory; for pictures (MFCC, mel) alone."""
    stream_workers: int | None = None
    """Processes that decode them ahead; 0: a thread; default: one per four cores."""
    cache: Path | None = None
    """Folder of computed features; default: $SERJAX_CACHE, else the user's cache folder."""
    quiet: bool = False
    """No progress, only the result."""
    log_json: bool = False
    """Progress and messages as lines of JSON on standard error, for programs that follow them."""
    tensorboard: bool = False
    """What goes to history.jsonl goes to event files in the run folder too: `tensorboard --logdir DIR/tensorboard`."""

    def join(self) -> None:
        """Join the other processes, if there are any; a second call does nothing."""
        join_processes(self.coordinator, self.num_processes, self.process_id)


@dataclass(frozen=True)
class RunsPerDevice:
    """How many runs a device is given at a time where no flag says it: one after another (map), or batched (vmap).

    By map more gain nothing and are saved more seldom. By vmap on accelerators nothing has been measured.
    """

    map: int = 24
    vmap: int = 512


def corpus_name(corpus: str | tuple[str, ...], test: str | None = None) -> str:
    """Return corpora as a part of file names: of a path its last part, without `.csv`.

    >>> corpus_name(("ravdess", "data/mine.csv"), "crema-d")
    'ravdess+mine-to-crema-d'
    """
    trained = "+".join(_name(one) for one in ((corpus,) if isinstance(corpus, str) else corpus))
    return file_name(f"{trained}-to-{_name(test)}" if test else trained)


def _name(corpus: str) -> str:
    return Path(corpus).name if corpus in CORPUS_NAMES else Path(corpus).resolve().stem
