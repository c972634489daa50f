"""The command `open`: the page of the service in a browser."""

import os
import sys
import webbrowser
from urllib.parse import quote

import click

from hxserve.addresses import find_address
from hxserve.cli.console import show_json, show_line
from hxserve.cli.options import Options, OptionsCommand


@click.command("open", cls=OptionsCommand)
@click.option("--no-browser", is_flag=True, help="Show the address only.")
def open_page(options: Options, /, no_browser: bool) -> None:
    """Open the page of the service in a browser, signed in.

    Where there is no browser, the address is shown. It has your token: do not pass it on.
    """
    options.client().me()  # an error here says more than a page that does not load
    address = find_address(options.url, options.token, options.data_dir)
    link = f"{address.url}/" + (f"?token={quote(address.token)}" if address.token else "")
    opened = not no_browser and can_open() and webbrowser.open(link)
    if options.as_json:
        show_json({"url": link, "opened": opened})
    else:
        show_line(f"Opened {address.url} in your browser." if opened else link)


def can_open() -> bool:
    """Return whether a browser can have a window; one in the terminal would take that over."""
    if sys.platform == "linux" and not os.environ.get("BROWSER"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
