"""The service's JSON documents of jobs, predictions and models."""

import hashlib
from typing import Any

WEIGHTS = b"safetensors of version 1"
JOB_ID = "job-1"


def job_record(state: str = "running", revision: int = 1, **changes: Any) -> dict[str, Any]:
    """A job as the service describes it."""
    record: dict[str, Any] = {
        "id": JOB_ID,
        "kind": "training",
        "user": "admin",
        "model": "digits",
        "params": {"recipe": "strong"},
        "state": state,
        "created_at": "2026-03-01T10:00:00.250Z",
        "started_at": None if state == "queued" else "2026-03-01T10:00:01Z",
        "finished_at": "2026-03-01T10:01:00Z" if state == "succeeded" else None,
        "updated_at": "2026-03-01T10:00:30Z",
        "progress": 1.0 if state == "succeeded" else 0.0,
        "metrics": {},
        "result": None,
        "error": None,
        "provenance": {},
        "attempts": 1,
        "chip_time_s": 0.5,
        "cancel_requested": False,
        "revision": revision,
        "queue": {"position": 2, "of": 3} if state == "queued" else None,
        "eta": {"earliest_s": 20.0, "latest_s": 40.0} if state == "queued" else None,
    }
    return record | changes


def trained(epochs: int = 2) -> dict[str, Any]:
    """The record of a training that succeeded."""
    rows = [
        {
            "epoch": n,
            "learning_rate": 0.001,
            "train_loss": 0.5 / n,
            "train_accuracy": 0.9,
            "test_loss": 0.4 / n,
            "test_accuracy": 0.96 + n / 100,
        }
        for n in range(1, epochs + 1)
    ]
    confusion = [[90 if row == column else 1 for column in range(10)] for row in range(10)]
    return job_record(
        "succeeded",
        9,
        metrics={
            "epoch": epochs,
            "epochs_total": epochs,
            "step": 20,
            "steps_total": 20,
            "loss": 0.2,
            "accuracy": 0.98,
            "dataset": "mnist",
            "epochs": rows,
        },
        result={
            "model": "digits",
            "version": "1",
            "accuracy": 0.98,
            "confusion": confusion,
            "dataset": "mnist",
            "chip_time_s": 12.5,
        },
    )


def predictions_document(count: int, version: str = "1") -> dict[str, Any]:
    """The answer to `count` crops; crop i is seen as digit i modulo 10."""
    return {
        "id": "answer-1",
        "model": "digits",
        "version": version,
        "chip": "chip-1",
        "backend": "mock",
        "calibration": None,
        "transferred": False,
        "timing": {"waiting_ms": 1.0, "chip_ms": 2.0, "total_ms": 4.0},
        "predictions": [
            {
                "digit": i % 10,
                "scores": [60 if d == i % 10 else d for d in range(10)],
                "confidence": 0.9,
                "batch_size": count,
                "slot": i,
            }
            for i in range(count)
        ],
    }


def a_correction(**changes: Any) -> dict[str, Any]:
    """A correction as the service describes it."""
    return {
        "id": "answer-1-2",
        "answer": "answer-1",
        "index": 2,
        "digit": 7,
        "read": 1,
        "confidence": 0.625,
        "model": "digits",
        "version": "1",
        "outcome": "wrong",
        "source": "answer",
        "at": "2026-03-01T10:00:00Z",
        "expires_at": "2026-05-30T10:00:00Z",
        "closed": None,
        "png": "",
    } | changes


def a_labelled_crop() -> dict[str, Any]:
    """A correction without an answer, of a crop that shows no digit."""
    nothing = dict.fromkeys(("answer", "index", "digit", "read", "confidence", "model", "version", "outcome"))
    return a_correction(id="desk-0", source="desk", **nothing)


def manifest(version: str = "1") -> dict[str, Any]:
    """A version's manifest."""
    return {
        "name": "digits",
        "version": version,
        "created_at": 1_767_225_600.0,
        "recipe": {"name": "strong", "epochs": 2},
        "metrics": {"accuracy": 0.98},
        "dataset": {"name": "mnist"},
        "network": {"inputs": 784, "hidden": [256, 256], "outputs": 10, "shift": 1, "num_sends": [3, 2, 2]},
        "execution": "mock",
        "backend": "mock",
        "chip": "chip-1",
        "weights_sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "partial": False,
    }


def a_chip(*, maintained: bool = False) -> dict[str, Any]:
    """A chip that serves."""
    maintenance = {
        "message": "new cables",
        "running": "pause",
        "user": "admin",
        "since": "2026-03-02T10:00:00Z",
    }
    return {
        "id": "chip-1",
        "backend": "mock",
        "state": "ready",
        "holder": {"host": "node", "pid": 77},
        "since": "2026-03-01T10:00:00Z",
        "calibration": None,
        "gain": 0.002,
        "noise_std": 2.0,
        "self_test": {"passed": True},
        "maintenance": maintenance if maintained else None,
    }


def a_user(**changes: Any) -> dict[str, Any]:
    """A user as an admin sees them."""
    return {
        "name": "ada",
        "role": "user",
        "disabled": False,
        "created_at": "2026-03-01T10:00:00Z",
        "quotas": {
            "max_queued_jobs": 20,
            "max_waiting_crops": None,
            "chip_seconds_per_day": 14400.0,
            "requests_per_second": 0.5,
            "operations_per_second": 500.0,
            "operation_bytes_per_second": 100e6,
            "kept_crops": 5000,
            "open_corrections": 10_000,
            "dataset_bytes": 2**30,
        },
        "tokens": [{"id": "0123456789ab", "created_at": "2026-03-01T10:00:00Z", "expires_at": None}],
    } | changes


def a_new_token() -> dict[str, Any]:
    """A token as it is shown once."""
    return {"token": "hxserve_secret", "token_id": "0123456789ab", "expires_at": "2026-04-01T10:00:00Z"}


def a_model(**changes: Any) -> dict[str, Any]:
    """A model in the list."""
    return {
        "name": "digits",
        "owner": None,
        "versions": ["1"],
        "partial_versions": [],
        "aliases": {"latest": "1"},
        "shared": True,
        "shared_versions": [],
    } | changes


def a_dataset_version(**changes: Any) -> dict[str, Any]:
    """The manifest of a version of a data set."""
    return {
        "name": "ada~mine",
        "user": "ada",
        "job": JOB_ID,
        "source": "upload",
        "files": [{"name": "digits.zip", "bytes": 9000, "sha256": "ab" * 32}],
        "remarks": ["3 training crops are also in the test part, and were left out of the training part."],
        "format": 1,
        "version": "1",
        "created_at": 1_772_000_000.0,
        "sha256": "cd" * 32,
        "counts": {"train": [4] * 10, "test": [1] * 9 + [2]},
        "bytes": 40_000,
    } | changes


def a_dataset(**changes: Any) -> dict[str, Any]:
    """A data set as the list shows it."""
    newest = a_dataset_version()
    return {
        "name": "mine",
        "owner": "ada",
        "versions": ["1"],
        "shared": False,
        "newest": newest,
    } | changes
