"""`salingjaga bench`: how fast, against what one would write otherwise, in one run."""


def bench() -> None:
    """Measure webhook, pipeline and classifier, each against its baseline."""
