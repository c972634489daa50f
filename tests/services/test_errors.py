"""The tree of errors: each with its own code and its own words."""

from collections import Counter

import pytest

from services.errors import HxserveError, JobNotFoundError, error_of


def _tree(kind: type[HxserveError] = HxserveError) -> list[type[HxserveError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _tree(child))]


TREE = list(dict.fromkeys(_tree()))


@pytest.mark.parametrize("kind", TREE)
def test_every_error_has_a_docstring_as_its_message(kind: type[HxserveError]) -> None:
    said = kind().message

    assert kind.__dict__.get("__doc__")
    assert said[0].isupper()
    assert said.endswith(".")


def test_every_error_has_a_code_of_its_own() -> None:
    codes = Counter(kind.code for kind in TREE)

    assert {code for code, times in codes.items() if times > 1} == set()
    assert all("code" in kind.__dict__ for kind in TREE)


@pytest.mark.parametrize("kind", TREE)
def test_an_error_comes_back_from_its_problem(kind: type[HxserveError]) -> None:
    error = error_of({"code": kind.code, "message": "what happened"})

    assert type(error) is kind
    assert error.message == "what happened"


def test_a_code_from_a_newer_version_is_an_error_all_the_same() -> None:
    error = error_of({"code": "of_tomorrow", "message": "what happened"})

    assert (type(error), error.message) == (HxserveError, "what happened")


def test_an_error_is_its_message() -> None:
    assert str(JobNotFoundError("there is no job 'x'")) == "there is no job 'x'"
