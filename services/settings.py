"""The settings of each process, from `HXSERVE_*` variables; a process with a misspelt one does not start."""

import difflib
import os
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.errors import SettingsError
from services.explanations import explain
from services.logs import LogFormat
from services.names import Name
from services.passwords import read_secret, with_password
from services.users.quotas import Quotas
from services.webhooks.targets import networks_of

PREFIX: Final = "HXSERVE_"
CLIENT_VARIABLES: Final = frozenset({"HXSERVE_URL", "HXSERVE_TOKEN"})
"""Read by the client alone, and accepted here because the same shell may start a server."""

Backend = Literal["hxtorch", "emulator", "mock"]
"""The computing parts; each result names its own."""
CHIPLESS: Final = frozenset({"mock"})
"""Backends that are arithmetic alone, without a chip in whose loop a model could learn."""
ChipChoice = Literal["auto", Backend]
CHIP_CHOICES: Final[tuple[str, ...]] = get_args(ChipChoice)
RedisSync = Literal["second", "always"]


def _in_utc(value: time | None) -> time | None:
    """Return a time of day without a zone, which means UTC."""
    if value is None or value.tzinfo is None:
        return value
    if value.utcoffset():
        raise ValueError("give the time of day in UTC")
    return value.replace(tzinfo=None)


def _networks(value: str | None) -> str | None:
    """Return the text of networks; an impossible one is refused."""
    networks_of(value or "")
    return value


class Settings(BaseSettings):
    """The settings of an operator; each field is the variable `HXSERVE_<FIELD>`, in the order of docs/settings.md."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        env_parse_none_str="none",
        env_ignore_empty=True,
        use_attribute_docstrings=True,
    )

    data_dir: Path = Path("data")
    """Folder of models, saves and the embedded Redis."""
    redis_url: Annotated[str, Field(pattern=r"^(redis|rediss|unix)://", repr=False)] = (
        "redis://127.0.0.1:6379/0"
    )
    """Address of Redis: redis://, rediss:// or unix://, with a user name if Redis has users."""
    redis_password_file: Path | None = None
    """File with the password of that user, which is left out of the address."""
    redis_sync: RedisSync = "second"
    """When the embedded Redis brings its file to the disk: every `second`, or `always` before an answer. A killed
    process loses nothing either way, a power cut up to a second."""
    admin_token_file: Path | None = None
    """File with the admin's token; by default `admin-token` in the data folder."""
    mnist: Path | None = None
    """Folder with MNIST in the layout of torchvision."""
    host: str = "127.0.0.1"
    """Address on which the API listens."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """Port of the API; 0 for any free one."""
    grpc_port: Annotated[int | None, Field(ge=0, le=65_535)] = None
    """Port of the inference protocol over gRPC, 8001 for example, 0 for any free one; `none` for no such process."""
    grpc_certificate: Path | None = None
    """File with the certificate of that port, and those that signed it; `none` for no encryption."""
    grpc_key: Path | None = None
    """File with the certificate's private key."""
    grpc_metrics_port: Annotated[int | None, Field(ge=0, le=65_535)] = None
    """Port on which that process answers `GET /metrics` over HTTP; `none` for not at all."""
    max_connections: Annotated[int, Field(ge=10)] = 12_000
    """Maximum number of client connections; the limit of open files bounds them too."""
    client_timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Longest silence of a client, and longest time for the head of a request, in seconds."""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 32 * 2**20
    """Maximum size of a request body."""
    max_crops_per_request: Annotated[int, Field(ge=1)] = 20_000
    """Maximum number of crops in a request."""
    chip: ChipChoice = "mock"
    """The backend: a real chip, or an emulation of it."""
    chip_id: Name = "chip-1"
    """Name of the chip in the service; each chip has one worker."""
    calibration: Path | None = None
    """Calibration to load: a file, or a folder arranged by chip and date."""
    virtual_chip: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")] = (
        "hxvirtual0fpga0chip0_1"
    )
    """Identity of the emulator's virtual chip; the same id always gives the same chip."""
    virtual_chip_parameters: Path | None = None
    """JSON file with the parameters of the virtual chip (docs/chip.md) that differ from the default."""
    virtual_chip_temperature_c: Annotated[float | None, Field(ge=-40, le=125)] = None
    """Temperature of the virtual chip in degrees Celsius; `none` for the usual one."""
    emulator_realtime: bool = False
    """Let the virtual chip take as long as a real one."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads of torch; 0 for one less than the number of cores."""
    canary_every_s: Annotated[float, Field(gt=0)] = 300.0
    """Interval between canary measurements in seconds."""
    canary_limit: Annotated[float, Field(ge=1)] = 1.3
    """Ratio of the canary's score to its reference above which a chip counts as drifted."""
    calibrate_at: Annotated[time | None, AfterValidator(_in_utc)] = time(3, 0)
    """Time of day (UTC) of the nightly calibration; `none` for never."""
    recalibrate_on_drift: bool = True
    """Calibrate a chip that has drifted."""
    shadow_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of batches that the chip's mock twin reads too."""
    max_waiting_crops: Annotated[int, Field(ge=1)] = 100_000
    """Maximum number of crops that wait for the chip."""
    max_queued_jobs: Annotated[int, Field(ge=1)] = 1_000
    """Maximum number of unfinished long jobs."""
    user_max_queued_jobs: Annotated[int | None, Field(ge=0)] = 20
    """Maximum number of a user's unfinished long jobs; `none` for no limit."""
    user_max_waiting_crops: Annotated[int | None, Field(ge=0)] = 20_000
    """Maximum number of a user's waiting crops; `none` for no limit."""
    user_chip_seconds_per_day: Annotated[float | None, Field(ge=0)] = 14_400.0
    """Chip time of a user in a day (UTC), in seconds; `none` for no limit."""
    user_requests_per_second: Annotated[float | None, Field(gt=0)] = 1_000.0
    """Requests of a user to one API process; `none` for no limit."""
    user_operations_per_second: Annotated[float | None, Field(gt=0)] = 500.0
    """Operations of a user's programs, at one API process; `none` for no limit."""
    user_operation_bytes_per_second: Annotated[float | None, Field(gt=0)] = 100e6
    """Bytes of these operations; `none` for no limit."""
    user_kept_crops: Annotated[int | None, Field(ge=0)] = 5_000
    """Maximum number of a user's crops that are kept for correction, the newest; `none` for no limit."""
    user_open_corrections: Annotated[int | None, Field(ge=0)] = 10_000
    """Maximum number of a user's open corrections; `none` for no limit."""
    user_dataset_bytes: Annotated[int | None, Field(ge=0)] = 2**30
    """Bytes of a user's data sets and their uploads together; `none` for no limit."""
    user_webhooks: Annotated[int, Field(ge=0)] = 20
    """Maximum number of a user's webhooks; 0 for none at all."""
    webhook_networks: Annotated[str | None, AfterValidator(_networks)] = None
    """Networks that webhooks reach besides public addresses, joined by commas, such as `10.20.0.0/16`."""
    batch_crops: Annotated[int, Field(ge=1, le=4096)] = 256
    """Maximum number of crops in a chip call."""
    quantum_s: Annotated[float, Field(gt=0, le=10)] = 0.5
    """Longest slice of long work in seconds."""
    turn_s: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Longest turn of the worker's Celery task in seconds."""
    long_work_share: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of chip time that is guaranteed to long work while crops wait."""
    lease_s: Annotated[float, Field(ge=1, le=60)] = 4.0
    """Life of a lease that is not renewed, in seconds. A turn takes less than three quarters of it, so that a paused
    worker listens to the bell no longer when another takes its chip."""
    save_every_s: Annotated[float, Field(gt=0)] = 5.0
    """Interval between saves of a training in seconds."""
    keep_jobs_s: Annotated[float, Field(ge=60)] = 7 * 86_400.0
    """Retention of finished jobs in seconds."""
    keep_results_s: Annotated[float, Field(ge=60)] = 86_400.0
    """Retention of crop results in seconds."""
    keep_answers_s: Annotated[float, Field(ge=60)] = 7 * 86_400.0
    """Retention of crops and answers whose sender keeps them for correction, in seconds."""
    keep_corrections_s: Annotated[float, Field(ge=60)] = 90 * 86_400.0
    """Retention of corrections that are not closed into a data set, in seconds."""
    keep_classes_s: Annotated[float, Field(ge=0)] = 86_400.0
    """Time from the end of a class to the deletion of what its pupils made, in seconds."""
    min_free_disk_bytes: Annotated[int, Field(ge=0)] = 512 * 2**20
    """Free space of the data folder below which new trainings and uploads are refused; 0 for no limit."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged."""
    log_format: LogFormat = "text"
    """Format of log lines: for people, or one JSON object per line for programs."""

    @field_validator("lease_s")
    @classmethod
    def _outlives_a_turn(cls, lease_s: float, info: ValidationInfo) -> float:
        """Require three quarters of the lease, which a renewal leaves at least, to be longer than a turn."""
        turn_s = info.data.get("turn_s", 0.0)
        if turn_s >= 0.75 * lease_s:
            raise ValueError(
                f"turn_s ({turn_s:g}) must be less than three quarters of lease_s; lower turn_s or raise lease_s"
            )
        return lease_s

    @property
    def user_quotas(self) -> Quotas:
        """The quotas of a user for whom no admin set others."""
        return Quotas(
            max_queued_jobs=self.user_max_queued_jobs,
            max_waiting_crops=self.user_max_waiting_crops,
            chip_seconds_per_day=self.user_chip_seconds_per_day,
            requests_per_second=self.user_requests_per_second,
            operations_per_second=self.user_operations_per_second,
            operation_bytes_per_second=self.user_operation_bytes_per_second,
            kept_crops=self.user_kept_crops,
            open_corrections=self.user_open_corrections,
            dataset_bytes=self.user_dataset_bytes,
        )

    @property
    def embeds_redis(self) -> bool:
        """True if `hxserve up` starts a Redis, because no other one is named."""
        return "redis_url" not in self.model_fields_set

    @property
    def models_dir(self) -> Path:
        """The folder of published checkpoints."""
        return self.data_dir / "models"

    @property
    def datasets_dir(self) -> Path:
        """The folder of data sets, and of a downloaded MNIST."""
        return self.data_dir / "datasets"

    @property
    def batches_dir(self) -> Path:
        """Answers of batch jobs."""
        return self.data_dir / "batches"

    @property
    def saves_dir(self) -> Path:
        """The folder of unfinished trainings."""
        return self.data_dir / "saves"

    @property
    def calibrations_dir(self) -> Path:
        """The folder of calibrations made here, by chip and date."""
        return self.data_dir / "calibrations"

    @property
    def token_file(self) -> Path:
        """The file of the admin's token."""
        return self.admin_token_file or self.data_dir / "admin-token"


def load_settings(environment: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
    """Return the settings of this process.

    Unknown `HXSERVE_*` variables are looked for in `environment`; `overrides` come from a command line. What is
    empty, there or here, is not set.

    Raises:
        SettingsError: it names each variable that is unknown or has an impossible value.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | CLIENT_VARIABLES
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError("; ".join(_unknown(name, sorted(known)) for name in unknown))
    try:
        settings = Settings(**{name: value for name, value in overrides.items() if value not in (None, "")})
    except ValidationError as error:
        if any(problem["loc"] == ("redis_url",) for problem in error.errors()):
            raise SettingsError(  # without the given values, which may contain a password
                f"settings ({PREFIX}<NAME> or the flag): redis_url: "
                "expected an address that begins with redis://, rediss:// or unix://"
            ) from None
        raise SettingsError(f"settings ({PREFIX}<NAME> or the flag): {explain(error, Settings)}") from None
    if settings.redis_password_file is None:
        return settings
    password = read_secret(settings.redis_password_file, "password of Redis")
    return settings.model_copy(update={"redis_url": with_password(settings.redis_url, password)})


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"unknown setting {name}: {hint}"
