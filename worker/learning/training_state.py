"""The saved state of a training: tensors and JSON-able facts, ready for a safetensors file."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from worker.learning.errors import StateMismatchError

_ADAM_ENTRIES = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class TrainerState:
    """Everything the rest of a training depends on.

    Attributes:
        tensors: Weights, moments of the optimiser, random number state, order of the epoch's crops and the
            scores the scale is fitted on, by name.
        facts: The rest, JSON-able: the training's identity, position and sums so far.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def check_identity(self, expected: Mapping[str, object]) -> None:
        """Check that the state belongs to this training.

        Raises:
            StateMismatchError: One of the facts that make up a training differs.
        """
        facts = {
            **self.facts,
            "network": _renamed(self.facts.get("network")),
            "recipe": _completed(self.facts.get("recipe")),
        }
        for name, value in expected.items():
            if facts.get(name) != value:
                raise StateMismatchError(
                    f"the saved training has {name} {facts.get(name)!r}; this one has {value!r}. "
                    "Load it into a training with the same values."
                )

    def check_tensors(self, expected: Collection[str]) -> None:
        """Check that these tensors are there.

        Raises:
            StateMismatchError: One is missing.
        """
        missing = sorted(set(expected) - self.tensors.keys())
        if missing:
            raise StateMismatchError(
                f"the saved training lacks {', '.join(missing)}; it was not saved by this program. Start anew."
            )


def _renamed(network: object) -> object:
    """Return a saved network; saves made before networks were lists of layers call `hidden` otherwise."""
    if not isinstance(network, dict):
        return network
    return {"hidden" if name == "hidden_sizes" else name: value for name, value in network.items()}


def _completed(recipe: object) -> object:
    """Return a saved recipe; saves made before trainings could end early lack the field of it."""
    return {"patience": 0, **recipe} if isinstance(recipe, dict) else recipe


def fingerprint_weights(weights: Mapping[str, Tensor]) -> str:
    """Give the sha256 over names, shapes and float32 values of weights, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().to(torch.float32).contiguous().numpy().data)
    return digest.hexdigest()


def flatten_adam(optimiser: torch.optim.Adam, network: nn.Module) -> dict[str, Tensor]:
    """Copy step counts and moments as `adam.<parameter>.<entry>`; there are none before the first step."""
    return {
        f"adam.{name}.{entry}": optimiser.state[parameter][entry].detach().clone()
        for name, parameter in network.named_parameters()
        if parameter in optimiser.state
        for entry in _ADAM_ENTRIES
    }


def restore_adam(optimiser: torch.optim.Adam, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Restore the state copied by `flatten_adam`."""
    optimiser.state.clear()
    for name, parameter in network.named_parameters():
        if f"adam.{name}.step" in tensors:
            optimiser.state[parameter] = {
                entry: tensors[f"adam.{name}.{entry}"].clone() for entry in _ADAM_ENTRIES
            }
