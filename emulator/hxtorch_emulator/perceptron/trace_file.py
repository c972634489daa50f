"""Traces as files: tensors in the safetensors layout, the list of operations in its metadata.

The layout: eight bytes with the length of a JSON header, the header, the bytes of the tensors.
Reading it runs no code. Source: the format description of huggingface/safetensors.
"""

import ctypes
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_FORMAT = "hxserve-trace-1"


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded operation.

    Attributes:
        operation: its name in ``hxtorch.perceptron``.
        settings: every argument but the first, by name; tensors as they were.
    """

    operation: str
    settings: dict[str, Any]


def write(path: Path, steps: list[Step]) -> None:
    """Write ``steps`` to ``path``, replacing an existing file."""
    header: dict[str, Any] = {}
    payload = bytearray()
    operations = []
    for number, step in enumerate(steps):
        plain, tensors = {}, []
        for name, value in step.settings.items():
            if not isinstance(value, torch.Tensor):
                plain[name] = value
                continue
            tensors.append(name)
            start = len(payload)
            values = value.detach().to("cpu", torch.float32).contiguous()
            payload += ctypes.string_at(values.data_ptr(), values.numel() * 4)
            header[f"{number}.{name}"] = {
                "dtype": "F32",
                "shape": list(value.shape),
                "data_offsets": [start, len(payload)],
            }
        operations.append({"operation": step.operation, "settings": plain, "tensors": tensors})
    header["__metadata__"] = {_FORMAT: json.dumps(operations)}
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + payload)


def read(path: Path) -> list[Step]:
    """Read the steps that ``write`` wrote.

    Raises:
        RuntimeError: the file is missing or is no trace.
    """
    try:
        content = path.read_bytes()
        (length,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8 : 8 + length])
        operations = json.loads(header["__metadata__"][_FORMAT])
        payload = bytearray(content[8 + length :])
        return [
            Step(
                operation["operation"],
                operation["settings"]
                | {name: _tensor(header[f"{number}.{name}"], payload) for name in operation["tensors"]},
            )
            for number, operation in enumerate(operations)
        ]
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise RuntimeError(f"{path} is no trace of an InferenceTracer: {error}") from error


def _tensor(entry: dict[str, Any], payload: bytearray) -> torch.Tensor:
    start, end = entry["data_offsets"]
    if start == end:
        return torch.empty(entry["shape"])
    return torch.frombuffer(payload[start:end], dtype=torch.float32).view(entry["shape"])
