"""The obvious design as the honest alternative: one Celery task per request, its result through Celery's backend.

In its best reasonable configuration: gevent's server with the bounds that the decision record asks for, a solo
worker with the network loaded and warm before it takes a message, prefetching, no chatter between workers.
"""

import base64
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from celery import Celery
from celery.signals import worker_init

from benchmarks.processes import Served, free_port, python_module, started
from benchmarks.redis_server import redis_server

app = Celery("celery_per_request")
app.conf.update(
    broker_url=os.environ.get("BENCH_REDIS_URL", ""),
    result_backend=os.environ.get("BENCH_REDIS_URL", ""),
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    result_expires=600,
    worker_pool="solo",
    worker_concurrency=1,
    worker_prefetch_multiplier=16,
    worker_disable_rate_limits=True,
    broker_pool_limit=64,
    redis_max_connections=256,
    broker_connection_retry_on_startup=True,
)
_loaded: list[Callable[[bytes], list[int]]] = []


@worker_init.connect  # type: ignore[untyped-decorator]  # celery ships no types
def load(**_: object) -> None:
    """Loads the network before the worker takes a message, for the first caller must not pay for it."""
    from benchmarks.classifiers import load_classifier  # noqa: PLC0415  # torch belongs in the worker only

    _loaded.append(load_classifier(Path(os.environ["BENCH_VERSION"])))


@app.task  # type: ignore[untyped-decorator]  # celery ships no types
def classify(crops: str) -> list[int]:
    """The digits of crops in base64."""
    return _loaded[0](base64.b64decode(crops))


@contextmanager
def running_celery_service(folder: Path, version: Path) -> Iterator[Served]:
    """The service: Redis, one Celery worker, one API process.

    Raises:
        ProcessError: when a part does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    worker = python_module(
        "celery", "--app", "benchmarks.celery_per_request", "worker", "--loglevel", "WARNING"
    )
    worker += ["--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    with ExitStack() as stack:
        redis_url, redis = stack.enter_context(redis_server(folder))
        env = {"BENCH_REDIS_URL": redis_url, "BENCH_VERSION": str(version)}
        consumer = stack.enter_context(started(worker, log=folder / "worker.log", env=env))
        api = python_module("benchmarks.celery_api", str(port))
        front = stack.enter_context(started(api, log=folder / "api.log", env=env, port=port))
        _await_answer(port)
        yield Served(port, (redis, consumer, front))


def _await_answer(port: int) -> None:
    """Returns when the worker has answered its first request; until then it imports torch."""
    request = urllib.request.Request(  # our own address
        f"http://127.0.0.1:{port}/classify", data=bytes(784), method="POST"
    )
    with urllib.request.urlopen(request, timeout=60):  # noqa: S310  # our own address
        return
