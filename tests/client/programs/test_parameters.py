"""Parameters of a notebook: which assignments they replace, and what stays as it is."""

import pytest

from hxserve.programs.parameters import NoSuchVariableError, parse_parameter, replace_assignments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("num_epochs=4", ("num_epochs", "4")),
        ("rate=1e-3", ("rate", "1e-3")),
        ("data_path=/data/mnist", ("data_path", "'/data/mnist'")),
        ("data_path='4'", ("data_path", "'4'")),
        ("sizes= [3, 4]", ("sizes", "[3, 4]")),
        ("text=a=b", ("text", "'a=b'")),
        ("text=len(names)", ("text", "'len(names)'")),
        ("empty=", ("empty", "''")),
    ],
)
def test_a_value_is_a_literal_or_a_text(text: str, expected: tuple[str, str]) -> None:
    assert parse_parameter(text) == expected


def test_an_expression_is_evaluated_by_the_notebook() -> None:
    found = parse_parameter("model=Model(mock=False)", is_expression=True)

    assert replace_assignments(["model = Model()"], dict([found])) == ["model = Model(mock=False)"]
    with pytest.raises(ValueError, match="not a Python expression"):
        parse_parameter("model=Model(", is_expression=True)


@pytest.mark.parametrize("text", ["num_epochs", "=4", "num-epochs=4", "a.b=4"])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="name=value"):
        parse_parameter(text)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("n = 4 # epochs", "n = 5 # epochs"),
        ("n = 1\nprint(n)\nn = 2\n", "n = 5\nprint(n)\nn = 5\n"),
        ("n: int = 4", "n: int = 5"),
        ("n = (1 +\n     2); m = 3", "n = (5); m = 3"),
        ("größe = 'ä'; n = 4", "größe = 'ä'; n = 5"),
        ("%matplotlib inline\n!ls\nn?\nn = 4", "%matplotlib inline\n!ls\nn?\nn = 5"),
        ("def f():\n    n = 4\nn = 3", "def f():\n    n = 4\nn = 5"),
        ("n = 4\r\nm = 1\r\n", "n = 5\r\nm = 1\r\n"),
    ],
)
def test_all_assignments_outside_functions_get_the_value(source: str, expected: str) -> None:
    assert replace_assignments([source], {"n": "5"}) == [expected]


@pytest.mark.parametrize(
    "source", ["%%bash\nn = 4", "n += 1", "n == 4", "n = 4 +", "for n in range(3): pass", ""]
)
def test_what_assigns_no_value_stays(source: str) -> None:
    assert replace_assignments([source, "n = 1"], {"n": "5"}) == [source, "n = 5"]


def test_a_variable_that_no_cell_assigns_is_refused_with_those_that_are() -> None:
    with pytest.raises(NoSuchVariableError, match=r"`num_epoch`; assigned are data_path, num_epochs"):
        replace_assignments(["num_epochs = 4", "data_path = 'mnist'"], {"num_epoch": "1"})
