"""The obvious design: one Celery task per request, its result through Celery's result backend.

In its best reasonable configuration: gevent's server as the API, a solo worker with the network loaded and warm
before it takes a message, prefetching, no gossip between workers, Redis configured as hxserve configures it.
"""

import base64
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from celery import Celery
from celery.signals import worker_init

from benchmarks.processes import Server, free_port, python_module, started
from deploy.redis_server import redis_server

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
    """Load the network before the worker takes a message."""
    from benchmarks.classifiers import load_classifier  # noqa: PLC0415  # the API needs no torch

    _loaded.append(load_classifier(Path(os.environ["BENCH_VERSION"])))


@app.task  # type: ignore[untyped-decorator]  # celery ships no types
def classify(crops: str) -> list[int]:
    """Return the digits of crops in base64."""
    return _loaded[0](base64.b64decode(crops))


@contextmanager
def running_celery_service(folder: Path, version: Path) -> Iterator[Server]:
    """Run the service: Redis, one Celery worker, one API process.

    Raises:
        ProcessError: a part does not start.
    """
    port = free_port()
    worker = python_module(
        "celery", "--app", "benchmarks.celery_per_request", "worker", "--loglevel", "WARNING"
    )
    worker += ["--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    with ExitStack() as stack:
        redis_url, redis = stack.enter_context(redis_server(folder, folder / "redis.log"))
        env = {
            "BENCH_REDIS_URL": redis_url.replace("unix://", "redis+socket://"),  # Celery's spelling
            "BENCH_VERSION": str(version),
        }
        consumer = stack.enter_context(started(worker, log=folder / "worker.log", env=env))
        api = python_module("benchmarks.celery_api", str(port))
        front = stack.enter_context(started(api, log=folder / "api.log", env=env, port=port))
        _await_answer(port)
        yield Server(port, (redis.pid, consumer.pid, front.pid))


def _await_answer(port: int) -> None:
    """Return when the worker, which imports torch first, has answered a request."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/classify", data=bytes(784), method="POST")
    with urllib.request.urlopen(request, timeout=60):  # noqa: S310  # our own address
        return
