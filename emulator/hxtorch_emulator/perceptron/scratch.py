"""Memory that is used again and again: fresh pages cost as much as the arithmetic done on them."""

import threading

import torch

_MOST_VIEWS = 64
"""Shapes kept ready: a network asks for the same few again and again, and making a view costs microseconds."""


class _Scratch(threading.local):
    """Buffers of one thread, by name and type."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.dtype], torch.Tensor] = {}
        self._views: dict[tuple[str, torch.Size, torch.dtype], torch.Tensor] = {}

    def take(self, name: str, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
        """Return memory of that shape, contiguous, with any content; the next call with this name returns it again."""
        view = self._views.get((name, shape, dtype))
        if view is not None:
            return view
        size = shape.numel()
        buffer = self._buffers.get((name, dtype))
        if buffer is None or buffer.numel() < size:
            with torch.inference_mode(False):
                buffer = torch.empty(size, dtype=dtype)
            self._buffers[name, dtype] = buffer
            self._views.clear()
        if len(self._views) >= _MOST_VIEWS:
            self._views.clear()
        with torch.inference_mode(False):
            view = buffer[:size].view(shape)
        self._views[name, shape, dtype] = view
        return view

    def take_like(self, name: str, values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return memory laid out as ``values`` is, where that is a plain matrix or its transpose."""
        if values.dim() == 2 and values.stride(0) == 1 and values.stride(1) == values.shape[0]:
            return self.take(name, values.t().shape, dtype).t()
        return self.take(name, values.shape, dtype)


scratch = _Scratch()
