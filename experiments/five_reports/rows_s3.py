"""The rows of the third report: mel pictures against MFCC sequences on CREMA-D."""

from dataclasses import replace

from experiments.five_reports.row import FIVE_SPEAKER_FOLDS, FOUR, TEN, THREE, Row, Split

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
    return Row(
        row, about, reported, "crema-d", experiment, flags, same, FIVE_SPEAKER_FOLDS, remark=remark, published=published
    )


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
