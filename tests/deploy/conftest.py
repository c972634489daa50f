"""The files of a deployment, and a service without processes: records in Redis and files in a folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from services.batch_jobs.answers import BatchStore
from services.chips.store import ChipStore, Lease
from services.crops.store import CropStore
from services.datasets.files import DatasetStore
from services.datasets.uploads import DatasetUploads, DeclaredFile, ImportOptions
from services.jobs.acceptance import Idempotency
from services.jobs.store import JobStore
from services.models.files import ModelStore
from services.settings import Settings
from services.sharing import Shares
from services.store.connection import Connection
from services.store.schema import ensure_schema
from services.users.authentication import User
from services.users.sessions import SessionStore
from services.users.store import UserStore
from services.webhooks.store import WebhookStore
from tests.services.batch_jobs.parts import a_part
from tests.services.datasets.crops import a_dataset_origin, some_labelled
from tests.services.samples import CHIP, PLENTY, a_holder, a_job, accept, an_origin, some_crops

ROOT: Final = Path(__file__).resolve().parents[2]
SettingsOf = Callable[[str], Settings]
ADMIN_TOKEN = "the-admins-token-0123456789"  # noqa: S105 of these tests alone


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    """`docker-compose.yml` with its anchors resolved and its variables as they stand."""
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return read


@pytest.fixture(scope="session")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services in it."""
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.fixture
def settings_of(redis_url: str, tmp_path: Path) -> SettingsOf:
    """Settings of a service on the tests' Redis, with a data folder of this name."""
    return lambda name: Settings(data_dir=tmp_path / name, redis_url=redis_url)


@pytest.fixture
def filled(connection: Connection, settings_of: SettingsOf) -> Settings:
    """A service at work: models, a running and a queued training, crops claimed and waiting, users, calibrations."""
    settings = settings_of("first")
    models = ModelStore(settings.models_dir)
    for author in ("a", "b", "c"):
        models.publish(an_origin(job=author), f"weights of {author}".encode())
    models.set_alias("digits", "production", "2", user="ada", why="the best")
    models.publish(an_origin(name="ada~letters", job="d"), b"weights of d")
    Shares(settings.models_dir).add("ada~letters", "1")
    models.delete_version("digits", "1")
    datasets = DatasetStore(settings.datasets_dir)
    for count in (3, 4):
        datasets.publish(a_dataset_origin("ada~mine"), some_labelled(count), some_labelled(2))
    datasets.delete_version("ada~mine", "1")
    Shares(settings.datasets_dir).add("ada~mine", None)
    DatasetUploads(settings.datasets_dir).begin(
        "ada~more", User("ada"), [DeclaredFile(name="train.csv", bytes=3)], ImportOptions()
    )
    BatchStore(settings.batches_dir).keep("job-7", a_part(0, [3]))
    stable = settings.calibrations_dir / "hxcube1" / "stable"
    for night in ("2026-01-01Z", "2026-01-02Z"):
        (stable / night).mkdir(parents=True)
        (stable / night / "hagen_cocolist.json").write_text(night)
    (stable / "latest").symlink_to("2026-01-02Z")
    settings.token_file.write_text(ADMIN_TOKEN)

    ensure_schema(connection)
    lease = ChipStore(connection, lease_s=60).take(CHIP, a_holder())
    jobs = JobStore(connection, keep_jobs_s=3600)
    running, queued = a_job(), a_job()
    for job in (running, queued):
        jobs.submit(job, Idempotency(f"ada:{job.id}", "digest"), most=PLENTY)
    jobs.change(running, lease=lease, allowed=(running.state,), event={"type": "state"}, state="running")
    settings.saves_dir.mkdir()
    (settings.saves_dir / f"{running.id}.safetensors").write_bytes(b"a state")
    (settings.saves_dir / f"{CHIP}.executing").write_text(running.id)
    crops = CropStore(connection, max_waiting=PLENTY, keep_results_s=3600)
    accept(crops, [some_crops(2, 1)])
    crops.claim(lease, {"digits@1:ada": 2})
    accept(crops, [some_crops(3, 2)])
    UserStore(connection).add("ada")
    hooks = WebhookStore(connection)
    hooks.add(
        "ada",
        "hook-1",
        {
            "url": "https://receiver.example",
            "secret": "whsec_AAAA",
            "events": "",
            "kinds": "",
            "description": "",
        },
        most=1,
    )
    hooks.test("ada", "hook-1", "test-1")
    SessionStore(connection).open("digest")
    SessionStore(connection).offer("digest")
    return settings


def lease_of_first(connection: Connection) -> Lease:
    """The lease that the service's worker had."""
    fence = connection.client.get(f"hx:chip:{CHIP}:fence")
    assert isinstance(fence, bytes)
    return Lease(CHIP, int(fence), a_holder())


def files_in(settings: Settings) -> dict[str, bytes | str]:
    """The content of each file of a service, and where links lead; without what belongs to processes."""
    found: dict[str, bytes | str] = {}
    for path in sorted(settings.data_dir.rglob("*")):
        name = path.relative_to(settings.data_dir).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file() and not name.endswith(".executing") and name != "lock":
            found[name] = path.read_bytes()
        elif path.is_dir():
            found[name] = "folder"
    return found


def records_in(connection: Connection) -> dict[bytes, tuple[Any, bool]]:
    """The content of each key, and whether it has an end; without what belongs to processes."""
    passing = (b":lease", b":bell", b":wakeup", b":fence")
    return {
        key: (_content(connection.client, key), connection.client.ttl(key) >= 0)
        for key in connection.client.scan_iter("hx:*")
        if not key.endswith(passing) and not key.startswith((b"hx:session:", b"hx:link:", b"hx:replies:"))
    }


def _content(client: Any, key: bytes) -> Any:
    match client.type(key):
        case b"hash":
            return client.hgetall(key)
        case b"set":
            return client.smembers(key)
        case b"zset":
            return client.zrange(key, 0, -1, withscores=True)
        case b"stream":
            groups = [group["name"] for group in client.xinfo_groups(key)]
            claimed = [client.xpending_range(key, group, "-", "+", 100) for group in groups]
            for entry in (entry for entries in claimed for entry in entries):
                del entry["time_since_delivered"]
            return client.xrange(key), groups, claimed
        case _:
            return client.get(key)
