"""Random numbers and mock parameter of one activity among several in a process."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from worker.learning.arithmetic import MockParameter, Perceptron


class OwnRandomness:
    """Holds the state of torch's global generator for one activity, and its mock parameter.

    Inside `with randomness.active():` the global generator goes on where this activity left it and the mock
    parameter is this activity's; outside both are unchanged, so other work in between changes
    nothing.

    Attributes:
        state: `torch.get_rng_state()` of this activity, uint8.
    """

    def __init__(self, perceptron: Perceptron, mock_parameter: MockParameter, seed: int) -> None:
        self._perceptron = perceptron
        self._mock_parameter = mock_parameter
        self.state: Tensor = torch.Generator().manual_seed(seed).get_state()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Put this activity's generator state and mock parameter in force for a while."""
        outer_state = torch.get_rng_state()
        outer_parameter = self._perceptron.get_mock_parameter()
        torch.set_rng_state(self.state)
        self._perceptron.set_mock_parameter(self._mock_parameter)
        try:
            yield
        finally:
            self.state = torch.get_rng_state()
            torch.set_rng_state(outer_state)
            self._perceptron.set_mock_parameter(outer_parameter)
