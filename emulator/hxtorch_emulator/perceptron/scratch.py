"""Memory that is used again and again: fresh pages cost as much as the arithmetic done on them."""

import threading

import torch

_CPU = torch.device("cpu")

_LARGEST = 1 << 21
"""Elements of the largest buffer that is kept; larger ones are taken and given back, so that a large batch leaves
nothing behind."""

_MOST_VIEWS = 64
"""Shapes kept ready: a network asks for the same few again and again, and making a view costs microseconds."""


class _Scratch(threading.local):
    """Buffers of one thread, by name, type and device."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.dtype, torch.device], torch.Tensor] = {}
        self._views: dict[tuple[str, torch.Size, torch.dtype, torch.device], torch.Tensor] = {}

    def take(
        self, name: str, shape: torch.Size, dtype: torch.dtype, device: torch.device = _CPU
    ) -> torch.Tensor:
        """Return memory of that shape, contiguous, with any content; the next call with this name returns it again."""
        view = self._views.get((name, shape, dtype, device))
        if view is not None:
            return view
        size = shape.numel()
        if size > _LARGEST:
            return torch.empty(shape, dtype=dtype, device=device)
        buffer = self._buffers.get((name, dtype, device))
        with torch.inference_mode(False):
            if buffer is None or buffer.numel() < size:
                buffer = self._buffers[name, dtype, device] = torch.empty(size, dtype=dtype, device=device)
                self._views.clear()
            view = buffer[:size].view(shape)
        if len(self._views) >= _MOST_VIEWS:
            self._views.clear()
        self._views[name, shape, dtype, device] = view
        return view

    def take_like(self, name: str, values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return memory laid out as ``values`` is, where that is a plain matrix or its transpose."""
        if values.dim() == 2 and values.stride(0) == 1 and values.stride(1) == values.shape[0]:
            return self.take(name, values.t().shape, dtype, values.device).t()
        return self.take(name, values.shape, dtype, values.device)


scratch = _Scratch()
