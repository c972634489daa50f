"""`docker-compose.yml` holds what docs/handbook.md says of it; no engine is needed to see that."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.redis_server import REWRITTEN_AT
from services.passwords import has_password, read_secret
from services.settings import PREFIX, Settings, load_settings
from tests.deploy.conftest import ROOT
from worker.chip.environment import VARIABLES

Services = dict[str, dict[str, Any]]

ONCE: Final = {"users", "maintenance"}
"""Run to their ends: one before the others start, one by hand."""
LONGEST_STEP_S: Final = 10.0
"""A slice and a turn may be set to as much, see services/settings.py."""
_DEFAULT: Final = re.compile(r"\$\{\w+:?-([^}]*)\}")


def _by_default(text: str) -> str:
    """A value as it is when no variable is set."""
    return _DEFAULT.sub(r"\1", text)


def _seconds(text: str) -> float:
    assert text.endswith("s")
    return float(text[:-1])


def _running(services: Services) -> Services:
    return {name: service for name, service in services.items() if name not in ONCE}


def test_every_service_that_stays_says_whether_it_is_well_and_is_started_again(services: Services) -> None:
    for name, service in _running(services).items():
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, name
        assert service["restart"] == "unless-stopped", name


def test_every_service_has_bounds_and_no_more_rights_than_it_needs(services: Services) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name


def test_containers_are_given_longer_to_stop_than_their_last_step_takes(services: Services) -> None:
    for name, service in _running(services).items():
        least = LONGEST_STEP_S if name == "flower" else 2 * LONGEST_STEP_S
        assert _seconds(service["stop_grace_period"]) >= least, name


def test_maintenance_is_by_hand_as_the_administrator_of_redis_beside_the_data(services: Services) -> None:
    maintenance, api = services["maintenance"], services["api"]

    assert maintenance["profiles"] == ["maintenance"]
    assert maintenance["command"][:3] == ["python", "-m", "deploy.backup"]
    assert maintenance["command"][3].startswith("/data/")
    assert maintenance["environment"]["HXSERVE_REDIS_URL"] == "redis://hxserve-admin@redis:6379/0"
    assert maintenance["volumes"] == api["volumes"]
    assert (
        maintenance["environment"]["HXSERVE_ADMIN_TOKEN_FILE"]
        == api["environment"]["HXSERVE_ADMIN_TOKEN_FILE"]
    )


def test_redis_is_reached_by_nobody_outside(compose: dict[str, Any], services: Services) -> None:
    assert "ports" not in services["redis"]
    assert services["redis"]["networks"] == ["store"]
    assert compose["networks"]["store"] == {"internal": True}
    assert {name for name, service in services.items() if "ports" in service} == {
        *("proxy", "grpc", "flower", "prometheus", "grafana", "jaeger"),
    }


def test_what_is_published_is_for_this_machine_alone_unless_said_otherwise(services: Services) -> None:
    for service in services.values():
        for port in service.get("ports", []):
            assert _by_default(port).startswith("127.0.0.1:")


def test_no_secret_stands_in_an_environment_a_command_or_an_argument(services: Services) -> None:
    secret = re.compile(r"(?i)password|token|secret")
    for name, service in services.items():
        environment = service.get("environment", {})
        for variable, value in environment.items():
            assert not secret.search(variable) or re.search(r"FILE$", variable), (name, variable)
            assert "://" not in str(value) or not has_password(str(value)), (name, variable)
        assert not any(
            secret.search(word) and "/run/secrets/" not in word for word in service.get("command", [])
        )
        assert not any(secret.search(word) for word in service.get("build", {}).get("args", {}))


def test_every_secret_that_is_named_is_a_file_and_is_mounted_where_it_is_read(
    compose: dict[str, Any], services: Services
) -> None:
    for name, service in services.items():
        told = " ".join(
            [*map(str, service.get("environment", {}).values()), *map(str, service.get("command", []))]
        )
        for secret in re.findall(r"/run/secrets/(\w+)", told):
            assert secret in service["secrets"], name
    used = {secret for service in services.values() for secret in service.get("secrets", [])}
    assert used == set(compose["secrets"])
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())


def test_every_setting_is_one_that_the_service_knows(
    services: Services, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a-secret-of-enough-characters")
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for service in services.values():
        with monkeypatch.context() as context:
            for variable, value in service.get("environment", {}).items():
                if variable.startswith(PREFIX):
                    given = str(secret) if variable.endswith("PASSWORD_FILE") else _by_default(str(value))
                    context.setenv(variable, given)
            load_settings()


def test_api_and_worker_reach_the_collector_and_export_nothing_unless_told(services: Services) -> None:
    for name in ("api", "grpc", "worker", "worker-2"):
        variables = services[name]["environment"]
        assert _by_default(variables["OTEL_EXPORTER_OTLP_ENDPOINT"]) == "", name
        assert set(services[name]["networks"]) & set(services["jaeger"]["networks"]), name


def test_the_chip_is_an_emulation_unless_said_otherwise(services: Services) -> None:
    for name in ("worker", "worker-2"):
        chip = services[name]["environment"]["HXSERVE_CHIP"]
        assert _by_default(chip) == Settings.model_fields["chip"].default == "mock"
    assert (
        services["worker"]["environment"]["HXSERVE_CHIP_ID"]
        != services["worker-2"]["environment"]["HXSERVE_CHIP_ID"]
    )


def test_every_image_has_a_tag_and_those_of_others_a_version(services: Services) -> None:
    for name, service in services.items():
        image, _, tag = _by_default(service["image"]).rpartition(":")
        assert image, name
        assert ("build" in service) == (image.startswith("hxserve-")), name
        assert "build" in service or re.match(r"v?\d+\.\d+", tag), name


def test_images_are_built_from_files_that_are_here_and_have_the_stage(services: Services) -> None:
    for service in services.values():
        if "build" in service:
            dockerfile = (ROOT / service["build"]["dockerfile"]).read_text("utf-8")
            assert re.search(rf"^FROM .+ AS {service['build']['target']}$", dockerfile, re.MULTILINE)
            assert all(f"ARG {argument}" in dockerfile for argument in service["build"]["args"])


def test_images_install_the_versions_that_are_tested_and_run_as_nobody_in_particular() -> None:
    for name in ("api", "worker"):
        lines = (ROOT / f"deploy/{name}.Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
        installs = [line for line in lines if "pip install" in line]
        assert installs
        assert all("--constraint constraints.txt" in line or "--no-deps" in line for line in installs)
        assert "USER hxserve" in lines


def test_the_worker_of_a_real_chip_leaves_its_software_as_it_is_and_says_hxtorch() -> None:
    dockerfile = (ROOT / "deploy/chip.Dockerfile").read_text("utf-8")
    override = yaml.safe_load((ROOT / "deploy/compose.chip.yml").read_text("utf-8"))["services"]["worker"]

    assert "packages.py" in dockerfile
    assert "pip install" not in dockerfile
    assert "\nUSER 10001:10001\n" in dockerfile
    assert override["environment"]["HXSERVE_CHIP"] == "hxtorch"
    assert set(VARIABLES) <= set(override["environment"])


def test_only_a_file_of_its_own_lets_the_api_out_for_webhooks(services: Services) -> None:
    override = yaml.safe_load((ROOT / "deploy/compose.webhooks.yml").read_text("utf-8"))["services"]["api"]

    assert set(override["networks"]) - set(services["api"]["networks"]) == {"outside"}
    assert list(override["environment"]) == ["HXSERVE_WEBHOOK_NETWORKS"]


def test_the_image_of_the_api_asks_for_no_torch() -> None:
    dockerfile = (ROOT / "deploy/api.Dockerfile").read_text("utf-8")

    assert "[api,grpc," in dockerfile
    assert not re.search(r"\[[^]]*worker", dockerfile)


def test_files_that_are_mounted_are_here(services: Services) -> None:
    for service in services.values():
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).exists()


def test_redis_answers_when_the_disk_has_confirmed(services: Services) -> None:
    command = services["redis"]["command"]
    given = dict(zip(command[1::2], command[2::2], strict=True))

    assert (given["--appendonly"], given["--appendfsync"], given["--save"]) == ("yes", "always", "")
    assert dict(zip(REWRITTEN_AT[::2], REWRITTEN_AT[1::2], strict=True)).items() <= given.items()
    assert given["--maxmemory-policy"] == "noeviction"


def test_secrets_are_made_once_in_a_folder_of_its_owner_and_are_long_enough(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    command = ["sh", str(ROOT / "deploy/make_secrets.sh"), str(folder)]

    subprocess.run(command, check=True, capture_output=True)
    made = {path.name: read_secret(path, "secret") for path in folder.iterdir()}
    subprocess.run(command, check=True, capture_output=True)

    assert set(compose["secrets"]) - set(made) == {"metrics_token"}  # a user's, made when the service runs
    assert len(set(made.values())) == len(made)
    assert {path.name: read_secret(path, "secret") for path in folder.iterdir()} == made
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_no_secret_reaches_the_engine_with_the_source() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()

    assert "*" in lines
    assert {line for line in lines if line.startswith("!")} == {
        *("!api", "!deploy", "!emulator", "!pictures", "!services", "!worker"),
        *("!README.md", "!constraints.txt", "!pyproject.toml"),
    }


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed here")
def test_docker_compose_accepts_the_file() -> None:
    command = ["docker-compose", "--profile", "monitoring", "--profile", "flower", "--profile", "second-chip"]
    command += ["--profile", "maintenance", "--profile", "tracing", "--profile", "grpc"]

    done = subprocess.run(
        [*command, "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
