"""The rows of the first report: happy against sad, linear models, CNN, autoencoder and VAE."""

from experiments.five_reports.row import TEN, WHOLE, Losses, Row, Split

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
        f"{HAPPY_SAD} {WHOLE} --features mfcc --view flat --models logistic",
        same=FIVE_FOLDS,
        remark="Reported: mean of 5 folds, .649 to .803; its single split is S1.1-split. 20 MFCC × 108 frames in a "
        "row. Whether its folds were shuffled is not said. Tried: folds of the files in the order of actors, not "
        "shuffled, give .745 (.714 to .792), for most of their test speakers are new (`python -m "
        "scripts.unshuffled_folds --corpus ravdess --root RAVDESS --emotions happy sad --features mfcc --view flat`).",
    ),
    Row(
        "S1.1-split",
        "logistic regression, MFCC, one split",
        0.84,
        "ravdess",
        "tabular",
        f"{HAPPY_SAD} {WHOLE} --features mfcc --view flat --models logistic",
        remark="The report's single split of 77 clips, with the features of S1.1; its macro-F1 is .84 too.",
    ),
    Row(
        "S1.2",
        "logistic regression, mel",
        0.706,
        "ravdess",
        "tabular",
        f"{HAPPY_SAD} {WHOLE} --features mel --view flat --models logistic",
        same=FIVE_FOLDS,
        remark="Reported: mean of 5 folds, .675 to .740. 128 mel bands (dB, standardised) × 108 frames in a row, which "
        "a linear model learns by heart: 1.000 on training rows. These are probably not the report's features. Tried: "
        "folds that are not shuffled, as in S1.1, give .740 (.714 to .779; the script of S1.1 with `--features mel "
        "--view flat`). Tried: means over time of the linear mel spectrogram give what the report has in its single "
        "split and on training rows (S1.2-linear), and in folds that are not shuffled .682 (.623 to .727; the script "
        "with `--features mel-means`).",
    ),
    Row(
        "S1.2-linear",
        "logistic regression, means of linear mel, one split",
        0.70,
        "ravdess",
        "tabular",
        f"{HAPPY_SAD} {WHOLE} --features mel-means --models logistic",
        remark="The report's single split. Features are means over the clip of 128 mel bands of linear power (no dB), "
        "standardised. They were found after S1.2 had not given the reported numbers; the report does not name them.",
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
        remark="The scaling is not stated, so that only the ratio is compared: ours are smaller by three to five "
        "times. The clips scored as happy were presumably those trained on, learnt by "
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
