"""`salingjaga serve`: one service, for containers."""

from enum import StrEnum
from typing import Annotated

import typer

from shared.observability.logs import configure_logs
from shared.settings import get_settings


class ServiceName(StrEnum):
    """The services that can run alone."""

    INGEST = "ingest"
    CLASSIFY = "classify"
    ARCHIVE = "archive"
    ALERTS = "alerts"


class Half(StrEnum):
    """The two halves of ingest."""

    WEBHOOK = "webhook"
    NORMALISER = "normaliser"


def serve(
    name: Annotated[ServiceName, typer.Argument(help="Which service.")],
    only: Annotated[Half | None, typer.Option(help="Of ingest: only this half, to scale it apart.")] = None,
) -> None:
    """Run one service; it is configured by the environment (SALINGJAGA_*)."""
    if only and name is not ServiceName.INGEST:
        raise typer.BadParameter("--only belongs to ingest")
    settings = get_settings()
    configure_logs(log_format=settings.log_format, level=settings.log_level, service=only or name)
    if name is ServiceName.INGEST:
        from services.ingest.app import build as build_ingest

        service = build_ingest(settings, webhook=only is not Half.NORMALISER, normaliser=only is not Half.WEBHOOK)
    elif name is ServiceName.CLASSIFY:
        from services.classify.app import build as build_classify

        service = build_classify(settings)
    elif name is ServiceName.ARCHIVE:
        from services.archive.app import build as build_archive

        service = build_archive(settings)
    else:
        from services.alerts.app import build as build_alerts

        service = build_alerts(settings)
    service.run()
