"""An exploration from flags to folder: pictures, feature table, summary and page."""

from collections import Counter

from serjax.data.corpora import Corpus, load_corpora
from serjax.data.corpora.corpus import Window
from serjax.data.feature_cache import default_cache_dir
from serjax.data.notes import Note
from serjax.explore.clips import clip_outliers, load_values, pick_examples, view_clips
from serjax.explore.figures import draw_clips, draw_corpus, draw_features
from serjax.explore.flags import Data, ExploreConfig, check_flags, frontend
from serjax.explore.inventory import take_inventory
from serjax.explore.page import Picture, write_page
from serjax.explore.summary import count_tables, speaker_table, summary, write_features
from serjax.figures.tables import print_table, say
from serjax.folder.run_folder import RunFolder, open_run_folder
from serjax.study.fingerprint import default_out, fingerprint
from serjax.study.flags import corpus_name
from serjax.study.progress import progresses
from serjax.train.parallel import request_devices

SUMMARY = "summary.json"
MOST_EXAMPLES = 16


def run(config: ExploreConfig) -> None:
    """Compute, draw, write and print; a finished folder is only printed."""
    check_flags(config)
    request_devices(None)
    mark = fingerprint("explore", sections_of(config))
    out = config.output.out or default_out("explore", corpus_name(config.data.corpus), mark)
    with open_run_folder(out, "explore", mark) as folder:
        if not folder.finished:
            explore(config, folder)
        print_summary(folder)


def explore(config: ExploreConfig, folder: RunFolder) -> None:
    """Write everything, then what makes the exploration finished."""
    front = frontend(config.analysis, config.data.corpus)
    with progresses(config.output.quiet, config.output.log_json) as shown:
        window = Window(front.sample_rate_hz, front.n_samples)
        stock = take_inventory(asked_for(config.data), window, shown.counter("clips"))
        corpus = stock.corpus
        values_ND = load_values(corpus, front, config.output.cache or default_cache_dir(), shown.counter("features"))
        folder.claim(sections_of(config))
        outliers = clip_outliers(values_ND, config.clipping.fences, config.clipping.rolloff_at_least)
        examples = pick_examples(corpus, config.analysis.examples or min(MOST_EXAMPLES, len(corpus.labels)))
        write_features(stock, values_ND, folder.path / "features.csv")
        content = summary(stock, values_ND, outliers, examples, front) | {"seconds": folder.seconds}
        folder.write_json(SUMMARY, content)
        pictures: list[Picture] = []

        def add(n: int, drawn: list[Picture]) -> None:
            pictures.extend(drawn)
            shown.update("pictures", n, 3)

        counts = count_tables(corpus), speaker_table(corpus)
        folder.finish(
            {
                "corpus": lambda drawn: add(1, draw_corpus(corpus, stock.duration_s_N, *counts, drawn)),
                "clips": lambda drawn: add(
                    2, draw_clips(view_clips(corpus, examples, front), front, corpus.name, drawn)
                ),
                "features": lambda drawn: add(3, draw_features(corpus, values_ND, outliers, drawn)),
                "page": lambda _: write_page(content, pictures, folder.path / "index.html"),
            }
        )


def sections_of(config: ExploreConfig) -> dict[str, object]:
    """Return the flags that the exploration depends on, by name."""
    return {"data": config.data, "analysis": config.analysis, "clipping": config.clipping}


def asked_for(data: Data) -> Corpus:
    """Read the corpus, and keep the part that is asked for."""
    corpus = load_corpora(
        data.corpus,
        data.root,
        label_map=data.label_map,
        offset_s=0.0,
        synthetic_clips=data.synthetic_clips,
        defects=data.defects,
    )
    corpus = corpus.only(data.emotions) if data.emotions else corpus
    return corpus if data.clips is None else corpus.drawn(data.clips)


def print_summary(folder: RunFolder) -> None:
    """Print the counts of a finished exploration, and where the rest is."""
    content = folder.read_json(SUMMARY)
    assert content is not None
    minutes = content["duration_s"]["total"] / 60
    factors = {factor: list(next(iter(table.values()))) for factor, table in content["clips_by"].items()}
    short = {factor: levels for factor, levels in factors.items() if len(levels) <= 4}
    header = ("label", "clips", *(level for levels in short.values() for level in levels))
    rows = []
    for label, n_clips in content["labels"].items():
        cells = [content["clips_by"][factor][label][level] for factor, levels in short.items() for level in levels]
        rows.append((label, n_clips, *cells))
    title = f"{content['corpus']}: {content['n_clips']} clips, {content['n_speakers']} speakers, {minutes:.0f} min"
    print_table(title, header, rows)
    for note in content["corpus_notes"]:
        say(f"Noted in the corpus: {Note.from_json(note).line}")
    for note in content["file_notes"]:
        say(f"Found in its clips: {Note.from_json(note).line}")
    page = folder.path / "index.html"
    if content["unreadable"]:
        codes = Counter(bad["code"] for bad in content["unreadable"]).most_common()
        told = ", ".join(f"{n} {code}" for code, n in codes)
        say(f"{page} lists all that cannot be read ({told}), with what to do.")
    counts = {name: limits["n_below"] + limits["n_above"] for name, limits in content["clipped"].items()}
    clipped = [f"{name} ({count})" for name, count in counts.items() if count]
    say(f"Clipped as outliers (clips): {', '.join(clipped) or 'none'}.")
    say(f"Written to {folder.path} in {content['seconds']:.0f} s; look at {page}.")
