"""Help by purpose, examples that are right, next steps, completion, cards and colours."""

import json
import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from hxserve.cli import cli
from hxserve.cli.guidance import EXAMPLES, NEXT, SECTIONS, leaves
from tests.client.records import JOB_ID, a_user
from tests.client.service import TOKEN, Reply, Service
from tests.docs.test_links import _problem_of
from tests.needs import needed

COMMANDS = dict(leaves(cli))


def test_the_help_has_its_sections_in_order() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).stdout

    places = [shown.index(f"\n{title}:\n") for title in SECTIONS]
    assert places == sorted(places)
    assert "\nMore:\n" not in shown


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_the_help_of_every_command_ends_with_examples(words: str) -> None:
    shown = CliRunner().invoke(cli, [*words.split(), "--help"]).stdout

    assert f"Examples:\n    {EXAMPLES[words][0]}" in shown


@pytest.mark.parametrize("example", [example for examples in EXAMPLES.values() for example in examples])
def test_every_example_names_commands_and_options_that_exist(example: str) -> None:
    assert _problem_of(example) is None


def test_next_steps_are_of_commands_that_exist() -> None:
    assert set(NEXT) <= set(COMMANDS)


def at_terminal(arguments: list[str], environment: dict[str, str], columns: int = 80) -> str:
    """What a Python program writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, **environment, "COLUMNS": str(columns), "TERM": "xterm-256color"},
    )
    os.close(theirs)
    said = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            piece = os.read(ours, 2**16)
        except OSError:
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    assert process.wait() == 0, said
    return said.decode()


@pytest.fixture
def terminal(service: Service, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.delenv("NO_COLOR", raising=False)
    environment = {"HXSERVE_URL": service.url, "HXSERVE_TOKEN": TOKEN}
    return lambda *arguments, **options: at_terminal(["-m", "hxserve", *arguments], environment, **options)


def test_a_terminal_too_narrow_for_a_table_shows_cards(
    terminal: Callable[..., str], service: Service
) -> None:
    service.answers["GET", "/v1/users"] = Reply(document={"users": [a_user(), a_user(name="grace")]})

    cards, table = terminal("users", "--no-color"), terminal("users", "--no-color", columns=240)

    assert "\r\n  role" in cards
    assert all(len(line) <= 80 for line in cards.splitlines())
    assert "\r\n  role" not in table


def test_colours_are_left_out_where_they_are_not_wanted(terminal: Callable[..., str]) -> None:
    assert "\x1b[" in terminal("me")
    assert "\x1b[" not in terminal("me", "--no-color")
    assert "\x1b[" not in terminal("--no-color", "models", "alias", "digits", "production", "1")


def test_a_next_step_is_shown_at_a_terminal_and_not_beside_json(terminal: Callable[..., str]) -> None:
    command = ["models", "alias", "digits", "production", "1"]

    assert "Try next: hxserve classify --version ALIAS PICTURE" in terminal(*command)
    assert "Try next" not in terminal(*command, "--json")


@pytest.fixture
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_home")
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_adds_one_line_to_what_is_in_the_rc_file(tmp_path: Path, shell: str) -> None:
    kept = "# mine\nexport A='b'\nif true; then echo x; fi"  # without a line's end
    rc = tmp_path / "dotfiles"
    rc.write_text(kept)
    rc.chmod(0o640)
    link = tmp_path / f".{shell}rc"
    link.symlink_to(rc)
    command = ["completion", "install", "--shell", shell, "--json"]

    first, second = (json.loads(CliRunner().invoke(cli, command).stdout) for _ in range(2))

    assert (first["changed"], second["changed"]) == (True, False)
    assert link.is_symlink()
    assert rc.stat().st_mode & 0o777 == 0o640
    assert rc.read_text().startswith(kept + "\n")
    assert rc.read_text().count("completion of hxserve") == 1


@pytest.mark.usefixtures("_home")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_accepts_its_rc_file_and_completes(shell: str) -> None:
    needed(shutil.which(shell), f"{shell} is not installed")
    assert CliRunner().invoke(cli, ["completion", "install", "--shell", shell]).exit_code == 0
    rc = f". ~/.{shell}rc; " if shell != "fish" else ""
    asked, answer = {
        "bash": ("complete -p hxserve", "_hxserve_completion"),
        "zsh": ("print $_comps[hxserve]", "_hxserve_completion"),
        "fish": ("complete -C 'hxserve trai'", "train"),
    }[shell]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    done = subprocess.run(
        [shell, "-c", rc + asked],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""
    assert answer in done.stdout


def test_a_word_is_completed() -> None:
    environment = {
        **os.environ,
        "_HXSERVE_COMPLETE": "bash_complete",
        "COMP_WORDS": "hxserve tr",
        "COMP_CWORD": "1",
    }

    done = subprocess.run(
        [sys.executable, "-c", "from hxserve.cli import main; main()"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "plain,train"


def _completed(line: str, monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    """What the Tab key offers for the last word of a line."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    [*arguments, beginning] = shlex.split(line)[1:] + ([""] if line.endswith(" ") else [])
    completion = ShellComplete(cli, {}, "hxserve", "_HXSERVE_COMPLETE")
    return [item.value for item in completion.get_completions(arguments, beginning)]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("hxserve jobs watch ", [JOB_ID]),
        ("hxserve jobs cancel x", []),
        ("hxserve models show ", ["digits", "ada~letters"]),
        ("hxserve models show di", ["digits"]),
        ("hxserve models show digits ", ["latest", "1"]),
        ("hxserve models promote digits l", ["latest"]),
        ("hxserve train --dataset m", ["mine"]),
        ("hxserve classify --model d", ["digits"]),
        ("hxserve users set ", ["ada", "grace"]),
    ],
)
def test_what_the_service_has_is_completed(
    service: Service, monkeypatch: pytest.MonkeyPatch, line: str, offered: list[str]
) -> None:
    found = _completed(line, monkeypatch, HXSERVE_URL=service.url, HXSERVE_TOKEN=TOKEN)

    assert list(dict.fromkeys(found)) == offered


def test_without_a_service_nothing_is_completed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    assert _completed("hxserve jobs watch ", monkeypatch) == []
    assert _completed("hxserve models show ", monkeypatch, HXSERVE_URL="http://127.0.0.1:9") == []


@pytest.mark.usefixtures("_home")
def test_an_unknown_shell_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")

    result = CliRunner().invoke(cli, ["completion", "install"])

    assert result.exit_code == 1
    assert "--shell bash, zsh or fish" in result.stderr


def test_the_leaves_have_no_group_that_does_nothing() -> None:
    assert all(not isinstance(c, click.Group) or c.invoke_without_command for c in COMMANDS.values())
