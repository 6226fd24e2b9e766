"""Planted leaks are found, none is invented, and what a protocol promises is kept or refused."""

from dataclasses import replace

import numpy as np
import pytest

from serjax.data import Utterance
from serjax.data.fingerprint import Fingerprint
from serjax.data.leaks import (
    FoundLeak,
    Leak,
    Recording,
    copies_in_training,
    feature_digests,
    find_leaks,
    leak_line,
    leak_report,
    recordings,
)
from serjax.data.splits import Fold, Protocol, ProtocolError, Split

PEOPLE = tuple(
    Utterance(f"{n:02d}.wav", "happy", name, None, f"{take}{name}", None, None, "made")
    for n, (name, take) in enumerate((name, take) for name in "abcdef" for take in "12")
)
FOLD = Fold("f", *(np.array(rows, np.int32) for rows in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11])))


def digests(**same: int) -> list[str]:
    """Give each clip a digest of its own, but for `_9=6`: clip 9 sounds like clip 6."""
    found = [str(row) for row in range(len(PEOPLE))]
    for row, other in same.items():
        found[int(row[1:])] = found[other]
    return found


def heard(**same: int) -> list[Fingerprint]:
    """Give each clip a fingerprint of its own, but for `_9=6`: clip 9 is a copy of clip 6."""
    found = list(np.random.default_rng(0).integers(1, 2**32, (len(PEOPLE), 200), np.uint32))
    for row, other in same.items():
        found[int(row[1:])] = found[other] ^ np.uint32(1 << 20) * np.arange(200, dtype=np.uint32) % 2
    return found


def split(protocol: Protocol, *folds: Fold) -> Split:
    return Split(protocol, folds, speakers_shared=protocol.startswith("random"))


def test_planted_leaks_are_found_and_none_invented() -> None:
    assert leak_report(PEOPLE, FOLD, recordings(PEOPLE, digests(), heard())) == ()
    leaky = Fold("f", FOLD.train, FOLD.validation, np.array([3, *FOLD.test], np.int32))
    assert leak_report(PEOPLE, leaky) == (
        Leak("speaker", ("train", "test"), "b"),
        Leak("text", ("train", "test"), "2b"),
    )
    same = Leak("content", ("validation", "test"), "06.wav = 09.wav")
    assert leak_report(PEOPLE, FOLD, recordings(PEOPLE, digests(_9=6), heard(_9=6))) == (same,)
    copied = Leak("copy", ("validation", "test"), "06.wav = 09.wav")
    assert leak_report(PEOPLE, FOLD, recordings(PEOPLE, digests(), heard(_9=6))) == (copied,)
    assert leak_report(PEOPLE, FOLD) == ()


def test_a_recording_under_two_speakers_is_refused_where_speakers_are_kept_apart() -> None:
    for protocol in ("speaker-5fold", "loso", "text", "speaker-text"):
        with pytest.raises(ProtocolError, match=rf"{protocol} keeps .* 00\.wav = 09\.wav.*leave one of the two out"):
            find_leaks(PEOPLE, [split(protocol, FOLD)], digests(_9=0))  # type: ignore[arg-type]


def test_copies_of_copies_are_one_recording() -> None:
    found = recordings(PEOPLE, digests(_9=6), heard(_6=0, _4=3))
    one, other = Recording("copy", "00.wav"), Recording("copy", "03.wav")
    assert found == (one, None, None, other, other, None, one, None, None, one, None, None)


def test_a_copy_in_another_format_is_refused_too() -> None:
    with pytest.raises(ProtocolError, match=r"00\.wav = 09\.wav"):
        find_leaks(PEOPLE, [split("loso", FOLD)], digests(), heard(_9=0))


def test_a_speaker_in_two_parts_is_refused_where_the_protocol_promises_otherwise() -> None:
    for shared in (Fold("f", FOLD.train, FOLD.validation[1:], FOLD.validation[:1]), replace(FOLD, train=FOLD.test[:1])):
        for protocol in ("speaker-5fold", "speaker-6fold", "speaker-5fold-luna", "loso", "speaker-text"):
            with pytest.raises(ProtocolError, match=rf"{protocol} promises other speakers .* share [ce]\. Give"):
                find_leaks(PEOPLE, [split(protocol, shared)], None)  # type: ignore[arg-type]
        for protocol in ("random-5fold", "given", "text"):
            found = find_leaks(PEOPLE, [split(protocol, shared)], None)  # type: ignore[arg-type]
            assert "speaker" in {leak.leak.kind for leak in found}


def test_one_line_counts_what_parts_share() -> None:
    fewer = replace(FOLD, test=FOLD.test[:3])
    leaks = find_leaks(PEOPLE, [split("random-5fold", fewer, FOLD)], digests(_9=0), heard(_5=1, _7=3))
    told = "Shared: train–test 1 recording; validation–test nothing; train–validation 2 recordings."
    assert leak_line(leaks) == told


def test_where_nothing_is_promised_the_leak_is_counted_over_all_folds() -> None:
    other = Fold("g", FOLD.train, FOLD.test, FOLD.validation)
    leaks = find_leaks(PEOPLE, [split("random-5fold", FOLD, other), split("random-5fold", FOLD)], digests(_9=0))
    assert leaks == (
        FoundLeak(Leak("content", ("train", "test"), "00.wav = 09.wav"), ("0/f", "1/f")),
        FoundLeak(Leak("content", ("train", "validation"), "00.wav = 09.wav"), ("0/g",)),
    )
    assert copies_in_training(leaks) == "1 recording both in training and test"
    assert copies_in_training(leaks[1:]) is None


def test_what_sounds_the_same_is_found_by_features_and_silence_is_not() -> None:
    values_NTD = np.random.default_rng(0).normal(size=(6, 3, 2)).astype(np.float32)
    values_NTD[1], values_NTD[2], values_NTD[4] = values_NTD[0], values_NTD[0], 0.5
    mask_NT = np.ones((6, 3), bool)
    mask_NT[2, 2] = False  # as long as it is padded, it is another clip
    found = feature_digests(values_NTD, mask_NT, silent_N=np.arange(6) == 5)
    assert found[0] == found[1]
    assert len({found[row] for row in (0, 2, 3)}) == 3
    assert found[4:] == ["", ""]
    silent = Fold("f", *(np.array([row], np.int32) for row in (4, 2, 5)))
    assert [leak.kind for leak in leak_report(PEOPLE, silent, recordings(PEOPLE[:6], found))] == ["speaker"]
