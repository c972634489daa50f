"""A service of the tests' own, as the client's tests have it."""

from tests.client.conftest import _elsewhere, service

__all__ = ["_elsewhere", "service"]
