"""Wiring of ingest."""

from services.ingest.asking import CONVERSATIONS, Asking
from services.ingest.conversations import Conversations
from services.ingest.incidents import KEY, Incidents, SplitIncidents
from services.ingest.normaliser import Normaliser
from services.ingest.sources import Sources
from services.ingest.webhook import Webhook
from shared.bus.streams import REPORTS, SUBMISSIONS
from shared.calendar import Calendar
from shared.config.yaml_file import WatchedFile
from shared.contracts import Report
from shared.regions import RegionResolver
from shared.service import Service
from shared.settings import Settings
from shared.vault.envelope import Opener, Sealer
from shared.vault.keys import KeyRing
from shared.warehouse import Warehouse


def build(settings: Settings, *, webhook: bool = True, normaliser: bool = True) -> Service:
    """The service, as webhook, as normaliser, or both in one process.

    Raises:
        ConfigError: sources, calendar or master keys cannot be used.
    """
    service = Service("ingest", settings)
    ring = KeyRing(settings)
    service.run_in_background(ring.follow)
    resolver = RegionResolver.load()
    sender_key = settings.sender_key.get_secret_value().encode()
    if normaliser:
        calendar = WatchedFile(settings.config_file("calendar.yaml"), Calendar)
        senders = WatchedFile(settings.config_file("sources.yaml"), Sources)
        work = Normaliser(
            resolver,
            lambda: calendar.content,
            opener=Opener(ring),
            sender_key=sender_key,
            source=lambda name: senders.content.sources.get(name),  # noqa: PLW0108 - the content may be replaced
            incidents=_incidents(service),
            conversations=Conversations(service.connections.of(CONVERSATIONS)),
        )
        service.consume(SUBMISSIONS, "normaliser", work.handle, batch_size=settings.normalise_batch)
        service.publishes(REPORTS, Report)
        service.run_in_background(calendar.follow)
        service.run_in_background(senders.follow)
    if webhook:
        warehouse = Warehouse(settings)

        async def is_archived(receipt: str) -> bool:
            # One after the other: an index serves each alone, and none serves both joined by OR.
            named = {"receipt": receipt}
            return bool(
                await warehouse.rows("SELECT 1 FROM report_rows WHERE receipt = {receipt:String} LIMIT 1", named)
                or await warehouse.rows("SELECT 1 FROM report_rows WHERE has(parts, {receipt:String}) LIMIT 1", named)
            )

        door = Webhook(
            settings,
            service.connections,
            Sealer(ring),
            WatchedFile(settings.config_file("sources.yaml"), Sources),
            knows_region=lambda name: resolver.resolve("", hint=name) is not None,
            is_archived=is_archived,
            asking=Asking(
                service.connections.of(CONVERSATIONS),
                lambda text: resolver.resolve(text) is not None,
                sender_key,
            ),
        )
        service.serve_rest(door)
        service.close_at_the_end(warehouse.close)
        service.run_in_background(door.watch)
    return service


def _incidents(service: Service) -> Incidents | SplitIncidents:
    megabytes = service.settings.incident_megabytes
    if service.partitions.count == 1:
        return Incidents(service.connections.of(KEY), megabytes=megabytes)
    return SplitIncidents(service.connections, service.partitions, megabytes=megabytes)
