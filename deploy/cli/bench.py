"""`salingjaga bench`: how fast, against what one would write otherwise, in one run."""

import asyncio
import importlib.util
import json
import shlex
import sys
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Annotated, Any

import typer
import uvloop

from deploy.bench.alerts import measure_alerts
from deploy.bench.classifier import measure_classifier
from deploy.bench.pipeline import measure_pipeline
from deploy.bench.processes import Bench, Say, bench_folder
from deploy.bench.report import document, figures_table, shares_table
from deploy.bench.result import BenchError, Outcome, machine
from deploy.bench.webhook import measure_webhook
from deploy.cli.console import err, fail, out
from shared.observability.logs import configure_logs


class Part(StrEnum):
    """What can be measured."""

    WEBHOOK = "webhook"
    PIPELINE = "pipeline"
    CLASSIFIER = "classifier"
    ALERTS = "alerts"


class Fsync(StrEnum):
    """When Redis puts what it was given on the disk."""

    ALWAYS = "always"
    EVERYSEC = "everysec"


def bench(
    parts: Annotated[list[Part] | None, typer.Argument(help="What to measure; all without a name.")] = None,
    requests: Annotated[int, typer.Option(help="Requests to our webhook.", min=300)] = 18_000,
    reports: Annotated[int, typer.Option(help="Reports through the pipeline in each round.", min=500)] = 6_000,
    texts: Annotated[int, typer.Option(help="Texts for the classifier in each round.", min=100)] = 1_500,
    assessments: Annotated[int, typer.Option(help="Assessments for the alert service alone.", min=1_000)] = 100_000,
    fsync: Annotated[Fsync, typer.Option(help="When Redis writes to disk, for ours and the baselines.")] = Fsync.ALWAYS,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Measure webhook, pipeline, classifier and alerts, each against its baseline in the same run."""
    chosen = set(parts or Part)
    if Part.WEBHOOK in chosen and importlib.util.find_spec("fastapi") is None:
        fail("The webhook's baseline needs FastAPI, which comes with the development requirements: pip install fastapi")
    configure_logs(log_format="console", level="ERROR", service="bench")
    outcomes: dict[str, Outcome] = {}
    try:
        with err.status("Measuring ...") as status:

            def say(what: str) -> None:
                status.update(f"Measuring {what} ...") if err.is_terminal else err.print(what, highlight=False)

            if Part.WEBHOOK in chosen:
                outcomes[Part.WEBHOOK] = _run(measure_webhook, requests, fsync, say)
            if Part.PIPELINE in chosen:
                outcomes[Part.PIPELINE] = _run(measure_pipeline, reports, fsync, say)
            if Part.CLASSIFIER in chosen:
                outcomes[Part.CLASSIFIER] = measure_classifier(texts, say)
            if Part.ALERTS in chosen:
                outcomes[Part.ALERTS] = _run(measure_alerts, assessments, fsync, say)
    except BenchError as error:
        fail(f"The benchmark has no result: {error}")
    command = shlex.join(["salingjaga", *sys.argv[1:]])
    if as_json:
        sys.stdout.write(json.dumps(document(outcomes, machine(), command), ensure_ascii=False) + "\n")
        return
    out.print(figures_table(outcomes))
    if shares := shares_table(outcomes):
        out.print(shares)
    for outcome in outcomes.values():
        for note in outcome.notes:
            out.print(note, highlight=False, soft_wrap=True)
    here = machine()
    out.print(
        f"{here['cores']} cores ({here['processor']}, {here['system']}), Python {here['python']}, Redis fsync {fsync}; "
        f"{command}",
        highlight=False,
        soft_wrap=True,
    )


def _run(
    measure: Callable[[Bench, int, Say], Coroutine[Any, Any, Outcome]], size: int, fsync: Fsync, say: Say
) -> Outcome:
    # The runner turns Ctrl-C into a cancellation, so that everything that was started is stopped first.
    with bench_folder(fsync) as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure(folder, size, say))
