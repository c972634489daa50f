"""The part of a chip that a matrix of a given size lands on, ready for fast use."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from hxtorch_emulator.chip.fixed_pattern import ROWS, FixedPattern
from hxtorch_emulator.perceptron.products import tile_products


@dataclass(frozen=True, slots=True)
class PlacedMatrix:
    """Gains, offsets and knees of the places that a matrix of (rows, columns) is put on.

    Attributes:
        factor: (rows, columns), LSB per unit of input, for each unit of weight.
        sign_factor: (rows, columns), the same for each unit of the weight's magnitude.
        offset_lsb: (tiles, 1, columns).
        knee_low_lsb: (tiles, 1, columns).
        knee_high_lsb: (tiles, 1, columns).
        knee_slope: slope beyond the knees.
    """

    factor: torch.Tensor
    sign_factor: torch.Tensor
    offset_lsb: torch.Tensor
    knee_low_lsb: torch.Tensor
    knee_high_lsb: torch.Tensor
    knee_slope: float

    @classmethod
    def of(
        cls,
        neurons: torch.Tensor,
        rows: int,
        *,
        pattern: FixedPattern,
        gain: torch.Tensor,
        offset_lsb: torch.Tensor,
        knee_slope: float,
    ) -> "PlacedMatrix":
        """Gather the values of ``neurons``, (tiles, columns), from values per neuron, (512,)."""
        per_synapse = pattern.synapse * gain
        by_sign = per_synapse * pattern.sign
        return cls(
            factor=torch.cat([per_synapse[:, of_tile] for of_tile in neurons])[:rows],
            sign_factor=torch.cat([by_sign[:, of_tile] for of_tile in neurons])[:rows],
            offset_lsb=offset_lsb[neurons].unsqueeze(1),
            knee_low_lsb=pattern.knee_low_lsb[neurons].unsqueeze(1),
            knee_high_lsb=pattern.knee_high_lsb[neurons].unsqueeze(1),
            knee_slope=knee_slope,
        )

    @property
    def tiles(self) -> int:
        """Tiles that the rows are split into."""
        return self.offset_lsb.shape[0]

    def effective(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the effect of integer ``weights``, -63..63: LSB per unit of input, (rows, columns) as well."""
        return torch.addcmul(self.factor * weights, self.sign_factor, weights.abs())

    def charge(
        self, inputs: torch.Tensor, effective: torch.Tensor, *, num_sends: int, loss: float
    ) -> Iterator[torch.Tensor]:
        """Yield the charges of the neurons of each tile before readout, in LSB.

        Args:
            inputs: (batch, rows), integers 0..31.
            effective: (rows, columns), from ``effective``.
            num_sends: how often each input is sent.
            loss: relative loss of charge with all rows active.

        Yields:
            (batch, columns), in the memory of ``tile_products``.
        """
        inputs = inputs.to(torch.float32)
        kept = num_sends * (1 - loss / ROWS * self._sums(inputs.clamp(max=1)))
        for tile, charge in enumerate(tile_products(inputs, effective)):
            charge.mul_(kept[:, tile, None]).add_(self.offset_lsb[tile])
            linear = torch.clamp(charge, self.knee_low_lsb[tile], self.knee_high_lsb[tile])
            yield charge.lerp_(linear, 1 - self.knee_slope)

    def _sums(self, inputs: torch.Tensor) -> torch.Tensor:
        """Add ``inputs``, (batch, rows), up over the rows of each tile: (batch, tiles), float32.

        A product with a matrix of ones and zeros is several times as fast as adding.
        """
        tile_of_row = torch.arange(inputs.shape[1], device=inputs.device) // ROWS
        return inputs @ torch.nn.functional.one_hot(tile_of_row, self.tiles).to(torch.float32)
