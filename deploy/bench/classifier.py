"""Measures the classifier on one core, against a list of suspicious words."""

import time
from collections.abc import Callable, Sequence

from deploy.bench.baselines.keywords import KEYWORDS, find_keywords
from deploy.bench.processes import Say
from deploy.bench.result import Figure, Outcome, median
from deploy.bench.texts import varied_texts
from services.classify.engine import Classifier
from services.ingest.normaliser import place_text
from shared.contracts import Regime, Stage
from shared.regions import RegionResolver

TEXT_CHARACTERS = 300
ROUNDS = 3


def measure_classifier(texts: int, say: Say) -> Outcome:
    """Texts a second of processor time: our classifier alone, with the normaliser before it, and the baseline.

    Args:
        texts: how many in each of the rounds; no two of a run are alike.
        say: told what is being done.
    """
    say("classifier: loading gazetteer and rule pack")
    resolver, classifier = RegionResolver.load(), Classifier.load()

    def judge(text: str) -> object:
        return classifier.judge(text, title="", source="citizen", stage=Stage.KAMPANYE, regime=Regime.PILKADA)

    def normalise(text: str) -> str:
        return place_text("", text, resolver)[1]

    alone: list[float] = []
    both: list[float] = []
    words: list[float] = []
    for number in range(ROUNDS + 1):
        say(f"classifier: round {number} of {ROUNDS}" if number else "classifier: warming up")
        share = texts if number else texts // 5
        raw = list(varied_texts(share, characters=TEXT_CHARACTERS, seed=number + 1))
        more = list(varied_texts(share, characters=TEXT_CHARACTERS, seed=number + 101))
        clean = [normalise(text) for text in raw]
        rates = (
            _per_second(judge, clean),
            _per_second(lambda text: judge(normalise(text)), more),
            _per_second(find_keywords, clean),
        )
        if number:
            for rate, rates_so_far in zip(rates, (alone, both, words), strict=True):
                rates_so_far.append(rate)
    against = f"one regular expression of {len(KEYWORDS)} keywords"
    outcome = Outcome()
    rate = median(words)
    outcome.figures += [
        Figure("classifier", "texts/s, classified", median(alone), rate, against, least=5_000),
        Figure("classifier", "texts/s, cleaned, masked, placed, classified", median(both), rate, against),
    ]
    outcome.notes.append(
        f"classifier: medians of {ROUNDS} rounds, {texts:,} texts of about {TEXT_CHARACTERS} characters each; seconds "
        "are of processor time, so other programs do not count."
    )
    return outcome


def _per_second(act: Callable[[str], object], texts: Sequence[str]) -> float:
    started = time.process_time()
    for text in texts:
        act(text)
    return len(texts) / (time.process_time() - started)
