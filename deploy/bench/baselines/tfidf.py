"""The classifier a data scientist would write in an afternoon: TF-IDF and logistic regression, trained in the run."""

from collections.abc import Callable, Sequence
from typing import Any

from deploy.bench.result import BenchError


def trained_tfidf(texts: Sequence[str], violations: Sequence[bool]) -> Callable[[Sequence[str]], list[bool]]:
    """Whether each of some texts reports a violation, by words and pairs of words learnt from labelled texts.

    Raises `BenchError` when scikit-learn, a development requirement, is missing.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
    except ImportError:
        raise BenchError("its TF-IDF baseline needs a development requirement: pip install scikit-learn") from None
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    model: Any = make_pipeline(words, LogisticRegression(C=10, max_iter=1000))
    model.fit(texts, violations)

    def report_violations(texts: Sequence[str]) -> list[bool]:
        return [bool(violation) for violation in model.predict(texts)]

    return report_violations
