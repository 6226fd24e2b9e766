"""The rows of the five reports: what each reported, and the command lines that repeat it.

What a report leaves unsaid was chosen from its text and the usual defaults of its time, and is said in the remark. Rows
whose recipe was changed after a first result (S4.12, S4.13, S4.15, S4.16) say there what was tried before. Those whose
published size does not fit 2 CPU cores say what was made smaller.
"""

from dataclasses import replace

from experiments.five_reports.replication import Beside, Row, Split
from experiments.five_reports.rows_s1 import FIRST, NINETEEN, SECOND, SPEAKERS
from experiments.five_reports.rows_s4 import FOUR, FOURTH, TEN, THREE

HEADINGS = {
    "S1": "happy against sad, linear models, CNN, autoencoder and VAE (RAVDESS speech, 384 clips)",
    "S2": "26 hand-made features, 8 emotions (RAVDESS speech, 1 440 clips)",
    "S3": "mel pictures against MFCC sequences (CREMA-D)",
    "S4": "16 classes, emotion × gender (RAVDESS speech and song, 2 452 clips)",
    "S5": "convolutions in time steps and LSTM, copies made before the split (RAVDESS speech, 8 emotions)",
}
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


UNSAID = "Layers are not stated, nor whether the number is of 6 emotions or 12 classes (with gender): both are run."
FEW = "Tried: 200 clips, at whose index the report's file table ends, of which some splits give as little (S3.1-200)."
SMALLER = "Pictures of 32 bands × 54 frames, 25 epochs: four times the size and 60 epochs do not fit the minutes."
PICTURES = "--offset 0.5 --n-mels 32 --frames 54 --hop-length 1024 --epochs 25"
COPIED = (
    "Tried: copies made before the split, as in S5 (`--picks 2 --copies-before-split 3 --keep last --offset 0 "
    "--frames 80`): .790 in the mean of two seeds. Without copies, all else alike but `--picks`, .532. Such a leak "
    "is large enough to explain .65, and that the report had one is not shown."
)
LARGER = "--offset 0.5 --n-mels 64 --frames 108 --hop-length 512 --epochs 60"
SEQUENCES = "--offset 0.5 --epochs 40"
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
        "As S3.1-200.",
        TEN,
        f"{JOINT} --clips 200 {LARGER}",
    ),
    _crema(
        "S3.2",
        "CNN + LSTM, MFCC, 6 emotions",
        0.65,
        "cnn_lstm_mfcc",
        SEQUENCES,
        f"{UNSAID} What makes the report's higher is not known. Its labels are those of file names, as here (see "
        f"S3.2-voted). {COPIED} The 67 actors that are not at hand may add some hundredths.",
        TEN,
    ),
    _crema("S3.2-12", "CNN + LSTM, MFCC, 12 classes", 0.65, "cnn_lstm_mfcc", f"{JOINT} {SEQUENCES}", "As S3.2.", FOUR),
    replace(
        _crema("S3.2-voted", "CNN + LSTM, MFCC, 6 emotions as heard", 0.65, "cnn_lstm_mfcc", SEQUENCES, "", FOUR),
        corpus="crema-d-voted",
        remark="The emotion that most listeners heard, ties left out. This is not what the report did, and does not "
        "explain its number: the ten labels that its file table prints are those of the file names, and listeners "
        "voted otherwise on seven of the ten clips. That .65 lies inside tells nothing: most clips are heard as "
        "neutral, and always to say so gives .565 here, which accuracy does not show and UAR does.",
    ),
)
COPIES = "--picks 2 --copies-before-split 3 --epochs 35"
IN_STEP = "--picks 2 --epochs 40"
LEAK = (
    "Same protocol: three augmented copies of each clip, then the split, so that copies of one recording are on both "
    "sides: a leak, kept because the report did it. The epoch is chosen on further copies of the same recordings. "
    "New speakers: augmented in the train step, each clip tested once, 40 epochs. Of 105 epochs, as many steps as "
    "the copies get, the one with the lowest validation loss was before the 30th."
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
    _copied(
        "S5.1",
        "1 × Conv1D in time steps + 2 LSTM",
        0.75,
        "lstm_mfcc",
        f"--filters 32 {STEPS}",
        f"Reported after 100 epochs; ours has 35, and two LSTM layers as S5.2. {LEAK}",
    ),
    _copied(
        "S5.2",
        "6 × Conv1D in time steps + 2 LSTM",
        0.792,
        "lstm_mfcc",
        f"{HALF} {STEPS}",
        "Reported after 40 epochs, with .96 in training, as ours has; elsewhere in it .80 at 35 epochs with .90 in "
        "training, and .75 in its final notes. Ours is trained on 72 % of the copies, the report's on 80. Tried: all "
        "80 % and the last epoch (`--keep last`), .770 in the first split, .998 in training. How its convolutions are "
        "laid out is not stated: ours take the 108 frames as time steps, Keras would take the 20 coefficients of the "
        "arrays that the report prints. The report drops .2 after each LSTM layer, ours behind the last alone. In the "
        "report six convolutions are better than one, here they are worse (S5.1). "
        f"{HALVED} {LEAK}",
        STEPS,
    ),
    _copied(
        "S5.3",
        "6 × Conv1D in time steps + 2 plain RNN",
        None,
        "lstm_mfcc",
        f"--kind rnn {HALF} {STEPS}",
        "Named in the report as worse than S5.2, without a number; ours is right on .76 of its training rows when its "
        f"loss on others is lowest. {HALVED} {LEAK}",
        f"--kind rnn {STEPS}",
    ),
    _copied(
        "S5.3-cnn",
        "2-D CNN on MFCC",
        0.80,
        "cnn_mfcc",
        STEPS,
        "The report cites .80 to .85 for a pretrained CNN of a companion report; ours is trained from scratch. It has "
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
