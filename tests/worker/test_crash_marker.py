"""The marker that names the job in its slice."""

from pathlib import Path

from worker.crash_marker import CrashMarker


def test_a_job_is_named_while_its_slice_runs_and_not_afterwards(marker: CrashMarker) -> None:
    with marker.marking("job-7"):
        during = marker.read()

    assert (during, marker.read()) == ("job-7", "")


def test_a_worker_that_was_replaced_leaves_its_successors_marker(tmp_path: Path) -> None:
    replaced, successor = (CrashMarker(tmp_path / "chip-1.executing") for _ in range(2))

    with successor.marking("job-7"):
        with replaced.marking("job-7"):
            successor._write(f"job-7 {successor._writer}")
        named = successor.read()

    assert (named, successor.read()) == ("job-7", "")
