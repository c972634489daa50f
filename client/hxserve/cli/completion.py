"""The command `completion`: completion of `hxserve` in bash, zsh and fish."""

import os
import shlex
from pathlib import Path
from typing import Final

import click
from click.shell_completion import get_completion_class

from hxserve.cli.console import show_json, show_line
from hxserve.cli.options import Options, OptionsGroup
from hxserve.cli.outcome import Failure
from hxserve.downloads import write_whole

SHELLS: Final = ("bash", "zsh", "fish")
_SHELL: Final = click.option(
    "--shell", type=click.Choice(SHELLS), help="The shell.  [default: that of $SHELL]"
)
_MARK: Final = "# completion of hxserve"


@click.group(cls=OptionsGroup)
def completion() -> None:
    """Complete commands, options and choices with the Tab key."""


@completion.command("install")
@_SHELL
def install(options: Options, shell: str | None) -> None:
    """Install the completion for your shell; repeated, it is brought up to date.

    For bash and zsh one line that reads the script is added to .bashrc or .zshrc, once; everything else there stays as
    it is. fish finds its script by itself.
    """
    shell = shell or _own_shell()
    script = _script_path(shell)
    script.parent.mkdir(parents=True, exist_ok=True)
    write_whole(script, _source(shell).encode())
    rc = _rc_path(shell)
    changed = rc is not None and _add_line(rc, _line(shell, script))
    if options.as_json:
        show_json({"shell": shell, "script": str(script), "rc": rc and str(rc), "changed": changed})
        return
    show_line(f"Completion for {shell} is in {script}" + (f", read by {rc}." if rc else "."))
    show_line("Open a new terminal to use it.")


@completion.command("show")
@_SHELL
def show(options: Options, shell: str | None) -> None:
    """Write the completion script to stdout, for those who place it themselves."""
    source = _source(shell or _own_shell())
    if options.as_json:
        show_json({"script": source})
    else:
        show_line(source)


def _own_shell() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise Failure(
            "unknown_shell",
            f"{name or 'the shell'!r} has no completion here; name one with --shell bash, zsh or fish",
        )
    return name


def _source(shell: str) -> str:
    """Return click's completion script; bash is asked for its version, which may be too old or not there."""
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these shells"
    completer = kind(click.Command("hxserve"), {}, "hxserve", "_HXSERVE_COMPLETE")
    return completer.source_template % completer.source_vars()


def _script_path(shell: str) -> Path:
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    return (
        config / "fish/completions/hxserve.fish" if shell == "fish" else data / f"hxserve/completion.{shell}"
    )


def _rc_path(shell: str) -> Path | None:
    """Return the file that a shell reads when it starts; fish finds its completions by itself."""
    match shell:
        case "bash":
            return Path.home() / ".bashrc"
        case "zsh":
            return Path(os.environ.get("ZDOTDIR") or Path.home()) / ".zshrc"
        case _:
            return None


def _line(shell: str, script: Path) -> str:
    """Return a line that does nothing when the script is gone."""
    path = shlex.quote(str(script))
    ready = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }; " if shell == "zsh" else ""
    return f"if [ -r {path} ]; then {ready}. {path}; fi {_MARK}"


def _add_line(rc: Path, line: str) -> bool:
    """Put the line at the end of a file, in the place of an earlier one; return whether that changed the file.

    Raises:
        OSError: the file cannot be written; it is then as it was.
    """
    target = rc.resolve()
    before = target.read_bytes() if target.exists() else b""
    mark, wanted = _MARK.encode(), line.encode()
    lines = before.splitlines(keepends=True)
    if [each.rstrip() for each in lines if each.rstrip().endswith(mark)] == [wanted]:
        return False
    kept = b"".join(each for each in lines if not each.rstrip().endswith(mark))
    if kept and not kept.endswith(b"\n"):
        kept += b"\n"
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    write_whole(target, kept + wanted + b"\n")
    target.chmod(mode)
    return True
