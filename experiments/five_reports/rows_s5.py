"""The rows of the fifth report: convolutions in time steps and LSTM, copies made before the split."""

from experiments.five_reports.row import Row, Split

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
