"""The mark that names the job in its slice."""

from pathlib import Path

from worker.executing import ExecutingMark


def test_a_job_is_named_while_its_slice_runs_and_not_afterwards(mark: ExecutingMark) -> None:
    with mark.executing("job-7"):
        during = mark.read()

    assert (during, mark.read()) == ("job-7", "")


def test_a_worker_that_was_replaced_leaves_its_successors_mark(tmp_path: Path) -> None:
    replaced, successor = (ExecutingMark(tmp_path / "chip-1.executing") for _ in range(2))

    with successor.executing("job-7"):
        with replaced.executing("job-7"):
            successor._write(f"job-7 {successor._writer}")
        named = successor.read()

    assert (named, successor.read()) == ("job-7", "")
