"""The service on one machine: what other users of the machine may not see."""

import stat
from pathlib import Path

import pytest

from deploy.local import main
from deploy.redis_server import redis_server


def test_the_folder_of_the_embedded_redis_is_closed_to_others(short_folder: Path) -> None:
    folder = short_folder / "redis"
    folder.mkdir(mode=0o755)

    with redis_server(folder, short_folder / "redis.log"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_password_on_the_command_line_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["--data-dir", str(tmp_path), "--redis-url", "redis://hxserve-api:a-password@store/0"])

    said = capsys.readouterr().err
    assert status == 1
    assert "HXSERVE_REDIS_PASSWORD_FILE" in said
    assert "a-password" not in said
