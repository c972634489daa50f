"""Steps that the emulator leaves out or merges change no number."""

import gc
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from hxtorch_emulator import perceptron
from hxtorch_emulator.perceptron.ranges import CHIP, MOCK, Door, extremes, round_inputs, round_weights
from hxtorch_emulator.perceptron.scratch import scratch
from tests.emulator import plain_mock

LEARNS = torch.nn.functional.cross_entropy


@pytest.fixture
def _noise_free_plain(_noise_free: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither side noisy."""
    monkeypatch.setattr(plain_mock, "NOISE_STD", 0.0)


def _networks(bias_scale: float = 1.0) -> tuple[torch.nn.Sequential, torch.nn.Sequential]:
    """300 - 70 - 10 on the emulator, and the same written down plainly; some weights out of range."""
    nn = perceptron.nn
    emulated = torch.nn.Sequential(
        nn.Linear(300, 70, mock=True), nn.ConvertingReLU(shift=1, mock=True), nn.Linear(70, 10, mock=True)
    )
    layers: list[torch.nn.Module] = []
    for layer in emulated:
        if isinstance(layer, nn.Linear):
            assert layer.bias is not None
            assert layer.num_sends is not None
            with torch.no_grad():
                layer.weight.mul_(2)
                layer.bias.normal_(0, 20 * bias_scale)
            layers.append(plain_mock.PlainLinear(layer.weight, layer.bias, layer.num_sends))
        else:
            layers.append(plain_mock.PlainConvertingReLU(shift=1))
    return emulated, torch.nn.Sequential(*layers)


@pytest.mark.usefixtures("_noise_free_plain")
@pytest.mark.parametrize("batch", [1, 5, 300])
def test_a_network_computes_what_the_plain_transcription_computes(batch: int) -> None:
    emulated, plain = _networks()
    inputs, labels = torch.rand(batch, 300) * 31, torch.randint(0, 10, (batch,))

    for network in (emulated, plain):
        LEARNS(network(inputs), labels).backward()  # type: ignore[no-untyped-call]  # torch types it so

    assert torch.equal(emulated(inputs), plain(inputs))
    for ours, theirs in zip(emulated.parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None
        assert torch.equal(ours, theirs)
        torch.testing.assert_close(ours.grad, theirs.grad)
        assert ours.grad.stride() == ours.stride()


@pytest.mark.usefixtures("_noise_free_plain")
def test_it_computes_the_same_without_a_gradient() -> None:
    emulated, plain = _networks()
    inputs = torch.rand(17, 300) * 31

    with torch.inference_mode():
        assert torch.equal(emulated(inputs), plain(inputs))


@pytest.mark.usefixtures("_noise_free")
@pytest.mark.parametrize("shape", [(4, 9), (3, 4, 9), (9,)])
def test_a_layer_is_the_product_and_then_the_sum(shape: tuple[int, ...]) -> None:
    layer = perceptron.nn.Linear(9, 6, mock=True, num_sends=3)
    inputs = torch.rand(shape) * 31
    assert layer.bias is not None

    product = perceptron.matmul(inputs, layer.weight.detach().t(), num_sends=3, mock=True)

    assert torch.equal(layer(inputs), perceptron.add(product, layer.bias, mock=True))


def test_weights_beyond_the_range_are_clamped_in_the_layer_itself() -> None:
    layer = perceptron.nn.Linear(5, 2, mock=True)
    with torch.no_grad():
        layer.weight[0, 1], layer.weight[1, 3], layer.weight[1, 4] = 63.4, -200.0, 17.25
    kept = layer.weight.detach().clone().clamp(-63, 63)

    layer(torch.ones(3, 5))

    assert torch.equal(layer.weight, kept)


def test_a_changed_weight_is_noticed_however_it_was_changed() -> None:
    perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=0.0, gain=1.0))
    layer = perceptron.nn.Linear(3, 2, bias=False, mock=True, num_sends=1)
    inputs = torch.ones(4, 3)
    seen = []
    with torch.inference_mode():
        for value in (1.0, 2.0, 5.0):
            layer.weight.data.fill_(value)
            seen.append(layer(inputs)[0, 0].item())

    assert seen == [3, 6, 15]


@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20),
    st.integers(min_value=-2, max_value=9),
)
def test_a_converting_rectifier_follows_its_definition(numbers: list[float], shift: int) -> None:
    values = torch.tensor(numbers)
    rectified = torch.floor(values).clamp(0, 127)
    expected = torch.floor(rectified.double() / 2.0**shift).clamp(0, 31).float()

    assert torch.equal(perceptron.converting_relu(values, shift, mock=True), expected)


def _nearest(number: float, door: Door) -> float:
    """The nearest integer by definition: half to even, or half away from zero."""
    if not math.isfinite(number):
        return number
    exact = Fraction(number)
    if door is MOCK:
        return float(round(exact))
    return math.copysign(math.floor(abs(exact) + Fraction(1, 2)), number)


@pytest.mark.parametrize("door", [MOCK, CHIP])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(numbers=st.lists(st.floats(-70, 70, width=32) | st.floats(width=32), min_size=1, max_size=9))
@example(numbers=[0.49999997, 0.5, 1.5, 2.5, 30.5])
@example(numbers=[-0.5])
@example(numbers=[31.5])
@example(numbers=[31.499998, -0.49999997])
def test_inputs_are_taken_or_refused_as_their_rounded_values_say(
    door: Door, dtype: torch.dtype, numbers: list[float]
) -> None:
    values = torch.tensor(numbers, dtype=dtype)
    rounded = [_nearest(number, door) for number in numbers]

    if all(0 <= number <= 31 or (door.takes_nan and math.isnan(number)) for number in rounded):
        taken = round_inputs(values, door).values
        assert torch.equal(taken.nan_to_num(-1), torch.tensor(rounded).nan_to_num(-1))
    else:
        with pytest.raises(OverflowError, match="inputs must round to"):
            round_inputs(values, door)


@pytest.mark.parametrize("door", [MOCK, CHIP])
@pytest.mark.parametrize("number", [-63.49, -62.5, -2.5, -0.5, -0.49999997, 0.0, 0.5, 1.5, 2.5, 62.5, 63.49])
def test_weights_are_rounded_by_the_backend_s_rule(door: Door, number: float) -> None:
    assert round_weights(torch.tensor([[number]]), door).values.item() == _nearest(number, door)


def test_float64_is_rounded_before_it_becomes_float32() -> None:
    values = torch.tensor([2.5 + 1e-12, 31.5 - 1e-12], dtype=torch.float64)

    assert round_inputs(values, MOCK).values.tolist() == [3, 31]


@pytest.mark.parametrize("value", [-0.50001, 31.5, math.inf, -math.inf])
def test_an_input_outside_the_range_is_refused(value: float) -> None:
    with pytest.raises(OverflowError):
        round_inputs(torch.tensor([[3.0, value, 7.0, math.nan]]), MOCK)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32])
def test_the_extremes_are_the_minimum_and_the_maximum(dtype: torch.dtype) -> None:
    values = torch.tensor([[3, -9], [40, 2], [0, 1]], dtype=dtype)

    assert extremes(values) == (-9, 40)


def test_extremes_of_what_is_no_number_are_none() -> None:
    assert all(math.isnan(extreme) for extreme in extremes(torch.tensor([1.0, math.nan, -2.0])))


def test_scratch_memory_that_has_grown_is_one_again() -> None:
    small = scratch.take("test", torch.Size((2, 3)), torch.float32)
    large = scratch.take("test", torch.Size((5, 7)), torch.float32)

    again = scratch.take("test", torch.Size((2, 3)), torch.float32)

    assert again.data_ptr() == large.data_ptr()
    assert small.shape == again.shape == (2, 3)


def test_scratch_memory_of_a_large_batch_is_given_back() -> None:
    perceptron.matmul(torch.ones(4000, 1000), torch.ones(1000, 2), mock=True)
    gc.collect()

    kept = [tensor.numel() for tensor in scratch._buffers.values()]

    assert max(kept) <= 1 << 21


def test_scratch_memory_keeps_few_views() -> None:
    for rows in range(1, 300):
        assert scratch.take("test", torch.Size((rows, 2)), torch.int8).shape == (rows, 2)

    assert len(scratch._views) <= 64
