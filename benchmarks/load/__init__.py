"""A load generator: keep-alive clients that send prepared requests, in a process of its own.

One generator serves every alternative, so that its own processor time, which is reported, is the same for all.
"""

from benchmarks.load.grpc_messages import build_call
from benchmarks.load.messages import UNNUMBERED, build_request
from benchmarks.load.plan import LoadPlan
from benchmarks.load.process import LoadError, LoadProcess, apply_load, start_load
from benchmarks.load.report import LoadReport

__all__ = [
    "UNNUMBERED",
    "LoadError",
    "LoadPlan",
    "LoadProcess",
    "LoadReport",
    "apply_load",
    "build_call",
    "build_request",
    "start_load",
]
