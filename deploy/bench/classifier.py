"""Measures the classifier on one core, against a list of suspicious words and against TF-IDF."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from deploy.bench.baselines.keywords import KEYWORDS, find_keywords
from deploy.bench.baselines.tfidf import trained_tfidf
from deploy.bench.processes import Say
from deploy.bench.result import BenchError, Figure, Outcome, median
from deploy.bench.texts import joined_texts, varied_texts
from services.classify.engine import Classifier, Told
from services.classify.train import held_out_files, read_corpus, training_files
from services.ingest.normaliser import Sent, place_texts
from shared.contracts import Judgement, Regime, Stage
from shared.memory import settle_memory
from shared.regions import RegionResolver
from shared.settings import Settings

TEXT_CHARACTERS = 300
BATCH = int(Settings.model_fields["classify_batch"].default)
"""Texts that are handed over at once, as the service does."""
ROUNDS = 3
LONG_UNITS = ("7", "a", "amplop ", "([{<", "😂", "rp", "08123456789 ")
"""What texts of 10 KB are made of, to find the slowest."""
_LOAD = """
import json, resource, sys, time
started = time.perf_counter()
if sys.argv[1] == "ours":
    from services.classify.engine import Classifier
    Classifier.load()
else:
    import numpy, pydantic
seconds = time.perf_counter() - started
try:
    # The peak of this process alone; the system's other figure may include the parent's.
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
print(json.dumps([seconds, peak]))
"""


def measure_classifier(texts: int, say: Say) -> Outcome:
    """Texts a second of processor time: our classifier alone, with the normaliser before it, and the baseline.

    Args:
        texts: how many in each of the rounds; no two of a run are alike.
        say: told what is being done.
    """
    say("classifier: loading gazetteer and rule pack")
    resolver, classifier = RegionResolver.load(), Classifier.load()

    def normalise(texts: Sequence[str]) -> list[str]:
        return [placed.text for placed in place_texts([Sent("", text) for text in texts], resolver)]

    def judge(texts: Sequence[str]) -> Sequence[Judgement]:
        return classifier.judge_all([Told(text, "", Stage.KAMPANYE, Regime.PILKADA) for text in texts])

    def normalise_and_judge(texts: Sequence[str]) -> Sequence[Judgement]:
        return judge(normalise(texts))

    def search(texts: Sequence[str]) -> list[bool]:
        return [bool(find_keywords(text)) for text in texts]

    corpus = read_corpus(training_files())
    say("classifier: training the TF-IDF baseline")
    tfidf = trained_tfidf([i["text"] for i in corpus], [i["is_violation_report"] for i in corpus])
    settle_memory()  # as a service does once it has loaded
    alone: list[float] = []
    both: list[float] = []
    words: list[float] = []
    learnt: list[float] = []
    real = joined_texts([item["text"] for item in read_corpus(held_out_files())], TEXT_CHARACTERS)
    say("classifier: real texts")
    first_met, again = (_per_second(normalise_and_judge, real) for _ in range(2))
    for number in range(ROUNDS + 1):
        say(f"classifier: round {number} of {ROUNDS}" if number else "classifier: warming up")
        raw = list(varied_texts(texts, characters=TEXT_CHARACTERS, seed=number + 1))
        more = list(varied_texts(texts, characters=TEXT_CHARACTERS, seed=number + 101))
        clean = normalise(raw)
        rates = (
            _per_second(judge, clean),
            _per_second(normalise_and_judge, more),
            _per_second(search, clean),
            _per_second(tfidf, clean),
        )
        if number:
            for rate, rates_so_far in zip(rates, (alone, both, words, learnt), strict=True):
                rates_so_far.append(rate)
    against = f"one regular expression of {len(KEYWORDS)} keywords"
    outcome = Outcome()
    rate = median(words)
    outcome.figures += [
        Figure("classifier", "texts/s, classified", median(alone), rate, against, least=5_000),
        Figure("classifier", "texts/s, cleaned, masked, placed, classified", median(both), rate, against, least=5_000),
        Figure("classifier", "the same, held-out texts joined, met before", again, rate, against),
        Figure("classifier", "the same, met for the first time", first_met, rate, against),
    ]
    outcome.figures += [
        Figure(
            "classifier",
            "texts/s, classified",
            median(alone),
            median(learnt),
            "TF-IDF, logistic regression",
        ),
    ]
    say("classifier: judging the held-out texts")

    def ours(texts: Sequence[str]) -> list[bool]:
        return [judgement.is_violation_report for judgement in normalise_and_judge(texts)]

    held_out = read_corpus(held_out_files())
    (f1, alarms), *others = (_quality(judged, held_out) for judged in (ours, search, tfidf))
    harmless = sum(not item["is_violation_report"] for item in held_out)
    for (their_f1, their_alarms), name in zip(others, (against, "TF-IDF, logistic regression"), strict=True):
        outcome.figures += [
            Figure("classifier", f"F1 of violations in {len(held_out)} held-out texts, %", f1, their_f1, name),
            Figure("classifier", f"false alarms in {harmless} held-out texts", alarms, their_alarms, name),
        ]
    say("classifier: texts of 10 KB, and loading in a fresh process")
    longest = [(unit * 10_000)[:10_000] for unit in LONG_UNITS]
    slowest = max(_milliseconds(normalise_and_judge, text) for text in longest)
    theirs = max(_milliseconds(search, text) for text in longest)
    seconds, peak = _loaded("ours")
    base_seconds, base_peak = _loaded("base")
    bare = "a process that only imports numpy and pydantic"
    outcome.figures += [
        Figure("classifier", "ms for the slowest 10 KB, normalised and classified", slowest, theirs, against, most=50),
        Figure("classifier", "s to load", seconds, base_seconds, bare, most=2),
        Figure("classifier", "MB at most while loading", peak, base_peak, bare, most=400),
    ]
    outcome.notes.append(
        f"classifier: medians of {ROUNDS} rounds, {texts:,} texts of about {TEXT_CHARACTERS} characters each, in "
        f"batches of {BATCH} as the service reads them; seconds are of processor time, so other programs do not count."
    )
    return outcome


def _per_second(act: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    started = time.process_time()
    for first in range(0, len(texts), BATCH):
        act(texts[first : first + BATCH])
    return len(texts) / (time.process_time() - started)


def _milliseconds(act: Callable[[Sequence[str]], object], text: str) -> float:
    return min(1000 / _per_second(act, [text]) for _ in range(5))


def _quality(judged: Callable[[Sequence[str]], list[bool]], items: Sequence[dict[str, Any]]) -> tuple[float, int]:
    """F1 of `is_violation_report` in percent, and false alarms."""
    truths = [bool(item["is_violation_report"]) for item in items]
    pairs = list(zip(judged([item["text"] for item in items]), truths, strict=True))
    right = sum(said and true for said, true in pairs)
    said_or_true = sum(said + true for said, true in pairs)
    return 200 * right / said_or_true, sum(said and not true for said, true in pairs)


def _loaded(what: str) -> tuple[float, float]:
    """Seconds and peak megabytes of a fresh process."""
    done = subprocess.run([sys.executable, "-c", _LOAD, what], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise BenchError(f"a fresh process could not load the classifier: {done.stderr.strip().splitlines()[-1]}")
    seconds, peak = json.loads(done.stdout)
    return seconds, peak
