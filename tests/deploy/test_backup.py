"""Backup and restore: everything comes back, or nothing is touched."""

import gzip
import hashlib
import io
import json
import resource
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from deploy.archive import Archive, seal_of
from deploy.backup import back_up
from deploy.backup import main as backup_main
from deploy.restore import main as restore_main
from deploy.restore import restore
from services.chips.store import ChipStore
from services.corrections.record import Correction
from services.corrections.store import CorrectionStore
from services.crops.store import CropStore
from services.datasets.files import DatasetStore
from services.datasets.uploads import DatasetUploads
from services.errors import (
    BackupDamagedError,
    ConflictError,
    HxserveError,
    LeaseLostError,
    RedisUnavailableError,
    SchemaError,
    StorageError,
)
from services.jobs.record import JobState
from services.jobs.store import JobStore
from services.models.files import ModelStore
from services.models.uploads import Uploads
from services.settings import Settings
from services.sharing import Shares
from services.store import keys
from services.store.connection import Connection
from services.store.schema import RESTORING, SCHEMA, ensure_schema
from services.users.authentication import User
from services.users.store import UserStore
from tests.deploy.conftest import ADMIN_TOKEN, SettingsOf, files_in, lease_of_first, records_in
from tests.services.datasets.crops import a_dataset_origin, some_labelled
from tests.services.samples import CHIP, a_holder, finish

Files = dict[str, bytes]


@pytest.fixture
def backup(filled: Settings, tmp_path: Path) -> Path:
    """A backup of the service at work, which is still there."""
    path = tmp_path / "hx.backup"
    back_up(filled, path)
    return path


@pytest.fixture
def lost(backup: Path, connection: Connection) -> Path:
    """A backup of the service, whose records are gone."""
    connection.client.flushall()
    return backup


def _unpacked(path: Path) -> Files:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr] # files


def _pack(path: Path, files: Files, change: Callable[[tarfile.TarInfo], None] = lambda _: None) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            change(member)
            tar.addfile(member, io.BytesIO(content))
    packed = path.read_bytes()
    path.write_bytes(packed + seal_of(hashlib.sha256(packed).hexdigest()))


def _is_untouched(settings: Settings, connection: Connection) -> bool:
    return not settings.data_dir.exists() and connection.client.dbsize() == 0


def test_files_and_records_come_back(
    filled: Settings, connection: Connection, tmp_path: Path, settings_of: SettingsOf
) -> None:
    files, records = files_in(filled), records_in(connection)
    back_up(filled, tmp_path / "hx.backup")
    connection.client.flushall()

    manifest = restore(settings_of("second"), tmp_path / "hx.backup")

    assert files_in(settings_of("second")) == files
    assert records_in(connection) == records
    assert manifest.counts["unfinished_jobs"] == 2
    assert manifest.counts["versions"] == 3
    assert manifest.counts["waiting_parts_of_crops"] == 2
    assert ensure_schema(connection) == SCHEMA


def test_a_backup_and_the_restored_token_are_for_their_owner_alone(
    lost: Path, settings_of: SettingsOf
) -> None:
    restore(settings_of("second"), lost)

    assert lost.stat().st_mode & 0o777 == 0o600
    assert settings_of("second").token_file.stat().st_mode & 0o777 == 0o600


def test_the_file_of_an_upload_is_restored_for_its_job(
    filled: Settings, connection: Connection, tmp_path: Path, settings_of: SettingsOf
) -> None:
    Uploads(filled.saves_dir).keep("job-1", b"a version")
    back_up(filled, tmp_path / "hx.backup")
    connection.client.flushall()

    restore(settings_of("second"), tmp_path / "hx.backup")

    digest = hashlib.sha256(b"a version").hexdigest()
    assert Uploads(settings_of("second").saves_dir).read("job-1", digest) == b"a version"


def test_what_belonged_to_processes_stays_out(
    lost: Path, connection: Connection, settings_of: SettingsOf
) -> None:
    restore(settings_of("second"), lost)

    assert ChipStore(connection, lease_s=60).record(CHIP).holder is None
    assert not list(connection.client.scan_iter("hx:session:*"))
    assert not list(connection.client.scan_iter("hx:link:*"))
    assert not list(settings_of("second").saves_dir.glob("*.executing"))


def test_a_worker_from_before_can_write_nothing_and_a_new_one_takes_the_chip(
    filled: Settings, connection: Connection, tmp_path: Path, settings_of: SettingsOf
) -> None:
    chips, before = ChipStore(connection, lease_s=60), lease_of_first(connection)
    back_up(filled, tmp_path / "hx.backup")
    chips.release(before)
    later = chips.take(CHIP, a_holder("later"))
    connection.client.flushall()

    restore(settings_of("second"), tmp_path / "hx.backup")
    new = chips.take(CHIP, a_holder("new"))

    for lease in (before, later):
        with pytest.raises(LeaseLostError):
            chips.renew(lease, {})
    assert chips.renew(new, {})


def test_crops_that_waited_are_read_once_each(
    lost: Path, connection: Connection, settings_of: SettingsOf
) -> None:
    restore(settings_of("second"), lost)
    lease = ChipStore(connection, lease_s=60).take(CHIP, a_holder("new"))
    crops, jobs = (
        CropStore(connection, max_waiting=100, keep_results_s=60),
        JobStore(connection, keep_jobs_s=60),
    )

    left = crops.recover(lease, after_death=True)
    finish(crops, lease, left)
    finish(crops, lease, crops.claim(lease, {"digits@1:ada": 9}).claimed)

    found = jobs.get_many([job_id for _, job_id in jobs.newest(before=None, count=9)])
    read = [job for job in found if job.kind == "classification"]
    assert [job.state for job in read] == [JobState.SUCCEEDED] * 2
    assert jobs.finished()["classification", "succeeded"] == 2
    assert len(left) == 1


def test_kept_crops_and_corrections_come_back_with_the_time_they_have_left(
    filled: Settings, connection: Connection, tmp_path: Path, settings_of: SettingsOf
) -> None:
    ada, store = User("ada"), CorrectionStore(connection, keep_corrections_s=600)
    store.add_labelled(ada, [Correction("desk-1", 3, "desk", 0.0, b"x" * 784)])
    connection.client.hset(keys.kept_key("job-9"), mapping={"user": "ada", "count": "1", "0": b"y" * 784})
    connection.client.expire(keys.kept_key("job-9"), 600)
    open_before = store.open(ada, 9)
    back_up(filled, tmp_path / "hx.backup")
    connection.client.flushall()

    restore(settings_of("second"), tmp_path / "hx.backup")

    assert store.open(ada, 9) == open_before != []
    assert connection.client.hget(keys.kept_key("job-9"), "0") == b"y" * 784
    for key in (keys.kept_key("job-9"), keys.correction_key("desk-1")):
        assert 0 < connection.client.ttl(key) <= 600


def test_users_tokens_and_the_meaning_of_aliases_come_back(
    lost: Path, connection: Connection, settings_of: SettingsOf
) -> None:
    restore(settings_of("second"), lost)

    models = ModelStore(settings_of("second").models_dir)
    assert [account.name for account in UserStore(connection).all()] == ["ada"]
    assert len(UserStore(connection).tokens("ada")) == 1
    assert models.aliases("digits") == {"latest": "3", "production": "2"}
    production = models.alias_files.get("digits", "production")
    assert production is not None
    assert [(change.user, change.why) for change in production.changes] == [("ada", "the best")]
    assert models.weights("digits", "3") == b"weights of c"
    assert settings_of("second").token_file.read_text() == ADMIN_TOKEN


def test_data_sets_come_back_with_their_shares_numbers_and_uploads(
    lost: Path, settings_of: SettingsOf
) -> None:
    restore(settings_of("second"), lost)

    folder = settings_of("second").datasets_dir
    datasets, uploads = DatasetStore(folder), DatasetUploads(folder)
    assert len(datasets.crops("ada~mine", "2")[0]) == 4
    assert Shares(folder).has("ada~mine", "2")
    assert datasets.publish(a_dataset_origin("ada~mine"), some_labelled(9), some_labelled(2)).version == "3"
    assert uploads.bytes_of("ada") == 3


def test_a_downloaded_mnist_is_no_service_and_stays(lost: Path, settings_of: SettingsOf) -> None:
    second = settings_of("second")
    downloaded = second.datasets_dir / "MNIST" / "raw" / "train-images-idx3-ubyte"
    downloaded.parent.mkdir(parents=True)
    downloaded.write_text("images")

    restore(second, lost)
    restore(second, lost, replace=True)

    assert downloaded.read_text() == "images"


def test_a_byte_that_is_another_one_is_found_before_anything_is_touched(
    lost: Path, connection: Connection, settings_of: SettingsOf
) -> None:
    whole, random = lost.read_bytes(), Random(7)

    for place in [*random.sample(range(len(whole)), 100), 0, 8, 10, len(whole) - 20, len(whole) - 1]:
        lost.write_bytes(
            whole[:place] + bytes([whole[place] ^ (1 << random.randrange(8))]) + whole[place + 1 :]
        )
        with pytest.raises(BackupDamagedError):
            restore(settings_of("second"), lost)

    assert _is_untouched(settings_of("second"), connection)


def test_a_backup_of_an_older_hxserve_is_restored(
    lost: Path, connection: Connection, settings_of: SettingsOf
) -> None:
    files = _unpacked(lost)
    members = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
        if name != "manifest.json"
    }
    _pack(lost, _with_manifest(files, format=1, members=members))

    restore(settings_of("second"), lost)

    assert ModelStore(settings_of("second").models_dir).weights("digits", "3") == b"weights of c"
    assert ensure_schema(connection) == SCHEMA


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_backup_that_is_not_whole_is_refused(
    lost: Path, connection: Connection, settings_of: SettingsOf, share: float
) -> None:
    whole = lost.read_bytes()
    lost.write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(BackupDamagedError):
        restore(settings_of("second"), lost)

    assert _is_untouched(settings_of("second"), connection)


def _with_manifest(files: Files, **changes: Any) -> Files:
    manifest = json.loads(files["manifest.json"]) | changes
    return files | {"manifest.json": json.dumps(manifest).encode()}


@pytest.mark.parametrize("changes", [{"schema_version": SCHEMA + 1}, {"format": 3}])
def test_a_backup_of_a_newer_hxserve_is_refused(
    lost: Path, connection: Connection, settings_of: SettingsOf, changes: dict[str, int]
) -> None:
    _pack(lost, _with_manifest(_unpacked(lost), **changes))

    with pytest.raises(SchemaError, match="newer"):
        restore(settings_of("second"), lost)

    assert _is_untouched(settings_of("second"), connection)


@pytest.mark.parametrize(
    "name", ["../outside", "models/../../outside", "/outside", "models//x", "logs/x", "models", "models/a\\b"]
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(
    lost: Path, connection: Connection, settings_of: SettingsOf, name: str
) -> None:
    files = _unpacked(lost)
    _pack(lost, {name: files["records.msgpack"], **files})

    with pytest.raises(BackupDamagedError, match="nothing that a backup of hxserve holds"):
        restore(settings_of("second"), lost)

    assert _is_untouched(settings_of("second"), connection)


@pytest.mark.parametrize("to", ["..", "../../outside", "/outside", "a/b"])
def test_a_link_that_leads_elsewhere_is_refused(lost: Path, settings_of: SettingsOf, to: str) -> None:
    _pack(lost, _with_manifest(_unpacked(lost), links={"calibrations/x/stable/latest": to}))

    with pytest.raises(BackupDamagedError, match="nothing that a backup of hxserve holds"):
        restore(settings_of("second"), lost)


def test_an_archive_with_links_of_its_own_is_refused(lost: Path, settings_of: SettingsOf) -> None:
    def link(member: tarfile.TarInfo) -> None:
        if member.name == "admin-token":
            member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0

    _pack(lost, _unpacked(lost), link)

    with pytest.raises(BackupDamagedError, match="nothing that a backup of hxserve holds"):
        restore(settings_of("second"), lost)


def test_any_other_file_is_refused_by_what_it_is(tmp_path: Path, settings_of: SettingsOf) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "gz").write_bytes(gzip.compress(b"hello"))
    _pack(tmp_path / "tar", {"hello": b"hello"})

    for name in ("text", "gz", "tar"):
        with pytest.raises(BackupDamagedError):
            restore(settings_of("second"), tmp_path / name)
    with pytest.raises(StorageError, match="cannot be read"):
        restore(settings_of("second"), tmp_path / "none")


def test_where_a_service_is_nothing_is_restored_unless_told_so(
    lost: Path, connection: Connection, settings_of: SettingsOf
) -> None:
    second = settings_of("second")
    (second.models_dir / "mine").mkdir(parents=True)
    connection.client.set("hx:jobs:long:revision", 7)

    with pytest.raises(ConflictError, match=r"second/models, records in Redis.*--replace"):
        restore(second, lost)
    kept = (second.models_dir / "mine").exists(), connection.client.get("hx:jobs:long:revision")
    restore(second, lost, replace=True)

    assert kept == (True, b"7")
    assert not (second.models_dir / "mine").exists()
    assert connection.client.get("hx:jobs:long:revision") != b"7"


def test_where_a_worker_holds_a_chip_nothing_is_restored(
    backup: Path, connection: Connection, settings_of: SettingsOf
) -> None:
    before = records_in(connection)

    with pytest.raises(ConflictError, match=f"{CHIP} has a worker"):
        restore(settings_of("second"), backup, replace=True)

    assert records_in(connection) == before


def test_a_restore_that_was_cut_off_lets_nothing_start_and_is_run_again(
    lost: Path, connection: Connection, settings_of: SettingsOf
) -> None:
    second = settings_of("second")
    second.data_dir.mkdir()
    (second.data_dir / "calibrations").write_text("in the way of a folder")

    with pytest.raises(HxserveError):
        restore(second, lost)
    with pytest.raises(SchemaError, match="run `hxserve restore` again"):
        ensure_schema(connection)
    (second.data_dir / "calibrations").unlink()
    restore(second, lost)

    assert ensure_schema(connection) == SCHEMA
    assert files_in(second) == files_in(settings_of("first"))


def test_without_redis_there_is_no_backup(filled: Settings, tmp_path: Path) -> None:
    away = filled.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})

    with pytest.raises(RedisUnavailableError):
        back_up(away, tmp_path / "hx.backup")

    assert not list(tmp_path.glob("*hx.backup*"))


def test_a_backup_is_not_taken_of_a_restore_that_did_not_finish(
    filled: Settings, connection: Connection, tmp_path: Path
) -> None:
    connection.client.set(keys.SCHEMA, RESTORING)

    with pytest.raises(SchemaError):
        back_up(filled, tmp_path / "hx.backup")


def test_on_a_full_disk_the_backup_before_stays(filled: Settings, tmp_path: Path) -> None:
    path = tmp_path / "hx.backup"
    path.write_bytes(b"the backup before")
    (filled.saves_dir / "large.safetensors").write_bytes(Random(1).randbytes(2**20))

    ended = subprocess.run(
        [sys.executable, "-m", "deploy.backup", str(path), "--data-dir", str(filled.data_dir)],
        # Compiled modules would be cut off at the limit, too.
        env={
            "HXSERVE_REDIS_URL": filled.redis_url,
            "PATH": "/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        # The kernel refuses what goes beyond, as on a full disk; a signal would come first.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
    )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"hxserve: storage_failed: {path} cannot be written (File too large)")
    assert path.read_bytes() == b"the backup before"
    assert not list(tmp_path.glob(".hx.backup*"))


def test_the_commands_say_what_they_did_or_why_not(
    filled: Settings, connection: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--redis-url", filled.redis_url, "--data-dir"]
    path = str(tmp_path / "hx.backup")

    statuses = [backup_main([path, *where, str(filled.data_dir)])]
    said = capsys.readouterr().out
    connection.client.flushall()
    statuses += [restore_main([path, *where, str(tmp_path / "second"), "--json"])]
    restored = json.loads(capsys.readouterr().out)
    statuses += [restore_main([path, *where, str(tmp_path / "second")])]
    refused = capsys.readouterr().err

    assert statuses == [0, 0, 1]
    assert "users 1, models 2, versions 3, jobs 4, unfinished long jobs 2, saves 1" in said
    assert restored["counts"]["users"] == 1
    assert refused.startswith("hxserve: conflict: there is a service already")
    assert ADMIN_TOKEN not in said + refused


def test_an_archive_gives_out_only_what_it_compared(backup: Path) -> None:
    archive = Archive(backup)
    files = _unpacked(backup)
    _pack(backup, files | {"admin-token": b"the token of somebody else"})

    with pytest.raises(BackupDamagedError, match="was changed while it was read"):
        list(archive.files())
