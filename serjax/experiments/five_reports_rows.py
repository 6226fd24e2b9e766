"""The rows of the five reports: what each reported, and the command lines that repeat it.

What a report leaves unsaid was chosen from its text and the usual defaults of its time, and is said in the remark. Rows
whose recipe was changed after a first result (S4.12, S4.13, S4.15, S4.16) say there what was tried before. Those whose
published size does not fit 2 CPU cores say what was made smaller.
"""

from dataclasses import replace

from serjax.experiments.five_reports_s4 import FOUR, FOURTH, TEN, THREE
from serjax.experiments.replication import Beside, Losses, Row, Split

HEADINGS = {
    "S1": "happy against sad, linear models, CNN, autoencoder and VAE (RAVDESS speech, 384 clips)",
    "S2": "26 hand-made features, 8 emotions (RAVDESS speech, 1 440 clips)",
    "S3": "mel pictures against MFCC sequences (CREMA-D)",
    "S4": "16 classes, emotion × gender (RAVDESS speech and song, 2 452 clips)",
    "S5": "convolutions in time steps and LSTM, copies made before the split (RAVDESS speech, 8 emotions)",
}


HAPPY_SAD = "--emotions happy sad"
FIVE_FOLDS = Split("random-5fold", 10)
AUTOENCODER = f"{HAPPY_SAD} --epochs 150 --pretrain-epochs 0 --roll-frames 0 --score reconstruction"
FIRST = (
    Row(
        "S1.1",
        "logistic regression, MFCC",
        0.711,
        "ravdess",
        "tabular",
        f"{HAPPY_SAD} --features mfcc --view flat --models logistic",
        same=FIVE_FOLDS,
        remark="Reported: mean of 5 folds, .649 to .803; of its single split (77 clips) .84 in test, .98 in training. "
        "20 MFCC × 108 frames in a row. Whether its folds were shuffled is not said. Tried: folds of the files in the "
        "order of actors, not shuffled, give .745 (.714 to .792), for most of their test speakers are new.",
    ),
    Row(
        "S1.1-split",
        "logistic regression, MFCC, one split of 80 : 20",
        0.84,
        "ravdess",
        "tabular",
        f"{HAPPY_SAD} --features mfcc --view flat --models logistic",
        remark="The features of S1.1. The report's F1 is .84 too.",
    ),
    Row(
        "S1.2",
        "logistic regression, mel",
        0.706,
        "ravdess",
        "tabular",
        f"{HAPPY_SAD} --features mel --view flat --models logistic",
        same=FIVE_FOLDS,
        remark="Reported: mean of 5 folds, .675 to .740; of its single split .70 in test, .80 in training. 128 mel "
        "bands (dB, standardised) × 108 frames in a row, which a linear model learns by heart; what kept the report's "
        "at .80 (bands, scale, iterations) is not said. Tried: folds that are not shuffled, as in S1.1, give .740 "
        "(.714 to .779).",
    ),
    Row(
        "S1.2-linear",
        "logistic regression, time means of the linear mel, one split of 80 : 20",
        0.70,
        "ravdess",
        "tabular",
        f"{HAPPY_SAD} --features mel-means --models logistic",
        remark="Means over the clip of 128 bands of linear power (no dB), standardised.",
    ),
    Row(
        "S1.3",
        "CNN, MFCC",
        0.66,
        "ravdess",
        "cnn_mfcc",
        HAPPY_SAD,
        remark="Its layers and epochs are not stated. None of the ten splits gives so little (.87 to .94): what kept "
        "the report's below its own logistic regression is not said. Tried: trained shortly, `--epochs 10` gives .852 "
        "± .046, `--epochs 3` .655 ± .051 and .717 on training rows: the report's was perhaps not trained to its end.",
    ),
    Row(
        "S1.4",
        "CNN, mel",
        0.53,
        "ravdess",
        "cnn_mel",
        HAPPY_SAD,
        remark="As S1.3: the ten splits give .83 to .94. The report does not say what brought its own so near to "
        "guessing. Tried: trained shortly, `--epochs 3` gives .734 ± .037, `--epochs 1` .691 ± .047.",
    ),
    Row(
        "S1.5",
        "autoencoder of happy clips",
        Losses(0.0148, 0.0193),
        "ravdess",
        "ae_mfcc",
        AUTOENCODER,
        same=TEN,
        remark="The scaling is not stated. The clips scored as happy were presumably those trained on, learnt by "
        "heart: held-out ones are explained little better than sad ones. Tried: trained shortly, `--epochs 15` gives a "
        "ratio of 1.08 ± .01, `--epochs 25` 1.27 ± .02, `--epochs 40` 1.56 ± .03 (3 seeds each): perhaps the report's "
        "was so.",
    ),
    Row(
        "S1.6",
        "VAE of happy clips",
        Losses(0.0098, 0.0235),
        "ravdess",
        "vae_mfcc",
        AUTOENCODER,
        same=TEN,
        remark="As S1.5; 128 latent dimensions. The report's VAE tells far more than its autoencoder, ours as much. "
        "Tried: `--epochs 40` gives a ratio of 1.19 ± .01 (3 seeds), less than the autoencoder of S1.5: what the "
        "report found between the two may lie in how long each was trained.",
    ),
)

SPEAKERS = Split("speaker-5fold", 1)
MEANS = "--features stats26 --models"
SECOND = (
    Row(
        "S2.1",
        "dense network",
        0.70,
        "ravdess",
        "dense_stats",
        "--statistics stats26 --epochs 100",
        remark="Reported ROC-AUC .934. Its layers are not stated. The report speaks of 1 140 files (there are 1 440), "
        "and of 70 % for training in one place, 80 % in another: so for all of S2.",
    ),
    Row(
        "S2.2",
        "MLP",
        0.72,
        "ravdess",
        "tabular",
        f"{MEANS} mlp --mlp.hidden 300 --mlp.solver adam --mlp.alpha 0.01 --mlp.max-iterations 500",
        remark="Its size is not stated: one layer of 300, Adam, 500 epochs. For the rows that it used see S2.1. Tried, "
        "on ten other splits (where this one gave .666): a layer of 100 .619, one of 2 000 .681 ± .029 (up to .733), "
        "three of 512, 256 and 128 .692 ± .017 (up to .712): with either of the last two .72 lies within 2 sd.",
    ),
    Row(
        "S2.3",
        "logistic regression",
        0.50,
        "ravdess",
        "tabular",
        f"{MEANS} logistic",
        remark="Its penalty is not stated: C = 1, the library's. For the rows that it used see S2.1.",
    ),
    Row(
        "S2.4",
        "k-means, cluster numbers as they come",
        0.13,
        "ravdess",
        "tabular",
        f"{MEANS} kmeans-raw",
        remark="Chance by construction: a cluster's number is arbitrary.",
    ),
    Row(
        "S2.4-matched",
        "k-means, clusters matched to emotions",
        None,
        "ravdess",
        "tabular",
        f"{MEANS} kmeans",
        remark="Clusters fitted and matched (Hungarian method) on training clips. The report did not match.",
    ),
)

NINETEEN = tuple(
    replace(
        row,
        id=f"{row.id}-19",
        about=f"{row.about}, actors 01 to 19",
        corpus="ravdess-19",
        independent=SPEAKERS,
        remark=remark,
    )
    for row, remark in zip(SECOND[:4], ("", "", "", ""), strict=True)
)

JOINT = "--labels emotion-gender"


def _crema(
    row: str,
    about: str,
    reported: float,
    experiment: str,
    flags: str,
    remark: str,
    same: Split = THREE,
    published: str | None = None,
) -> Row:
    return Row(row, about, reported, "crema-d", experiment, flags, same, SPEAKERS, remark=remark, published=published)


UNSAID = "Layers are not stated; which labels the number is of is not said: both are run."
FEW = "Tried: 200 clips, at whose index the report's file table ends, of which some splits give as little (S3.1-200)."
SMALLER = "Pictures of 32 bands × 54 frames, 25 epochs: four times the size and 60 epochs do not fit the minutes."
PICTURES = "--n-mels 32 --frames 54 --hop-length 1024 --epochs 25"
LARGER = "--n-mels 64 --frames 108 --hop-length 512 --epochs 60"
SEQUENCES = "--epochs 40"
THIRD = (
    _crema("S3.1", "CNN, mel, 6 emotions", 0.26, "cnn_mel", PICTURES, f"{UNSAID} {FEW} {SMALLER}", FOUR, LARGER),
    _crema(
        "S3.1-12",
        "CNN, mel, 12 classes",
        0.26,
        "cnn_mel",
        f"{JOINT} {PICTURES}",
        "As S3.1.",
        FOUR,
        published=f"{JOINT} {LARGER}",
    ),
    _crema(
        "S3.1-200",
        "CNN, mel, 6 emotions, 200 clips",
        0.26,
        "cnn_mel",
        f"--clips 200 {PICTURES}",
        f"The report's file table ends at index 199: apparently 200 pictures. {UNSAID} Pictures as in S3.1.",
        TEN,
        f"--clips 200 {LARGER}",
    ),
    _crema(
        "S3.1-12-200",
        "CNN, mel, 12 classes, 200 clips",
        0.26,
        "cnn_mel",
        f"{JOINT} --clips 200 {PICTURES}",
        "As S3.1-200; .26 lies .03 below mean − 2 sd.",
        TEN,
        f"{JOINT} --clips 200 {LARGER}",
    ),
    _crema(
        "S3.2",
        "CNN + LSTM, MFCC, 6 emotions",
        0.65,
        "cnn_lstm_mfcc",
        SEQUENCES,
        f"{UNSAID} Labels as listeners heard them explain it: see S3.2-voted. The 67 actors that are not at hand may "
        "add some hundredths.",
        TEN,
    ),
    _crema("S3.2-12", "CNN + LSTM, MFCC, 12 classes", 0.65, "cnn_lstm_mfcc", f"{JOINT} {SEQUENCES}", "As S3.2.", FOUR),
    replace(
        _crema("S3.2-voted", "CNN + LSTM, MFCC, 6 emotions as heard", 0.65, "cnn_lstm_mfcc", SEQUENCES, "", FOUR),
        corpus="crema-d-voted",
        remark="The emotion that most listeners heard, ties left out; the report does not say whether its labels are "
        "those or what actors meant. Most clips are heard as neutral: always to say so gives .565 here, which accuracy "
        "does not show and UAR does.",
    ),
)

COPIES = "--picks 2 --copies-before-split 3 --epochs 35"
IN_STEP = "--picks 2 --epochs 40"
LEAK = (
    "Same protocol: three augmented copies of each clip, then the split, so that copies of one recording are on both "
    "sides: a leak, kept because the report did it. The epoch is chosen on further copies of the same recordings. New "
    "speakers: augmented in the train step, each clip tested once; 40 epochs, for of 105 (as many steps as the copies "
    "get) the validation loss was lowest before the 30th."
)


def _copied(
    row: str,
    about: str,
    reported: float | None,
    experiment: str,
    flags: str,
    remark: str = LEAK,
    published: str | None = None,
) -> Row:
    return Row(
        row,
        about,
        reported,
        "ravdess",
        experiment,
        flags,
        same=Split("random-80-20", 3, COPIES, leak="copies of a recording on both sides"),
        independent=Split("speaker-6fold", 1, IN_STEP),
        remark=remark,
        published=published,
    )


STEPS = "--offset 0.6 --roll-frames 0 --batch-size 128"
HALF = "--filters 16 16 32 32 64 64"
HALVED = "Half of the filters, for even these take 2 cores an hour a side."
FIFTH = (
    _copied("S5.1", "1 × Conv1D in time steps + 2 LSTM", 0.75, "lstm_mfcc", f"--filters 32 {STEPS}"),
    _copied(
        "S5.2",
        "6 × Conv1D in time steps + 2 LSTM",
        0.792,
        "lstm_mfcc",
        f"{HALF} {STEPS}",
        "Reported with .96 in training, as ours has; elsewhere in it .80 at 35 epochs with .90 in training, and "
        ".75 in its final notes, which lies within 2 sd. Ours is trained on 72 % of the copies, the report's on "
        "80. Tried: all 80 % and the last epoch (`--keep last`), .770 in the first split, .998 in training. How "
        "its convolutions are laid out is not stated. "
        f"{HALVED} {LEAK}",
        STEPS,
    ),
    _copied(
        "S5.3",
        "6 × Conv1D in time steps + 2 plain RNN",
        None,
        "lstm_mfcc",
        f"--kind rnn {HALF} {STEPS}",
        "Named in the report as worse than S5.2, without a number; ours knows .76 of its training rows when its loss "
        f"on others is lowest. {HALVED} {LEAK}",
        f"--kind rnn {STEPS}",
    ),
    _copied(
        "S5.3-cnn",
        "2-D CNN on MFCC",
        0.80,
        "cnn_mfcc",
        STEPS,
        "The report cites .80 to .85 for a pretrained CNN of a companion report, where ours lies, from scratch, and "
        f".92 as the highest so far. Of the making of either it says nothing. {LEAK}",
    ),
)

F1 = {
    "angry": 0.82,
    "calm": 0.83,
    "disgust": 0.77,
    "fearful": 0.81,
    "happy": 0.81,
    "neutral": 0.70,
    "sad": 0.71,
    "surprised": 0.87,
}
BESIDE = {
    "S1.1-split": Beside(train=0.98),
    "S1.2-linear": Beside(train=0.80),
    "S2.1": Beside(roc_auc=0.934, by_class=True),
    "S2.2": Beside(by_class=True, by_curve=True),
    "S2.3": Beside(by_class=True, by_curve=True),
    "S2.4": Beside(by_class=True),
    "S2.4-matched": Beside(by_class=True),
    "S2.1-19": Beside(roc_auc=0.934),
    "S4.1": Beside(0.74, 0.431),
    "S4.2": Beside(1.0, 0.639),
    "S4.3": Beside(1.0, 0.658),
    "S4.4": Beside(1.0, 0.656),
    "S4.4-eta": Beside(1.0, 0.656),
    "S4.5": Beside(1.0, 0.767),
    "S4.6": Beside(1.0, 0.524),
    "S4.7": Beside(0.82, 0.643),
    "S4.8": Beside(1.0, 0.765),
    "S4.9": Beside(1.0, 0.767),
    "S4.10": Beside(1.0, 0.751),
    "S4.11": Beside(1.0, 0.769, by_class=True),
    "S4.11-eta": Beside(1.0, 0.769),
    "S4.12": Beside(1.0),
    "S4.13": Beside(1.0),
    "S4.14": Beside(0.19),
    "S4.15": Beside(0.99),
    "S4.16": Beside(1.0),
    "S4.17": Beside(1.0, by_class=True),
    "S5.2": Beside(0.96, f1=F1),
}
ROWS = tuple(
    replace(row, beside=BESIDE.get(row.id, Beside())) for row in (*FIRST, *SECOND, *NINETEEN, *THIRD, *FOURTH, *FIFTH)
)
