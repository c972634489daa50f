"""The dashboard's questions, put to a Prometheus that runs."""

import json
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import urllib3

from services.errors import UnavailableError

DASHBOARD: Final = Path(__file__).resolve().parent / "grafana/dashboards/hxserve.json"
_SCRAPED_TWICE: Final = 'count(count_over_time(hxserve_store_up{job="hxserve"}[5m]) > 1)'


def ask_dashboard(prometheus: str, processes: int, within_s: float) -> tuple[int, int]:
    """Asks all that the dashboard asks; how many queries that were, and how many found something.

    Args:
        prometheus: its address.
        processes: so many of the API must have been scraped twice before.
        within_s: how long to wait for that.

    Raises:
        UnavailableError: they are not scraped in time, or Prometheus does not understand a query.
    """
    until = time.monotonic() + within_s
    while not (scraped := _query(prometheus, _SCRAPED_TWICE)) or int(scraped[0]["value"][1]) < processes:
        if time.monotonic() > until:
            raise UnavailableError(f"Prometheus does not scrape {processes} processes: {scraped}")
        time.sleep(1)
    board = json.loads(DASHBOARD.read_text("utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    # Grafana puts four times the interval of scraping, or more, in the place of this variable.
    answers = [_query(prometheus, query.replace("$__rate_interval", "1m")) for query in queries]
    return len(queries), sum(map(bool, answers))


def _query(prometheus: str, query: str) -> list[dict[str, Any]]:
    answer = urllib3.request("GET", f"{prometheus}/api/v1/query", fields={"query": query}, retries=3)
    if answer.status != HTTPStatus.OK:
        raise UnavailableError(f"Prometheus does not understand {query}: {answer.json()['error']}")
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found
