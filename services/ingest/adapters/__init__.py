"""Adapters: one file for each format in which reports arrive.

`read` checks a body at the door and gives it its identity; `draft` reads the kept body later, in the normaliser.
"""

from services.ingest.adapters import article_page, json_report
from services.ingest.adapters.base import Adapter, Draft, NotUnderstoodError, Problem, Read

ADAPTERS: dict[str, Adapter] = {"json": json_report.ADAPTER, "article": article_page.ADAPTER}

__all__ = ["ADAPTERS", "Adapter", "Draft", "NotUnderstoodError", "Problem", "Read"]
