"""What the page says of all rows together: how they were made, and what their figures mean."""

from experiments.five_reports.outcome import Outcomes
from experiments.five_reports.row import Side
from experiments.five_reports.rows import ROWS

MINUTES: dict[Side, float] = {"same": 20, "independent": 60}  # meant for a side; ABOUT says so in words
ABOUT = """Each row is run twice by the commands below it. First under the report's own protocol, as far as it is \
stated; there the tested speakers are in training too (mean ± standard deviation of the accuracy, WAR, over the seeds \
of random splits). Then on speakers that training has not heard (95 % bootstrap interval over speakers). UAR is the \
mean of the classes' recalls. *same − new* is the gain from hearing the test speakers in training, and in S5 the test \
recordings. *Minutes* are those of both commands on 2 CPU cores that other work shared. Those of a vote leave out its \
members: its command takes their run folders, made with `--out runs/five_reports/ROW-SIDE`. Twenty minutes were meant \
for the report's protocol and sixty for new speakers; longer took: {longer}.

*One split, 95 %* is where the accuracy of one further random split lies in 95 of 100 cases, for a report has one \
split: mean ± t √(1 + 1/n) sd over n seeds. The sd is that over the seeds, or that of so many test clips, √(p (1 − p) \
/ clips), where this is larger. For ten seeds the reach is 2.37 sd. For three it is 4.97, so that little can be told. \
*Reported lies inside*: the repeated protocol may give the reported number, which is no proof that the report came by \
it so. Above or below: the row says what was tried.

No run fits, tunes or selects anything on its test rows. The table as a whole has seen them: what a row says was tried \
was tried after a first test figure was known. S1.2-linear, S4.4, S4.12, S4.13, S4.15 and S4.16 got their recipe in \
that way. Hyper-parameters that are said to be a report's (S4.4, S4.5 and their votes) were found by it on this \
corpus, with all of its speakers: on new speakers these rows are a little too good. Intervals on new speakers are over \
the speakers alone. The networks there were trained with one seed, whose part in the figure is not in them.

Classical models are fitted to all rows that are not tested: 80 % of the clips, or 20 of the 24 actors of RAVDESS. \
Networks keep some of these back and take the epoch with the lowest loss on them. Kept back are a stratified tenth (of \
the same speakers, in S5 other copies of the same recordings), or the actors of another fold. Networks are not trained \
again on what was kept back. With `--keep last` (S4.12 under the report's protocol) nothing is kept back or chosen, \
and the last epoch counts. Their learning rate is warmed up and then falls along a cosine.

RAVDESS has 24 actors, CREMA-D 91{at_hand}. Two happy clips of actor 07 in RAVDESS speech are the same bytes. A third \
of the random splits train on one and test on the other: one of the 77 test clips of S1, of 288 in S2."""
BY_PATH = """**{rows}: not to be had again to the last digit.** Their clips were split, drawn or copied by their path \
below the folder that was given (before 75409a1), today by speaker and file name. The same seeds now give other splits \
of the same kind."""
MADE_UP = """**Not speech.** These clips are made up: the page shows that the commands run, and nothing about any \
report. The reported numbers and the corpora in the headings are those of the reports."""


def about(outcomes: Outcomes, made_up: bool) -> tuple[str, str]:
    """Return the title of the page and what it says of all rows together.

    Args:
      outcomes: what was run.
      made_up: the clips are synthetic, so that the page shows nothing about any report.
    """
    title, text = ("Five reports, tried on made-up clips", MADE_UP) if made_up else ("Five reports, repeated", ABOUT)
    parts = [text.format(longer=", ".join(_longer(outcomes)) or "none", at_hand=_at_hand(outcomes))]
    done = [row.id for row in ROWS if row.id in outcomes]
    if by_path := [name for name in done if any(one.dealt_by_path for one in outcomes[name].values())]:
        parts.append(BY_PATH.format(rows=", ".join(by_path)))
    if lacking := [row.id for row in ROWS if row.id not in outcomes]:
        parts.append(f"**{len(done)} of {len(ROWS)} rows have been run**; not yet: {', '.join(lacking)}.")
    return title, "\n\n".join(parts)


def _at_hand(outcomes: Outcomes) -> str:
    """Say how many actors of CREMA-D were at hand, if outcomes tell."""
    crema_d = [one for row in ROWS if "crema" in row.corpus for one in outcomes.get(row.id, {}).values()]
    n_speakers = max((one.n_speakers or 0 for one in crema_d), default=0)
    return f", of whom {n_speakers} were at hand" if n_speakers else ""


def _longer(outcomes: Outcomes) -> list[str]:
    """Return the rows of which a side took more minutes than were meant for it."""
    return [
        row.id
        for row in ROWS
        if any(outcome.minutes > MINUTES[side] for side, outcome in outcomes.get(row.id, {}).items())
    ]
