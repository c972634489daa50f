"""A whole service and a real browser. Every page a test opens must end without an error and ask nobody else."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from deploy.local import Local, running
from hxserve import Client
from hxserve.jobs import Job
from services.settings import load_settings
from tests.browser.chromium import chromium, find_chromium
from tests.needs import needed

TRAINING: dict[str, Any] = {"recipe": "strong", "dataset": "digits", "epochs": 5}

GOOD_SHIFT: Final = 0.1
"""A cumulative layout shift that is good, by Web Vitals."""

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder starts real processes."""
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; without it these tests are skipped at a desk and fail in CI."""
    executable = needed(find_chromium(), "there is no chromium; `apt-get install chromium`")
    with chromium(executable) as browser:
        yield browser


@pytest.fixture(scope="session")
def local(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """Redis, one worker on the mock, the API; with a model that has learnt."""
    del browser  # without one there is nothing to start
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("service"), chip="mock", port=0, webhook_networks="127.0.0.0/8"
    )
    with running(settings) as local:
        yield local


@pytest.fixture(scope="session")
def trained(local: Local) -> Job:
    """A training that has ended."""
    with Client(local.url, local.token) as client:
        return client.train("digits", wait=True, **TRAINING)


@pytest.fixture
def client(local: Local) -> Iterator[Client]:
    """A client of the service, for what a test wants to know besides the page."""
    with Client(local.url, local.token) as client:
        yield client


class Watched:
    """What a browser context must not do: complain, or ask another host."""

    def __init__(self, context: BrowserContext, host: str) -> None:
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        self._host = host
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("console", lambda message: self._hear(message.type, message.text))
        context.on("request", lambda request: self._see(request.url))

    def _hear(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    def _see(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != self._host:
            self.elsewhere.append(url)


@pytest.fixture
def tolerated() -> list[str]:
    """Beginnings of the complaints that a test causes on purpose."""
    return []


@pytest.fixture
def open_page(browser: Browser, local: Local, tolerated: list[str]) -> Iterator[OpenPage]:
    """Opens a page of the service in a fresh browser, signed in unless told otherwise."""
    with pages_of(local, browser, tolerated) as open_page:
        yield open_page


@contextmanager
def pages_of(local: Local, browser: Browser, tolerated: Sequence[str] = ()) -> Iterator[OpenPage]:
    """Opens pages of a service, and fails at the end if one of them complained or asked another host."""
    contexts: list[BrowserContext] = []
    watched: list[Watched] = []

    def open_page(path: str = "/", *, token: str | None = local.token, **options: Any) -> Page:
        context = browser.new_context(
            base_url=local.url, **{"locale": "en", "viewport": {"width": 1200, "height": 900}, **options}
        )
        contexts.append(context)
        watched.append(Watched(context, urlsplit(local.url).netloc))
        page = context.new_page()
        if token and path == "/":
            page.goto(f"/?token={token}")
            return page
        if token:
            context.request.get(f"/?token={token}")  # signs in without showing a page
        page.goto(path)
        return page

    yield open_page

    for context in contexts:
        context.close()
    complaints = [text for watch in watched for text in watch.complaints]
    assert [text for text in complaints if not text.startswith(tuple(tolerated))] == []
    assert [url for watch in watched for url in watch.elsewhere] == []


def layout_shift(page: Page) -> float:
    """How much has moved on a page since it was opened: Web Vitals' cumulative layout shift."""
    shift: float = page.evaluate(
        """() => new Promise((done) => {
          let sum = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
          }).observe({ type: "layout-shift", buffered: true });
          setTimeout(() => done(sum), 200);
        })"""
    )
    return shift
