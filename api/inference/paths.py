"""Addresses of the Open Inference Protocol, and the reasons why some that its clients know are missing here."""

import re
from typing import Final

_ABSENT: Final = (
    (
        re.compile(r"/v2/repository/models/[^/]+/(un)?load"),
        "models are not loaded or unloaded by request; a version is there from its training until it is deleted",
    ),
    (
        re.compile(r"/v2/(system|cuda)sharedmemory(/.*)?"),
        "there is no shared memory; send tensors in the request",
    ),
    (
        re.compile(r"/v2(/models/[^/]+)?/trace/setting"),
        "there is no tracing; /metrics and the stats have times",
    ),
    (re.compile(r"/v2/logging"), "logging is not set by request; its level is HXSERVE_LOG_LEVEL"),
    (
        re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/generate(_stream)?"),
        "models here read digits; ask them with infer",
    ),
)


def is_inference(path: str) -> bool:
    """Return whether an address is one of the protocol."""
    return path == "/v2" or path.startswith("/v2/")


def absence(path: str) -> str | None:
    """Return why an address that clients of the protocol know is missing here, and the alternative; else None."""
    return next((reason for pattern, reason in _ABSENT if pattern.fullmatch(path)), None)
