"""The messages of gRPC agree with those that NVIDIA's client was made with."""

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from tritonclient.grpc import model_config_pb2, service_pb2

from api.grpc.messages import CALLS, DESCRIPTOR, POOL, SERVICE, STREAMING

MESSAGES = sorted(POOL.FindFileContainingSymbol(SERVICE).message_types_by_name)


def _fields(described: Any) -> dict[str, tuple[int, int, bool, str]]:
    """Number, type, repetition and kind of each field of a message."""
    return {
        field.name: (
            field.number,
            field.type,
            field.is_repeated,
            (field.message_type or field.enum_type).full_name
            if field.type in {FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_ENUM}
            else "",
        )
        for field in described.fields
    }


@pytest.mark.parametrize("name", MESSAGES)
def test_each_field_is_the_one_of_that_name(name: str) -> None:
    ours = POOL.FindMessageTypeByName(f"inference.{name}")
    module = service_pb2 if hasattr(service_pb2, name) else model_config_pb2
    theirs = getattr(module, name).DESCRIPTOR

    assert _fields(ours).items() <= _fields(theirs).items()
    for nested in ours.nested_types:
        assert _fields(nested).items() <= _fields(theirs.nested_types_by_name[nested.name]).items()


def test_the_calls_take_and_give_the_same_messages() -> None:
    theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name

    assert set(DESCRIPTOR.methods_by_name) == {*CALLS, STREAMING}
    for name, method in DESCRIPTOR.methods_by_name.items():
        assert method.input_type.full_name == theirs[name].input_type.full_name
        assert method.output_type.full_name == theirs[name].output_type.full_name
