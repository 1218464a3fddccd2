"""Wires the alert service: assessments in, flagged regions out, officers told. No decision is taken here."""

import asyncio
from datetime import timedelta

from services.alerts import officers as officers_file
from services.alerts import rules as rules_file
from services.alerts.announce import Announcer
from services.alerts.ledger import Ledger
from services.alerts.links import Links
from services.alerts.officers import Officers
from services.alerts.page import Door
from services.alerts.places import Places
from services.alerts.render import Renderer, utc_now
from services.alerts.rules import AlertingRules
from services.alerts.sending import Sender
from services.alerts.store import CaseStore
from services.alerts.summary import Summaries
from services.alerts.watch import Watch
from shared.bus.streams import ALERT_EVENTS, ASSESSMENTS
from shared.calendar import Calendar
from shared.config.yaml_file import WatchedFile
from shared.contracts import AlertEvent, Delivery, Verdict
from shared.service import Service
from shared.settings import Settings

REFRESH_SECONDS = 2.0


def build(settings: Settings) -> Service:
    """The alert service, ready to `run`.

    Raises:
        ConfigError: officers, rules or calendar cannot be used.
    """
    officers = WatchedFile(settings.config_file(officers_file.FILE_NAME), Officers)
    rules = WatchedFile(settings.config_file(rules_file.FILE_NAME), AlertingRules)
    calendar = WatchedFile(settings.config_file("calendar.yaml"), Calendar)

    service = Service("alerts", settings)
    # On one server the acknowledgement cannot outlive what it rests on.
    replicas = settings.redis_replicas if service.connections.is_cluster else 0
    store = CaseStore(service.redis, rules.content.memory.length, replicas)
    renderer = Renderer(lambda: calendar.content)
    announcer = Announcer(
        lambda: officers.content, lambda: rules.content, lambda: calendar.content, renderer, settings.notification_file
    )
    key = settings.alert_link_key.get_secret_value().encode()

    def links() -> Links | None:
        valid = timedelta(hours=rules.content.links.valid_hours)
        return Links(key, settings.alerts_url, valid) if key else None

    sender = Sender(store, lambda: officers.content, lambda: rules.content, settings.notification_file, utc_now, links)
    door = Door(
        service.redis,
        lambda: officers.content,
        lambda: rules.content,
        lambda: calendar.content,
        links,
        settings.alerts_token.get_secret_value(),
        utc_now,
    )
    watch = Watch(store, Ledger(service.redis), Places.load(), announcer, lambda: rules.content, utc_now, sender.wake)
    summaries = Summaries(store, announcer, lambda: officers.content, lambda: rules.content, utc_now, sender.wake)

    async def follow_configuration() -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            for file in (rules, calendar):
                await asyncio.to_thread(file.refresh)
            if await asyncio.to_thread(officers.refresh):
                watch.officers_changed()
            store.memory = rules.content.memory.length

    service.consume(ASSESSMENTS, "alerts", watch.handle, batch_size=settings.alerts_batch)
    service.publishes(ALERT_EVENTS, AlertEvent)
    service.publishes(ALERT_EVENTS, Delivery)
    service.publishes(ALERT_EVENTS, Verdict)
    service.serve_rest(door)
    service.run_in_background(watch.run)
    service.run_in_background(watch.run_around)
    service.run_in_background(sender.run)
    service.run_in_background(summaries.run)
    service.run_in_background(follow_configuration)
    return service
