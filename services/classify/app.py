"""Wiring of the classifier's service."""

from services.classify.engine import Classifier
from services.classify.handler import GROUP, Assessor
from shared.bus.streams import ASSESSMENTS, REPORTS
from shared.contracts import Assessment
from shared.service import Service
from shared.settings import Settings


def build(settings: Settings) -> Service:
    """The service. Raises `ConfigError` when the rule pack cannot be used."""
    service = Service("classify", settings)
    assessor = Assessor(Classifier.load())
    service.consume(REPORTS, GROUP, assessor.handle, batch_size=settings.classify_batch)
    service.publishes(ASSESSMENTS, Assessment)
    return service
