"""Who speaks the synthetic corpus, what, and how each emotion sounds: from factors to a score.

The emotions differ by the cues that the literature names, and overlap. The directions of the cues are theirs, the
sizes are ours, set so that unheard speakers are recognised somewhat more often than the real ones of RAVDESS:

- Banse & Scherer (1996), "Acoustic profiles in vocal emotion expression", J. Pers. Soc. Psychol. 70(3);
- Juslin & Laukka (2003), "Communication of emotions in vocal expression and music performance: different
  channels, same code?", Psychol. Bull. 129(5), whose summary of cues the rows follow (tenderness for calm, panic
  rather than quiet fear);
- Scherer (2003), "Vocal communication of emotion: a review of research paradigms", Speech Communication 40;
- Cahn (1990), "The generation of affect in synthesized speech", J. Am. Voice I/O Society 8, for disgust and
  surprise, of which the others say little.

Vowels: Peterson & Barney (1952), "Control methods used in a study of the vowels", JASA 24 (means of the men);
consonants after Klatt (1980). Voice quality (tilt, breath, jitter): Klatt & Klatt (1990).
"""

from dataclasses import astuple, dataclass

import jax
import numpy as np

from serjax.data.synthesis import N_SAMPLES, N_UPPER, RATE_HZ, Prosody, Score, Segments, Voice


@dataclass(frozen=True)
class Cues:
    """How an expression differs from the same person's neutral speech."""

    f0_st: float  # level of the fundamental, semitones
    range_pct: float  # size of pitch movements
    final_st: float  # movement at the end of the sentence, semitones
    rate_pct: float  # speed
    pause_ms: float  # between the two phrases
    level_db: float
    accent_db: float  # how much louder accented vowels are
    tilt_db: float  # loss at 3 kHz: negative is a brighter, tenser voice
    jitter_pct: float  # of F0
    shimmer_db: float
    breath_db: float
    articulation_pct: float  # distance of the vowels from a neutral tract
    formants_pct: float  # positive: spread lips, an open jaw, a raised larynx


# fmt: off
# About halfway between "normal" and "strong"; neutral is zero by definition.
CUES = {
    #                     f0  range  final   rate  pause  level accent   tilt jitter shimm. breath artic.  form.
    "neutral":   Cues(   0.0,   0.0,   0.0,   0.0,   0.0,   0.0,   0.0,   0.0,   0.0,   0.0,   0.0,   0.0,   0.0),
    "calm":      Cues(  -0.8, -25.0,  -0.3, -10.0,  60.0,  -3.5,  -0.8,   3.5,  -0.1,  -0.1,   2.0,  -2.0,   0.0),
    "happy":     Cues(   4.5,  60.0,   1.2,   6.0, -20.0,   6.0,   1.5,  -4.0,   0.0,   0.0,  -2.0,   2.0,   4.0),
    "sad":       Cues(   0.5, -45.0,  -1.5, -18.0, 150.0,  -6.0,  -1.2,   6.0,   0.5,   0.4,   3.5,  -8.0,  -2.0),
    "angry":     Cues(   4.5,  45.0,  -1.2,   6.0, -30.0,  11.0,   3.0,  -8.0,   0.6,   0.6,  -4.0,   3.0,   2.0),
    "fearful":   Cues(   6.5, -10.0,   1.2,  11.0,  30.0,   4.0,   0.5,   1.0,   1.2,   0.8,   3.0,  -3.0,   1.0),
    "disgust":   Cues(  -1.5,  10.0,  -2.0, -15.0,  90.0,   2.0,   0.8,  -2.5,   0.7,   0.6,   0.0,  -2.0,  -5.0),
    "surprised": Cues(   6.5, 100.0,   5.0,   3.0,   0.0,   4.0,   1.2,  -2.0,   0.0,   0.0,   2.0,   2.0,   2.0),
}
# Standard deviations: how a person's own way to express an emotion differs, and one take from the next.
HABIT =          Cues(   1.4,  22.0,   0.9,   5.0,  35.0,   2.0,   0.7,   1.8,  0.18,  0.18,   1.5,   3.0,   1.3)
TAKE =           Cues(   0.7,  15.0,   0.6,   4.0,  30.0,   1.1,   0.5,   0.9,  0.12,  0.12,   0.8,   2.0,   0.6)
# fmt: on
INTENSITY = {"normal": 0.85, "strong": 1.35}


@dataclass(frozen=True)
class Speaker:
    """A person and the microphone in front of them."""

    f0_hz: float
    range_st: float  # height of a full accent
    rate: float  # 1 = the durations of `PHONES`
    formants: tuple[float, float, float]  # against Peterson & Barney's men
    upper_hz: tuple[float, ...]
    tilt_db: float
    breath_db: float
    jitter_pct: float
    shimmer_db: float
    level_dbfs: float
    floor_dbfs: float
    floor_colour: float
    expressiveness: float  # scales all cues
    habits: dict[str, tuple[float, ...]]  # emotion -> deviation from its `CUES`


@dataclass(frozen=True)
class Phone:
    """One steady part of a speech sound."""

    ms: float
    formants_hz: tuple[float, float, float]
    voice: float = 0.0
    breath: float = 0.0
    friction: float = 0.0
    friction_hz: float = 4000.0


_NEUTRAL_TRACT_HZ = (500.0, 1500.0, 2500.0)
_SILENCE = Phone(0.0, _NEUTRAL_TRACT_HZ)
PHONES: dict[str, tuple[Phone, ...]] = {
    "IH": (Phone(80.0, (390.0, 1990.0, 2550.0), voice=0.9),),
    "AA": (Phone(110.0, (730.0, 1090.0, 2440.0), voice=1.0),),
    "AO": (Phone(130.0, (570.0, 840.0, 2410.0), voice=1.0),),
    "AH": (Phone(55.0, (520.0, 1300.0, 2450.0), voice=0.7),),
    "AY": (Phone(90.0, (660.0, 1200.0, 2550.0), voice=1.0), Phone(75.0, (400.0, 1880.0, 2500.0), voice=0.9)),
    "R": (Phone(70.0, (330.0, 1060.0, 1500.0), voice=0.6),),
    "NG": (Phone(75.0, (280.0, 2000.0, 2850.0), voice=0.3),),
    "B": (
        Phone(55.0, (200.0, 1100.0, 2150.0), voice=0.12),
        Phone(10.0, (250.0, 1100.0, 2150.0), friction=0.15, friction_hz=1200.0),
    ),
    "D": (
        Phone(45.0, (200.0, 1600.0, 2600.0), voice=0.12),
        Phone(14.0, (250.0, 1600.0, 2600.0), friction=0.4, friction_hz=4500.0),
    ),
    "G": (
        Phone(50.0, (200.0, 1990.0, 2600.0), voice=0.12),
        Phone(18.0, (250.0, 1990.0, 2600.0), friction=0.3, friction_hz=2200.0),
    ),
    "K": (
        Phone(60.0, (300.0, 1990.0, 2600.0)),
        Phone(45.0, (320.0, 1990.0, 2600.0), breath=0.04, friction=0.3, friction_hz=2400.0),
    ),
    "T": (
        Phone(55.0, (300.0, 1700.0, 2600.0)),
        Phone(45.0, (320.0, 1700.0, 2600.0), breath=0.03, friction=0.35, friction_hz=5500.0),
    ),
    "S": (Phone(105.0, (320.0, 1390.0, 2530.0), friction=0.35, friction_hz=6800.0),),
    "Z": (Phone(75.0, (240.0, 1390.0, 2530.0), voice=0.2, friction=0.2, friction_hz=6800.0),),
    "DH": (Phone(40.0, (270.0, 1290.0, 2540.0), voice=0.35, friction=0.05, friction_hz=6000.0),),
    "|": (_SILENCE,),  # as long as the pause is
}
SENTENCES = {  # a star: accented
    "kids": "K IH* D Z AA R T AO* K IH NG | B AY DH AH D AO* R",
    "dogs": "D AO* G Z AA R S IH* T IH NG | B AY DH AH D AO* R",
}
N_SEGMENTS = 30
_STRETCH = 1.12  # actors before a microphone take their time
_ROOM_S = N_SAMPLES / RATE_HZ


def draw_speaker(seed: int, number: int) -> Speaker:
    """Draw person `number` of a corpus; odd numbers are men, as in RAVDESS.

    Women's formants are higher by a sixth and their F0 by three quarters (Peterson & Barney 1952); the spread
    of F0 within a sex is about 2 semitones.
    """
    rng = np.random.default_rng((seed, number))
    male = number % 2 == 1
    tract = (1.0 if male else 1.165) * np.exp(rng.normal(0, 0.04))
    formants = tract * np.exp(rng.normal(0, 0.025, 3))
    upper = tract * np.exp(rng.normal(0, 0.02, N_UPPER)) * np.array([3450.0, 4500.0, 5400.0, 6400.0, 7400.0])
    habits = {emotion: tuple(rng.normal(0, astuple(HABIT))) for emotion in CUES}
    return Speaker(
        f0_hz=(115.0 if male else 203.0) * 2 ** (rng.normal(0, 2.0) / 12),
        range_st=2.8 * np.exp(rng.normal(0, 0.25)),
        rate=np.exp(rng.normal(0, 0.08)),
        formants=tuple(formants),
        upper_hz=tuple(upper),
        tilt_db=10 + rng.normal(0, 2.5),
        breath_db=(-43 if male else -40) + rng.normal(0, 2.5),  # women's voices: breathier (Klatt & Klatt 1990)
        jitter_pct=0.6 * np.exp(rng.normal(0, 0.3)),
        shimmer_db=0.4 * np.exp(rng.normal(0, 0.3)),
        level_dbfs=-36 + rng.normal(0, 2.5),
        floor_dbfs=-80 + rng.normal(0, 4),
        floor_colour=rng.uniform(-0.3, 0.9),
        expressiveness=np.exp(rng.normal(0, 0.2)),
        habits=habits,
    )


def compose(rng: np.random.Generator, speaker: Speaker, emotion: str, intensity: str, text: str) -> Score:
    """Write the score of one take: arrays of float32 without batch axes.

    cues = CUES[emotion] · intensity · expressiveness + the speaker's habit + the chance of the take
    """
    cues = np.array(astuple(CUES[emotion])) * INTENSITY[intensity] * speaker.expressiveness
    cue = Cues(*(cues + speaker.habits[emotion] + rng.normal(0, astuple(TAKE))))
    prosody = Prosody(
        f0_hz=speaker.f0_hz * 2 ** (cue.f0_st / 12),
        range_st=speaker.range_st * max(0.15, 1 + cue.range_pct / 100),
        declination_st=3.0 + rng.normal(0, 0.7),
        final_st=-1.0 + cue.final_st,
        wander_st=abs(rng.normal(0.4, 0.15)) * max(0.3, 1 + cue.range_pct / 100),
        jitter=max(0.1, speaker.jitter_pct + cue.jitter_pct) / 100,
        shimmer_db=max(0.05, speaker.shimmer_db + cue.shimmer_db),
        accent_db=max(0.0, 3.0 + cue.accent_db),
    )
    voice = Voice(
        tilt_db=max(0.5, speaker.tilt_db + cue.tilt_db),
        breath_db=min(-18.0, speaker.breath_db + cue.breath_db),
        upper_hz=np.array(speaker.upper_hz) * (1 + cue.formants_pct / 200),
        level_dbfs=speaker.level_dbfs + cue.level_db,
        floor_dbfs=speaker.floor_dbfs,
        floor_colour=speaker.floor_colour,
    )
    score = Score(_segments(rng, speaker, cue, text), prosody, voice)
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), score)


def _segments(rng: np.random.Generator, speaker: Speaker, cue: Cues, text: str) -> Segments:
    """Set the sentence in time, between a lead of silence and a tail, and shape its vowels."""
    phones, accents = _phones(text)
    durations_s = np.array([phone.ms for phone in phones]) / 1000 * np.exp(rng.normal(0, 0.08, len(phones)))
    durations_s *= _STRETCH / (speaker.rate * max(0.6, 1 + cue.rate_pct / 100))
    durations_s[[phone is _SILENCE for phone in phones]] = max(0.0, 30 + cue.pause_ms) / 1000
    lead_s, tail_s = 0.62 + rng.normal(0, 0.06), 0.4 + rng.uniform(0, 0.25)
    durations_s *= min(1.0, (_ROOM_S - lead_s - tail_s) / durations_s.sum())
    padding = (0, N_SEGMENTS - 2 - len(phones))
    ends_s = lead_s + np.cumsum([0.0, *np.pad(durations_s, padding)])

    row = (_SILENCE, *phones, *[_SILENCE] * (padding[1] + 1))
    targets_S3 = np.array([phone.formants_hz for phone in row])
    articulation = max(0.5, 1 + cue.articulation_pct / 100)
    targets_S3 = _NEUTRAL_TRACT_HZ + articulation * (targets_S3 - _NEUTRAL_TRACT_HZ)
    targets_S3 *= np.array(speaker.formants) * (1 + cue.formants_pct / 100) * np.exp(rng.normal(0, 0.015, 3))
    return Segments(
        ends_s=np.append(ends_s, ends_s[-1] + tail_s),
        formants_hz=np.maximum(targets_S3, 150.0),
        voice=np.array([phone.voice for phone in row]),
        breath=np.array([phone.breath for phone in row]),
        friction=np.array([phone.friction for phone in row]),
        friction_hz=np.array([phone.friction_hz for phone in row]),
        accent=np.pad(accents * np.exp(rng.normal(0, 0.2, len(accents))), (1, padding[1] + 1)),
    )


def _phones(text: str) -> tuple[list[Phone], np.ndarray]:
    """Spell a sentence; a star puts the accent on the first part of its sound."""
    phones: list[Phone] = []
    accents: list[float] = []
    for symbol in SENTENCES[text].split():
        parts = PHONES[symbol.removesuffix("*")]
        phones += parts
        accents += [float(symbol.endswith("*")), *[0.0] * (len(parts) - 1)]
    return phones, np.array(accents)
