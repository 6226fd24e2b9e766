"""From files to feature arrays: audio, corpora, splits, features."""

from serjax.data.corpora import load_corpus
from serjax.data.corpora.corpus import Corpus, CorpusError, Utterance, Waveforms, Window

__all__ = ["Corpus", "CorpusError", "Utterance", "Waveforms", "Window", "load_corpus"]
