"""The command `hxserve` as its user meets it: output, errors, exit codes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from hxserve.cli import cli
from tests.client.records import (
    JOB_ID,
    WEIGHTS,
    a_chip,
    job_record,
    manifest,
    predictions_document,
    trained,
)
from tests.client.service import TOKEN, Reply, Service, job_reply, problem

Run = Callable[..., Result]


@pytest.fixture
def run(service: Service) -> Run:
    """Runs the command against the service."""

    def run(*arguments: str, **options: Any) -> Result:
        environment = {"HXSERVE_URL": service.url, "HXSERVE_TOKEN": TOKEN}
        return CliRunner(env=environment).invoke(cli, arguments, **options)

    return run


def test_a_training_shows_its_epochs_and_the_version_it_made(service: Service, run: Run) -> None:
    service.jobs = deque([job_record("queued"), job_record("running", 2), trained()])

    result = run("train", "--epochs", "2", "--hidden", "128,64", "--shift", "2")

    assert result.exit_code == 0
    assert service.requests[0].json["params"] == {"epochs": 2, "network": {"hidden": [128, 64], "shift": 2}}
    assert "Version 1 of digits: accuracy 98.00% on mnist" in result.stdout
    assert "test accuracy" in result.stdout
    assert "`hxserve classify PICTURE`" in result.stdout
    assert "`hxserve evaluate`" in result.stdout
    assert "queued, 2 of 3, done in 20 s to 40 s" in result.stderr


def test_a_training_takes_its_layers_from_a_file(service: Service, run: Run, tmp_path: Path) -> None:
    layers = [{"type": "flatten"}, {"type": "linear", "out_features": 10}]
    service.jobs = deque([job_record("queued"), trained()])
    (tmp_path / "layers.json").write_text(json.dumps(layers))

    result = run("train", "--recipe", "conv", "--network", str(tmp_path / "layers.json"))

    assert result.exit_code == 0, result.stderr
    assert service.requests[0].json["params"] == {"recipe": "conv", "network": layers}


@pytest.mark.parametrize(
    ("content", "more", "said"),
    [
        ("{", [], "is not JSON"),
        ("[]", ["--hidden", "8"], "give either --network or --hidden, --shift and --num-sends"),
    ],
)
def test_layers_that_cannot_be_read_are_refused(
    service: Service, run: Run, tmp_path: Path, content: str, more: list[str], said: str
) -> None:
    (tmp_path / "layers.json").write_text(content)

    result = run("train", "--network", str(tmp_path / "layers.json"), *more)

    assert result.exit_code == 2
    assert said in result.stderr
    assert not service.requests


def test_the_layers_of_a_version_are_shown_in_order(service: Service, run: Run) -> None:
    layers = [
        {"type": "conv2d", "out_channels": 8, "kernel_size": [5, 3], "stride": 2, "padding": 0, "bias": True},
        {"type": "converting_relu", "shift": 1},
        {"type": "flatten"},
        {
            "type": "linear",
            "out_features": 10,
            "num_sends": 4,
            "avg": 1,
            "wait_between_events": 5,
            "bias": False,
        },
    ]
    service.answers["GET", "/v1/models/digits/versions/1"] = Reply(
        document=manifest() | {"network": {"layers": layers, "input": [1, 28, 28]}}
    )

    result = run("models", "show", "digits", "1")

    assert (
        "conv2d (out_channels 8, kernel_size [5, 3], stride 2) → converting_relu (shift 1) → flatten → "
        "linear (out_features 10, num_sends 4, bias False)"
    ) in " ".join(result.stdout.split())


def test_a_training_that_is_not_waited_for_says_how_to_watch_it(service: Service, run: Run) -> None:
    service.jobs[0] = job_record("queued")

    result = run("train", "--no-wait")

    assert result.exit_code == 0
    assert f"hxserve jobs watch {JOB_ID}" in result.stdout
    assert len(service.asked("POST", "/v1/jobs")) == 1
    assert not service.asked("GET", f"/v1/jobs/{JOB_ID}")


def test_a_part_that_was_never_tested_shows_no_measurements(service: Service, run: Run) -> None:
    part = {"version": "2", "partial": True, "accuracy": None, "confusion": [[0] * 10] * 10}
    service.jobs[0] = job_record("cancelled", result=part)

    result = run("jobs", "show", JOB_ID)

    assert "Partial version 2 of digits: accuracy not measured" in result.stdout
    assert "`hxserve classify --version 2 PICTURE`" in result.stdout
    assert "`hxserve train --model digits --start-from 2`" in result.stdout
    assert "true" not in result.stdout


def test_a_failed_training_exits_with_1_and_its_reason(service: Service, run: Run) -> None:
    service.jobs[0] = job_record("failed", error={"code": "chip_failed", "message": "no link"})

    result = run("train")

    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"hxserve: chip_failed: job {JOB_ID} failed: no link"


def test_an_evaluation_shows_the_confusion_matrix(service: Service, run: Run) -> None:
    outcome = {"accuracy": 0.9712, "loss": 0.1, "crops": 10000, "execution": "mock", "dataset": "mnist"}
    confusion = [[7 * row + column for column in range(10)] for row in range(10)]
    result_of_job = {**outcome, "version": "latest", "confusion": confusion}
    service.jobs[0] = job_record("succeeded", kind="evaluation", result=result_of_job)

    result = run("evaluate", "--version", "latest", "--execution", "mock")

    assert result.exit_code == 0
    assert "accuracy 97.12%, loss 0.1000 on 10000 crops of mnist (mock)" in result.stdout
    assert "true \\ read" in result.stdout


def test_an_accuracy_is_shown_with_where_it_was_measured(service: Service, run: Run) -> None:
    outcome = {"accuracy": 0.98, "crops": 360, "dataset": "digits", "version": "1"}
    place = {"execution": "chip", "chip": "chip-2", "backend": "emulator"}
    said = []
    for kind in ("training", "evaluation"):
        service.jobs[0] = job_record("succeeded", kind=kind, result=outcome | place)
        said.append(run("jobs", "show", JOB_ID).stdout)

    assert "accuracy 98.00% on digits (on chip-2, emulator)" in said[0]
    assert "on 360 crops of digits (on chip-2, emulator)" in said[1]


def test_an_evaluation_leaves_to_the_service_where_it_measures(service: Service, run: Run) -> None:
    run("evaluate", "--no-wait")

    assert "execution" not in service.requests[0].json["params"]


def test_a_training_in_the_loop_is_told_its_epochs_and_learning_rate(service: Service, run: Run) -> None:
    run("train", "--chip-epochs", "3", "--chip-learning-rate", "0.002", "--start-from", "production")

    assert service.requests[0].json["params"] == {
        "chip_epochs": 3,
        "chip_learning_rate": 0.002,
        "start_from": "production",
    }


def test_crops_are_read_as_often_as_asked(service: Service, run: Run) -> None:
    np.save("one.npy", np.zeros((28, 28), np.uint8))

    classified = run("classify", "one.npy", "--repeats", "8")
    run("evaluate", "--no-wait", "--repeats", "7")

    assert classified.exit_code == 0
    assert service.requests[0].query["repeats"] == "8"
    assert service.requests[1].json["params"]["repeats"] == 7


@pytest.mark.parametrize(
    "command",
    [
        ["train"],
        ["evaluate"],
        ["jobs"],
        ["jobs", "list"],
        ["jobs", "show", JOB_ID],
        ["jobs", "watch", JOB_ID],
        ["jobs", "cancel", JOB_ID],
        ["models"],
        ["models", "list"],
        ["models", "show", "digits"],
        ["models", "show", "digits", "1"],
        ["models", "alias", "digits", "production", "1"],
        ["models", "delete", "digits", "1", "--yes"],
        ["models", "download", "digits"],
        ["chip"],
        ["queue"],
        ["usage"],
        ["me"],
        ["users"],
        ["users", "list"],
        ["users", "add", "ada"],
        ["users", "set", "ada", "--role", "admin"],
        ["users", "disable", "ada"],
        ["users", "enable", "ada"],
        ["users", "token", "ada"],
        ["users", "revoke", "ada"],
        ["models", "upload", "brought.safetensors", "--name", "brought", "--no-wait"],
        ["corrections"],
        ["corrections", "list"],
        ["corrections", "add", "answer-1", "7", "--index", "2"],
        ["corrections", "delete", "answer-1-2"],
        ["corrections", "close", "mine"],
        ["corrections", "accuracy"],
        ["datasets"],
        ["datasets", "list"],
        ["datasets", "show", "mine"],
        ["datasets", "show", "mine@1", "--sheet", "sheet.png"],
        ["datasets", "share", "mine"],
        ["datasets", "unshare", "mine"],
        ["datasets", "delete", "mine", "--yes"],
        ["datasets", "delete", "mine@1", "--yes"],
        ["classify", "crops.npy", "--keep"],
        ["models", "share", "letters"],
        ["models", "unshare", "letters"],
        ["classify", "crops.npy"],
    ],
    ids=" ".join,
)
def test_every_command_gives_one_json_document_or_a_table(run: Run, command: list[str]) -> None:
    np.save("crops.npy", np.zeros((3, 28, 28), np.uint8))
    Path("brought.safetensors").write_bytes(WEIGHTS)

    before, after, table = run("--json", *command), run(*command, "--json"), run(*command)

    assert [before.exit_code, after.exit_code, table.exit_code] == [0, 0, 0]
    assert json.loads(before.stdout) == json.loads(after.stdout)
    assert table.stdout.strip()
    assert "\x1b[" not in table.stdout


@pytest.mark.parametrize(
    ("position", "said"),
    [(None, "in turns.\n"), (0, "Yours is next."), (2, "2 of others go before yours.")],
)
def test_the_queue_says_that_operations_wait_and_whose_turn_is_next(
    service: Service, run: Run, position: int | None, said: str
) -> None:
    queue = service.answers["GET", "/v1/queue"].document
    operations = {"sessions": 2, "waiting": 3, "position": position}
    service.answers["GET", "/v1/queue"] = Reply(document={**queue, "operations": operations})

    shown = run("queue").stdout

    assert re.search(r"operations +3\b", shown)
    assert "Programs open: 2." in shown
    assert said in shown


def test_jobs_say_of_a_program_whether_it_is_next(service: Service, run: Run) -> None:
    program = job_record(kind="program", model="", result={"operations": 7, "waiting": 1, "position": 0})
    later = program | {"result": {"operations": 7, "waiting": 1, "position": 4}}
    service.answers["GET", "/v1/jobs"] = Reply(document={"jobs": [program, later], "next_cursor": None})

    shown = run("jobs").stdout

    assert "1 waiting: yours is next" in shown
    assert "1 waiting: 4 of others go before yours" in shown


@pytest.mark.parametrize("command", [["train"], ["queue"], ["chip"]], ids=" ".join)
def test_maintenance_is_announced_where_people_look(service: Service, run: Run, command: list[str]) -> None:
    service.answers["GET", "/v1/chip"] = Reply(document={"chips": [a_chip(maintained=True)]})

    result = run(*command)

    assert result.exit_code == 0
    assert "chip chip-1 is in maintenance since" in result.stderr
    assert "new long work waits: new cables" in result.stderr


def test_a_calibrated_chip_fits_80_columns(service: Service, run: Run) -> None:
    calibration = {
        "path": "/srv/calibrations/" + "x" * 60,
        "made_at": time.time() - 300,
        "sha256": "40bc" * 16,
    }
    self_test = {"high_lsb": 52.0, "low_lsb": -54.0, "noise_lsb": 1.789}
    measured = {"gain": 0.0019729800987, "noise_std": 1.9085580110549927, "backend": "emulator"}
    record = a_chip() | measured | {"calibration": calibration, "self_test": self_test}
    service.answers["GET", "/v1/chip"] = Reply(document={"chips": [record]})

    *table, _, details = run("chip").stdout.splitlines()

    assert max(map(len, table)) <= 80
    assert "+52, -54 LSB" in table[-1]
    assert "5 min ago" in table[-1]
    assert details.startswith("chip-1: gain 0.00197, noise 1.91 LSB, calibration /srv/calibrations/xxx")


def test_a_chip_is_drained_with_a_message_and_resumed(service: Service, run: Run) -> None:
    service.answers["POST", "/v1/chip/drain"] = Reply(document={"chips": [a_chip(maintained=True)]})
    service.answers["POST", "/v1/chip/resume"] = Reply(document={"chips": [a_chip()]})

    drained = run("chip", "drain", "--message", "new cables", "--finish")
    resumed = run("chip", "resume", "--chip", "chip-1")

    assert (drained.exit_code, resumed.exit_code) == (0, 0)
    assert [request.json for request in service.requests] == [
        {"chip": None, "message": "new cables", "running": "finish"},
        {"chip": "chip-1"},
    ]
    assert "new cables" in drained.stderr
    assert resumed.stdout == "chip chip-1 takes long work again\n"


def test_json_of_a_failed_job_is_still_its_record(service: Service, run: Run) -> None:
    service.jobs[0] = job_record("cancelled")

    result = run("jobs", "watch", JOB_ID, "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["state"] == "cancelled"
    assert "job_cancelled" in result.stderr


def test_few_images_are_listed_with_their_runner_up(run: Run) -> None:
    for name in ("seven.png", "nine.png"):
        Path(name).write_bytes(b"\x89PNG\r\n\x1a\n")

    result = run("classify", "seven.png", "nine.png", "--version", "1")

    assert result.exit_code == 0
    assert "seven.png" in result.stdout
    assert "runner-up" in result.stdout
    assert "2 digits read by digits version 1 on chip-1 (mock) in 4 ms" in result.stdout


def test_many_crops_are_summed_up(run: Run) -> None:
    np.save("many.npy", np.zeros((1205, 784), np.uint8))

    result = run("classify", "many.npy")

    assert "many.npy: 1,205 digits" in result.stdout
    assert "Least sure: [0] 0 or 9" in result.stdout
    assert len(result.stdout.splitlines()) < 20


def test_an_image_that_cannot_be_read_is_named(service: Service, run: Run) -> None:
    result = run("classify", "missing.png")

    assert result.exit_code == 1
    assert result.stderr.startswith("hxserve: invalid_images: missing.png: No such file")
    assert not service.requests


def test_a_classification_given_up_on_says_where_it_goes_on(service: Service, run: Run) -> None:
    queued = job_record("queued", kind="classification")
    service.answers["POST", "/v1/models/digits/classify"] = job_reply(queued, 202)
    service.jobs[0] = queued
    np.save("one.npy", np.zeros((28, 28), np.uint8))

    result = run("classify", "one.npy", "--wait", "0")

    assert result.exit_code == 1
    assert f"still_running: job {JOB_ID} is still queued" in result.stderr


def test_the_record_of_a_classification_shows_its_predictions(service: Service, run: Run) -> None:
    service.jobs[0] = job_record("succeeded", kind="classification", result=predictions_document(3))

    result = run("jobs", "show", JOB_ID)

    assert "3 digits read by digits version 1" in result.stdout


def test_an_empty_list_says_so(service: Service, run: Run) -> None:
    service.answers["GET", "/v1/jobs"] = Reply(document={"jobs": [], "next_cursor": None})
    service.answers["GET", "/v1/models"] = Reply(document={"models": []})

    assert run("jobs").stdout == "There are no jobs.\n"
    assert "hxserve train" in run("models").stdout


def test_a_damaged_version_is_shown_beside_the_others_with_what_to_do(service: Service, run: Run) -> None:
    problem = {"code": "checkpoint_damaged", "message": "the manifest is damaged; train again"}
    versions = [{"version": "1", "problem": problem}, manifest("2")]
    service.answers["GET", "/v1/models/digits"] = Reply(
        document={"name": "digits", "aliases": {"old": "1"}, "versions": versions}
    )

    shown = run("models", "show", "digits").stdout

    assert "1 (damaged)" in shown
    assert "98.0" in shown
    assert "Version 1: the manifest is damaged; train again." in shown


def test_an_uploaded_version_is_shown_with_its_origin(service: Service, run: Run) -> None:
    uploaded = manifest("2") | {"source": "upload", "user": "ada", "metrics": {}, "recipe": {}, "dataset": {}}
    document = {"name": "digits", "aliases": {"latest": "2"}, "versions": [manifest(), uploaded]}
    service.answers["GET", "/v1/models/digits"] = Reply(document=document)
    service.answers["GET", "/v1/models/digits/versions/2"] = Reply(document=uploaded)

    versions, facts = run("models", "show", "digits").stdout, run("models", "show", "digits", "2").stdout

    assert "uploaded by ada" in versions
    assert "uploaded by ada, checked by chip-1" in facts
    assert "unknown; measure it with `hxserve evaluate`" in facts
    assert "recipe" not in facts


def test_an_upload_ends_with_its_version_and_the_next_steps(service: Service, run: Run) -> None:
    Path("brought.safetensors").write_bytes(WEIGHTS)
    service.jobs.clear()
    result = {"model": "brought", "version": "4", "checked_crops": 16}
    service.jobs.append(job_record("succeeded", 2, kind="upload", model="brought", result=result))

    done = run("models", "upload", "brought.safetensors", "--name", "brought")

    [request] = service.asked("POST", "/v1/models/brought/versions")
    assert request.body == WEIGHTS
    assert (
        "Version 4 of brought: the service finds the scores of the file's 16 check crops, too." in done.stdout
    )
    assert "hxserve evaluate --model brought" in done.stdout


def test_a_file_that_is_missing_is_refused_before_anything_is_sent(service: Service, run: Run) -> None:
    result = run("models", "upload", "nothing.safetensors", "--name", "brought")

    assert (result.exit_code, service.requests) == (2, [])


def test_a_program_is_listed_and_shown_by_its_name(service: Service, run: Run) -> None:
    job = job_record(
        "succeeded",
        kind="program",
        model="",
        params={"program": "sweep.py", "chip": "chip-1"},
        result={"operations": 7},
    )
    service.answers["GET", "/v1/jobs"] = Reply(document={"jobs": [job], "next_cursor": None})
    service.jobs[0] = job

    assert "sweep.py" in run("jobs").stdout
    assert "7 operations on chip-1, 500 ms of chip time." in run("jobs", "show", JOB_ID).stdout


@pytest.mark.parametrize("command", [["jobs"], ["jobs", "list"]], ids=" ".join)
@pytest.mark.parametrize("kind", ["training", "evaluation", "classification", "calibration"])
def test_only_the_jobs_asked_for_are_listed(
    service: Service, run: Run, command: list[str], kind: str
) -> None:
    run(*command, "--state", "queued", "--kind", kind, "--user", "ada", "--limit", "5")

    assert service.requests[0].query == {
        "state": "queued",
        "kind": kind,
        "user": "ada",
        "limit": "5",
    }


def test_the_beginning_of_an_id_is_enough(service: Service, run: Run) -> None:
    shown = run("jobs", "show", JOB_ID[:6])

    assert shown.exit_code == 0, shown.stderr
    assert len(service.asked("GET", f"/v1/jobs/{JOB_ID}")) == 1


def test_a_beginning_of_several_ids_is_refused_with_them(service: Service, run: Run) -> None:
    others = [job_record("queued") | {"id": JOB_ID[:8] + letter * 15} for letter in "ab"]
    service.answers["GET", "/v1/jobs"] = Reply(document={"jobs": others, "next_cursor": None})

    refused = run("jobs", "cancel", JOB_ID[:8])

    assert refused.exit_code == 2
    assert all(other["id"] in refused.stderr for other in others)
    assert not service.asked("POST", f"/v1/jobs/{JOB_ID}/cancel")


def test_words_of_others_are_shown_as_they_are_but_harmless(service: Service, run: Run) -> None:
    nasty = job_record("failed", error={"code": "x", "message": "[red]no\x1b[31m\nlink"})
    service.answers["GET", "/v1/jobs"] = Reply(document={"jobs": [nasty], "next_cursor": None})

    result = run("jobs")

    assert "[red]no [31m link" in result.stdout


def test_weights_are_written_where_they_are_wanted(run: Run) -> None:
    result = run("models", "download", "digits", "-o", "w.safetensors")

    assert Path("w.safetensors").read_bytes() == WEIGHTS
    assert "w.safetensors: 24 bytes, checked." in result.stdout


def test_a_folder_that_is_missing_is_an_error_without_a_traceback(run: Run) -> None:
    result = run("models", "download", "digits", "-o", "nowhere/w.safetensors")

    assert result.exit_code == 1
    assert result.stderr.startswith("hxserve: file_error: ")
    assert "No such file" in result.stderr


def test_deleting_needs_a_yes(service: Service, run: Run) -> None:
    result = run("models", "delete", "digits", "1")

    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert not service.requests


@pytest.mark.parametrize(
    "arguments",
    [
        ["classify"],
        ["train", "--recipe", "magic"],
        ["train", "--hidden", "big"],
        ["train", "--epochs", "0"],
        ["train", "--chip-epochs", "0"],
        ["evaluate", "--repeats", "0"],
        ["classify", "one.npy", "--repeats", "0"],
        ["jobs", "cancel"],
        ["jobs", "list", "--limit", "0"],
        ["jobs", "--state", "queued", "show", JOB_ID],
        ["models", "alias", "digits", "production"],
        ["fly"],
        ["chip", "--fast"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_exits_with_2(service: Service, run: Run, arguments: list[str]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert not service.requests


def test_a_refusal_is_one_line_with_code_and_advice(service: Service, run: Run) -> None:
    service.faults.append(problem(404, "model_not_found", "there is no model\n`x`"))

    result = run("models", "show", "x")

    assert result.exit_code == 1
    assert result.stderr == "hxserve: model_not_found: there is no model `x`; see `hxserve models`\n"


@pytest.mark.parametrize(("model", "command"), [("digits", "train`"), ("x", "train --model x`")])
def test_a_missing_model_is_answered_with_the_command_that_makes_it(
    service: Service, run: Run, model: str, command: str
) -> None:
    service.faults.append(problem(404, "model_not_found", f"there is no model '{model}'; there are: a"))

    np.save("one.npy", np.zeros((28, 28), np.uint8))
    result = run("classify", "--model", model, "one.npy")

    assert f"`hxserve {command} makes it" in result.stderr


def test_a_wrong_token_exits_with_1_and_says_where_to_put_the_right_one(run: Run) -> None:
    result = run("--token", "wrong", "jobs")

    assert result.exit_code == 1
    assert "HXSERVE_TOKEN" in result.stderr


def test_options_after_the_command_win_over_those_before(run: Run) -> None:
    assert run("--token", "wrong", "jobs", "--token", TOKEN).exit_code == 0


def test_without_a_service_the_command_exits_with_3() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

    result = CliRunner().invoke(cli, ["queue", "--url", url])

    assert result.exit_code == 3
    assert "hxserve up" in result.stderr


def test_without_an_address_the_command_exits_with_3() -> None:
    result = CliRunner().invoke(cli, ["chip"])

    assert result.exit_code == 3
    assert result.stderr.startswith("hxserve: no_address: ")


def test_help_of_up_has_every_option_of_the_launcher() -> None:
    described = subprocess.run(
        [sys.executable, "-m", "deploy.local", "--help"], capture_output=True, text=True, check=True
    ).stdout
    options = set(re.findall(r"--[a-z][a-z-]+", described)) - {"--help"}

    shown = CliRunner().invoke(cli, ["up", "--help"]).stdout

    assert options <= set(re.findall(r"--[a-z][a-z-]+", shown))


def test_help_tells_the_exit_codes() -> None:
    assert "130  interrupted" in CliRunner().invoke(cli, ["--help"]).stdout


def test_an_interrupt_ends_the_watching_and_leaves_the_job_alone(service: Service) -> None:
    service.jobs[0] = job_record("running")
    environment = {**os.environ, "HXSERVE_URL": service.url, "HXSERVE_TOKEN": TOKEN}
    # Said in the process itself: started in the background it would inherit that interrupts are ignored.
    heed = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heed}; runpy.run_module('hxserve', run_name='__main__')"]

    with subprocess.Popen(
        [*command, "jobs", "watch", JOB_ID], env=environment, stderr=subprocess.PIPE, text=True
    ) as watching:
        while not any("wait" in request.query for request in service.requests):
            time.sleep(0.01)
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate()

    assert watching.returncode == 130
    assert f"hxserve jobs cancel {JOB_ID}" in said
    assert "Traceback" not in said
    assert all(request.method == "GET" for request in service.requests)
