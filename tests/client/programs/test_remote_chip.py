"""Operations on a shared chip: how they are sent, cut, repeated, and what they give."""

import threading
from collections.abc import Callable

import pytest
import torch

from hxserve.errors import SharedChipError
from hxserve.programs.remote_chip import RemoteChip
from hxtorch_emulator import perceptron
from tests.client.programs.sharing_service import SESSIONS, SharingService
from tests.client.service import DROPPED

BATCH, ROWS, COLUMNS = 5, 300, 7


def _numbers(
    batch: int = BATCH, rows: int = ROWS, columns: int = COLUMNS
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (batch, rows) and weights (rows, columns) that fit the chip, not rounded."""
    return torch.rand(batch, rows) * 31, torch.randn(rows, columns) * 15


@pytest.mark.usefixtures("opened")
def test_the_shared_chip_multiplies(sharing: SharingService) -> None:
    x, w = _numbers()

    y = perceptron.matmul(x, w, num_sends=3, wait_between_events=8)

    assert torch.equal(y, perceptron.matmul(x, w, num_sends=3, mock=True))
    assert (y.dtype, y.shape) == (torch.float32, (BATCH, COLUMNS))
    assert [operation.settings for operation in sharing.computed] == [(3, 8)]
    assert sharing.computed[0].inputs.shape == (BATCH, ROWS)


@pytest.mark.usefixtures("opened")
def test_layers_learn_in_the_loop_of_the_shared_chip_as_in_its_mock() -> None:
    def learn(*, mock: bool) -> torch.Tensor:
        torch.manual_seed(5)
        model = torch.nn.Sequential(
            perceptron.nn.Linear(20, 6, mock=mock),
            perceptron.nn.ConvertingReLU(shift=1, mock=mock),
            perceptron.nn.Linear(6, 3, mock=mock),
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.rand(9, 20) * 31).pow(2).sum().backward()
            optimizer.step()
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    assert torch.equal(learn(mock=False), learn(mock=True))


@pytest.mark.usefixtures("opened")
def test_a_traced_sequence_is_replayed_on_the_shared_chip(sharing: SharingService, tmp_path: object) -> None:
    x, w = _numbers(rows=30)
    tracer = perceptron.InferenceTracer(f"{tmp_path}/trace")
    tracer.start()
    y = perceptron.relu(perceptron.matmul(x, w))

    assert tracer.stop() == ["mac", "relu"]
    assert torch.equal(perceptron.inference_trace(x, f"{tmp_path}/trace"), y)
    assert len(sharing.computed) == 2


@pytest.mark.usefixtures("opened")
def test_the_mock_parameter_is_measured_on_the_shared_chip() -> None:
    measured = perceptron.measure_mock_parameter()

    assert measured.gain == pytest.approx(0.01, rel=0.02)
    assert measured.noise_std < 1


@pytest.mark.usefixtures("opened")
def test_weights_are_sent_twice_and_named_from_then_on(sharing: SharingService) -> None:
    x, w = _numbers()

    results = [perceptron.matmul(x, w) for _ in range(4)]

    flags = [(operation.was_named, operation.was_kept) for operation in sharing.computed]
    assert flags == [(False, False), (False, True), (True, False), (True, False)]
    assert all(torch.equal(y, results[0]) for y in results)
    assert len({operation.key for operation in sharing.computed}) == 4


@pytest.mark.usefixtures("opened")
def test_weights_that_change_are_never_kept(sharing: SharingService) -> None:
    x, w = _numbers()

    for step in range(3):
        perceptron.matmul(x, w + step)

    assert not any(operation.was_named or operation.was_kept for operation in sharing.computed)


@pytest.mark.usefixtures("opened")
def test_the_layout_of_weights_does_not_matter_to_their_name(sharing: SharingService) -> None:
    x, w = _numbers()

    perceptron.matmul(x, w)
    perceptron.matmul(x, w.t().contiguous().t())
    perceptron.matmul(x, w)

    assert sharing.computed[2].was_named


@pytest.mark.usefixtures("opened")
def test_weights_that_the_service_has_lost_are_sent_again(sharing: SharingService) -> None:
    x, w = _numbers()
    before = [perceptron.matmul(x, w) for _ in range(3)]

    sharing.forget_weights()
    after = [perceptron.matmul(x, w) for _ in range(2)]

    flags = [(operation.was_named, operation.was_kept) for operation in sharing.computed[3:]]
    assert flags == [(False, True), (True, False)]
    assert torch.equal(after[0], before[0])


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("limits", [(4096, 2**27), (2**23, 2 * 30 * COLUMNS)], ids=["bytes", "macs"])
def test_a_batch_is_cut_to_the_limits_of_the_service(
    sharing: SharingService, chip: RemoteChip, limits: tuple[int, int]
) -> None:
    sharing.limits = limits
    chip.open(None)
    x, w = _numbers(batch=141, rows=30)

    y = perceptron.matmul(x, w)

    assert torch.equal(y, perceptron.matmul(x, w, mock=True))
    assert len(sharing.computed) > 2
    flags = [(operation.was_named, operation.was_kept) for operation in sharing.computed]
    assert flags == [(False, True)] + [(True, False)] * (len(flags) - 1)


def test_a_matrix_beyond_the_limits_is_refused(sharing: SharingService, chip: RemoteChip) -> None:
    sharing.limits = (4096, 2**27)
    chip.open(None)

    with pytest.raises(SharedChipError, match="weights of 300 x 7 are too large"):
        chip.multiply(*_numbers(), num_sends=1, wait_between_events=5)


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 3, 0), (0, 3, 0)])
def test_what_holds_nothing_is_computed_at_home(sharing: SharingService, shape: tuple[int, int, int]) -> None:
    batch, rows, columns = shape

    y = perceptron.matmul(torch.zeros(batch, rows), torch.zeros(rows, columns))

    assert y.shape == (batch, columns)
    assert not sharing.computed


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(("input_", "weight"), [(float("nan"), 1.0), (32.0, 1.0), (-1.0, 1.0), (1.0, 64.0)])
def test_what_the_chip_cannot_hold_overflows_at_home(
    sharing: SharingService, input_: float, weight: float
) -> None:
    with pytest.raises(OverflowError):
        perceptron.matmul(torch.full((2, 3), input_), torch.full((3, 4), weight))

    assert not sharing.computed


@pytest.mark.usefixtures("opened")
def test_two_hundred_megabytes_of_input_pass_in_pieces(sharing: SharingService) -> None:
    x, w = torch.randint(32, (2_000, 25_000)).float(), torch.randn(25_000, 2)

    y = perceptron.matmul(x, w)

    assert x.nbytes == 200_000_000
    assert torch.equal(y, perceptron.matmul(x, w, mock=True))
    assert sum(operation.inputs.nbytes for operation in sharing.computed) == 50_000_000


@pytest.mark.usefixtures("opened")
def test_an_answer_lost_on_the_way_is_asked_for_again_and_not_computed_twice(sharing: SharingService) -> None:
    x, w = _numbers()
    sharing.lost_answers = 1
    sharing.operation_faults.extend([DROPPED, DROPPED])

    y = perceptron.matmul(x, w)

    assert torch.equal(y, perceptron.matmul(x, w, mock=True))
    sent = sharing.asked("POST", f"{SESSIONS}/session-1/operations")
    assert len(sent) == 4
    assert len({(request.headers["Idempotency-Key"], request.body) for request in sent}) == 1
    assert len(sharing.computed) == 1


@pytest.mark.usefixtures("opened")
def test_threads_share_a_chip(sharing: SharingService) -> None:
    numbers = [_numbers(batch=n + 1) for n in range(8)]
    found: dict[int, torch.Tensor] = {}

    def work(n: int) -> None:
        found[n] = perceptron.matmul(*numbers[n])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(torch.equal(found[n], perceptron.matmul(*numbers[n], mock=True)) for n in range(8))
    assert len(sharing.sessions) == 1


def test_without_a_session_nothing_is_computed(make_chip: Callable[..., RemoteChip]) -> None:
    with pytest.raises(RuntimeError, match=r"No connection allocated\."):
        make_chip().multiply(*_numbers(), num_sends=1, wait_between_events=5)
