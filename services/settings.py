"""The settings of every process, from `HXSERVE_*` variables; a misspelt one refuses to start."""

import difflib
import os
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.errors import SettingsError
from services.jobs.params import explain
from services.logs import LogFormat
from services.names import Name
from services.passwords import read_secret, with_password
from services.users.quotas import Quotas

PREFIX: Final = "HXSERVE_"
CLIENT_VARIABLES: Final = frozenset({"HXSERVE_URL", "HXSERVE_TOKEN"})
"""Read by the client alone; known here so that a shell that has them can start a server too."""

Backend = Literal["hxtorch", "emulator", "mock"]
"""What may compute; stands on every result."""
CHIPLESS: Final = frozenset({"mock"})
"""Backends that are arithmetic alone: there is no chip to learn in the loop of."""
ChipChoice = Literal["auto", Backend]
CHIP_CHOICES: Final[tuple[str, ...]] = get_args(ChipChoice)
RedisSync = Literal["second", "always"]


def _in_utc(value: time | None) -> time | None:
    """A time of day without a zone, which is UTC."""
    if value is None or value.tzinfo is None:
        return value
    if value.utcoffset():
        raise ValueError("give the time of day in UTC")
    return value.replace(tzinfo=None)


class Settings(BaseSettings):
    """What an operator may set; each field is the variable `HXSERVE_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, allow_inf_nan=False, env_parse_none_str="none"
    )

    data_dir: Annotated[Path, Field(description="Folder of models, saves and, when embedded, Redis.")] = Path(
        "data"
    )
    redis_url: Annotated[
        str,
        Field(
            pattern=r"^(redis|rediss|unix)://",
            repr=False,
            description="The record store; redis://, rediss:// or unix://, with the name of a user if it has users.",
        ),
    ] = "redis://127.0.0.1:6379/0"
    redis_password_file: Annotated[
        Path | None,
        Field(description="File that holds the password of that user, instead of in the address."),
    ] = None
    redis_sync: Annotated[
        RedisSync,
        Field(
            description="When the file of the Redis that `hxserve up` starts is forced to the disk: every `second`, "
            "or `always` before an answer. A killed process costs nothing either way, a power cut up to a second."
        ),
    ] = "second"
    admin_token_file: Annotated[
        Path | None,
        Field(description="File that holds the admin's token; `admin-token` in the data folder if unset."),
    ] = None
    host: Annotated[str, Field(description="Address the API listens on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535, description="Port of the API.")] = 8080
    max_connections: Annotated[
        int,
        Field(ge=10, description="Connections of clients at a time; the open files allowed bound them too."),
    ] = 12_000
    client_timeout_s: Annotated[
        float,
        Field(
            gt=0, le=600, description="Longest silence of a client, and longest time for a request's head."
        ),
    ] = 10.0
    chip: Annotated[ChipChoice, Field(description="What executes: a real chip, or an emulation of it.")] = (
        "mock"
    )
    chip_id: Annotated[Name, Field(description="The chip's name in the service; one worker each.")] = "chip-1"
    calibration: Annotated[
        Path | None,
        Field(description="Calibration to load: a file, or a folder laid out by chips and dates."),
    ] = None
    virtual_chip: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$",
            description="Which virtual chip the emulator is; the same id is always the same chip.",
        ),
    ] = "hxvirtual0fpga0chip0_1"
    virtual_chip_parameters: Annotated[
        Path | None,
        Field(
            description="JSON file of the virtual chip's parameters (docs/chip.md) that are not the default."
        ),
    ] = None
    virtual_chip_temperature_c: Annotated[
        float | None, Field(ge=-40, le=125, description="How warm the virtual chip is; `none` for as usual.")
    ] = None
    emulator_realtime: Annotated[
        bool, Field(description="Let the virtual chip take the time a real one takes.")
    ] = False
    canary_limit: Annotated[
        float,
        Field(ge=1, description="A chip has drifted when its canary's score is so many times its reference."),
    ] = 1.3
    canary_every_s: Annotated[float, Field(gt=0, description="Time between two canaries.")] = 300.0
    calibrate_at: Annotated[
        time | None,
        AfterValidator(_in_utc),
        Field(description="Time of day, UTC, of the nightly calibration; `none` for never."),
    ] = time(3, 0)
    recalibrate_on_drift: Annotated[
        bool, Field(description="Calibrate a chip whose canary is beyond its limit.")
    ] = True
    shadow_share: Annotated[
        float, Field(ge=0, le=1, description="Share of batches that the chip's mock twin reads too.")
    ] = 0.0
    mnist: Annotated[Path | None, Field(description="Folder that holds MNIST in torchvision's layout.")] = (
        None
    )
    threads: Annotated[int, Field(ge=0, description="Threads of torch; 0: one less than cores.")] = 0
    max_body_bytes: Annotated[int, Field(ge=1024, description="Largest request body.")] = 32 * 2**20
    max_crops_per_request: Annotated[int, Field(ge=1, description="Most crops in one request.")] = 20_000
    max_waiting_crops: Annotated[int, Field(ge=1, description="Crops that may wait for the chip.")] = 100_000
    max_queued_jobs: Annotated[int, Field(ge=1, description="Unfinished long jobs.")] = 1_000
    user_max_queued_jobs: Annotated[
        int | None, Field(ge=0, description="Unfinished long jobs of one user; `none` for no limit.")
    ] = 20
    user_max_waiting_crops: Annotated[
        int | None, Field(ge=0, description="Crops of one user that may wait; `none` for no limit.")
    ] = 20_000
    user_chip_seconds_per_day: Annotated[
        float | None, Field(ge=0, description="Chip time of one user in a day (UTC); `none` for no limit.")
    ] = 14_400.0
    user_requests_per_second: Annotated[
        float | None,
        Field(gt=0, description="Requests of one user to one API process; `none` for no limit."),
    ] = 1_000.0
    batch_crops: Annotated[int, Field(ge=1, le=4096, description="Most crops in one chip call.")] = 256
    quantum_s: Annotated[float, Field(gt=0, le=10, description="Longest slice of long work.")] = 0.5
    turn_s: Annotated[float, Field(gt=0, le=10, description="Longest turn of the worker's task.")] = 1.0
    long_work_share: Annotated[
        float, Field(ge=0, lt=1, description="Share of chip time that crops cannot take from long work.")
    ] = 0.2
    lease_s: Annotated[float, Field(ge=1, le=60, description="Life of a lease that is not renewed.")] = 4.0
    save_every_s: Annotated[float, Field(gt=0, description="Time between saves of a training.")] = 5.0
    keep_jobs_s: Annotated[float, Field(ge=60, description="How long finished jobs are kept.")] = 7 * 86_400.0
    keep_results_s: Annotated[float, Field(ge=60, description="How long results of crops are kept.")] = (
        86_400.0
    )
    min_free_disk_bytes: Annotated[
        int,
        Field(ge=0, description="Free room of the data folder below which no training is taken in; 0: none."),
    ] = 512 * 2**20
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="The least that is logged.")
    ] = "info"
    log_format: Annotated[
        LogFormat, Field(description="Lines for people, or one JSON object a line for programs.")
    ] = "text"

    @property
    def user_quotas(self) -> Quotas:
        """What a user may take unless an admin set otherwise."""
        return Quotas(
            max_queued_jobs=self.user_max_queued_jobs,
            max_waiting_crops=self.user_max_waiting_crops,
            chip_seconds_per_day=self.user_chip_seconds_per_day,
            requests_per_second=self.user_requests_per_second,
        )

    @property
    def models_dir(self) -> Path:
        """Where checkpoints are published."""
        return self.data_dir / "models"

    @property
    def saves_dir(self) -> Path:
        """Where unfinished trainings are saved."""
        return self.data_dir / "saves"

    @property
    def calibrations_dir(self) -> Path:
        """Where calibrations made here are kept, by chip and date."""
        return self.data_dir / "calibrations"

    @property
    def token_file(self) -> Path:
        """Where the admin's token is."""
        return self.admin_token_file or self.data_dir / "admin-token"


def load_settings(environment: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
    """The settings of this process.

    Args:
        environment: where unknown `HXSERVE_*` variables are looked for.
        overrides: values that a command line gave.

    Raises:
        SettingsError: naming every variable that is unknown or has an impossible value.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | CLIENT_VARIABLES
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError("; ".join(_unknown(name, sorted(known)) for name in unknown))
    try:
        settings = Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        if any(problem["loc"] == ("redis_url",) for problem in error.errors()):
            raise SettingsError(  # without what was given, which may hold a password
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
