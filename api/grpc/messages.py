"""The messages of the Open Inference Protocol's gRPC service, as far as they are used here.

They are built from the tables below into a pool of descriptors of their own, so that a program may load the generated
messages of NVIDIA's or KServe's client beside them.

Source: the specification of the protocol, https://github.com/kserve/open-inference-protocol, and Triton's extensions.
"""

import re
from typing import Any, Final

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE: Final = "inference"
SERVICE: Final = f"{PACKAGE}.GRPCInferenceService"
_CHOICE: Final = "parameter_choice"
_NAMED: Final = "1 string name, 2 string version"
_PARAMETERS: Final = "map<InferParameter> parameters"
_TENSOR: Final = (
    f"1 string name, 2 string datatype, 3 repeated int64 shape, 4 {_PARAMETERS}, "
    "5 InferTensorContents contents"
)
_DATA_TYPES: Final = (
    *("INVALID", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "STRING", "BF16"),
)

_MESSAGES: Final = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "1 bool live",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "1 bool ready",
    "ModelReadyRequest": _NAMED,
    "ModelReadyResponse": "1 bool ready",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "1 string name, 2 string version, 3 repeated string extensions",
    "ModelMetadataRequest": _NAMED,
    "ModelMetadataResponse.TensorMetadata": "1 string name, 2 string datatype, 3 repeated int64 shape",
    "ModelMetadataResponse": (
        "1 string name, 2 repeated string versions, 3 string platform, "
        "4 repeated ModelMetadataResponse.TensorMetadata inputs, "
        "5 repeated ModelMetadataResponse.TensorMetadata outputs"
    ),
    "InferParameter": (
        "1 choice bool bool_param, 2 choice int64 int64_param, 3 choice string string_param, "
        "4 choice double double_param, 5 choice uint64 uint64_param"
    ),
    "InferTensorContents": (
        "1 repeated bool bool_contents, 2 repeated int32 int_contents, 3 repeated int64 int64_contents, "
        "4 repeated uint32 uint_contents, 5 repeated uint64 uint64_contents, 6 repeated float fp32_contents, "
        "7 repeated double fp64_contents, 8 repeated bytes bytes_contents"
    ),
    "ModelInferRequest.InferInputTensor": _TENSOR,
    "ModelInferRequest.InferRequestedOutputTensor": f"1 string name, 2 {_PARAMETERS}",
    "ModelInferRequest": (
        f"1 string model_name, 2 string model_version, 3 string id, 4 {_PARAMETERS}, "
        "5 repeated ModelInferRequest.InferInputTensor inputs, "
        "6 repeated ModelInferRequest.InferRequestedOutputTensor outputs, 7 repeated bytes raw_input_contents"
    ),
    "ModelInferResponse.InferOutputTensor": _TENSOR,
    "ModelInferResponse": (
        f"1 string model_name, 2 string model_version, 3 string id, 4 {_PARAMETERS}, "
        "5 repeated ModelInferResponse.InferOutputTensor outputs, 6 repeated bytes raw_output_contents"
    ),
    "ModelStreamInferResponse": "1 string error_message, 2 ModelInferResponse infer_response",
    "ModelInput": "1 string name, 2 DataType data_type, 4 repeated int64 dims",
    "ModelOutput": "1 string name, 2 DataType data_type, 3 repeated int64 dims",
    "ModelConfig": (
        "1 string name, 2 string platform, 4 int32 max_batch_size, 5 repeated ModelInput input, "
        "6 repeated ModelOutput output, 17 string backend"
    ),
    "ModelConfigRequest": _NAMED,
    "ModelConfigResponse": "1 ModelConfig config",
    "StatisticDuration": "1 uint64 count, 2 uint64 ns",
    "InferStatistics": (
        "1 StatisticDuration success, 2 StatisticDuration fail, 3 StatisticDuration queue, "
        "4 StatisticDuration compute_input, 5 StatisticDuration compute_infer, "
        "6 StatisticDuration compute_output, 7 StatisticDuration cache_hit, 8 StatisticDuration cache_miss"
    ),
    "InferBatchStatistics": (
        "1 uint64 batch_size, 2 StatisticDuration compute_input, 3 StatisticDuration compute_infer, "
        "4 StatisticDuration compute_output"
    ),
    "ModelStatistics": (
        "1 string name, 2 string version, 3 uint64 last_inference, 4 uint64 inference_count, "
        "5 uint64 execution_count, 6 InferStatistics inference_stats, 7 repeated InferBatchStatistics batch_stats"
    ),
    "ModelStatisticsRequest": _NAMED,
    "ModelStatisticsResponse": "1 repeated ModelStatistics model_stats",
    "RepositoryIndexRequest": "1 string repository_name, 2 bool ready",
    "RepositoryIndexResponse.ModelIndex": "1 string name, 2 string version, 3 string state, 4 string reason",
    "RepositoryIndexResponse": "1 repeated RepositoryIndexResponse.ModelIndex models",
}
"""The fields of each message: number, `repeated`, `choice` or none, type and name."""

STREAMING: Final = "ModelStreamInfer"
CALLS: Final = (
    *("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelConfig"),
    *("ModelStatistics", "RepositoryIndex", "ModelInfer"),
)
"""The calls with one request and one answer."""

_FIELD: Final = re.compile(r"(\d+) (?:(repeated|choice) )?(?:(map)<(\S+)>|(\S+)) (\w+)")
_SCALARS: Final = {
    kind: FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    for kind in ("bool", "bytes", "double", "float", "int32", "int64", "string", "uint32", "uint64")
}


def _build_file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="open_inference_protocol.proto", package=PACKAGE, syntax="proto3")
    types = file.enum_type.add(name="DataType")
    for number, name in enumerate(_DATA_TYPES):
        types.value.add(name=f"TYPE_{name}", number=number)
    built: dict[str, DescriptorProto] = {}
    # Outer messages first: the inner ones are parts of them.
    for name, fields in sorted(_MESSAGES.items(), key=lambda entry: entry[0].count(".")):
        outer, _, inner = name.partition(".")
        message = built[outer].nested_type.add(name=inner) if inner else file.message_type.add(name=outer)
        built[name] = message
        for number, label, is_map, value, kind, field in _FIELD.findall(fields):
            _add_field(
                message, f".{PACKAGE}.{name}", int(number), label, value if is_map else kind, field, is_map
            )
    service = file.service.add(name=SERVICE.partition(".")[2])
    for name in CALLS:
        service.method.add(
            name=name, input_type=f".{PACKAGE}.{name}Request", output_type=f".{PACKAGE}.{name}Response"
        )
    service.method.add(
        name=STREAMING,
        input_type=f".{PACKAGE}.ModelInferRequest",
        output_type=f".{PACKAGE}.ModelStreamInferResponse",
        client_streaming=True,
        server_streaming=True,
    )
    return file


def _add_field(
    message: DescriptorProto, path: str, number: int, label: str, kind: str, name: str, is_map: str
) -> None:
    is_repeated = label == "repeated" or bool(is_map)
    field = message.field.add(
        name=name,
        number=number,
        label=FieldDescriptorProto.LABEL_REPEATED if is_repeated else FieldDescriptorProto.LABEL_OPTIONAL,
    )
    if label == "choice":
        if not message.oneof_decl:
            message.oneof_decl.add(name=_CHOICE)
        field.oneof_index = 0
    if is_map:
        entry = message.nested_type.add(name="ParametersEntry")
        entry.options.map_entry = True
        _add_field(entry, path, 1, "", "string", "key", "")
        _add_field(entry, path, 2, "", kind, "value", "")
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f"{path}.ParametersEntry"
    elif kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        is_enum = kind == "DataType"
        field.type = FieldDescriptorProto.TYPE_ENUM if is_enum else FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"


POOL: Final = DescriptorPool()
POOL.Add(_build_file())
DESCRIPTOR: Final[ServiceDescriptor] = POOL.FindServiceByName(SERVICE)


def message(name: str) -> Any:
    """Return the class of a message of the protocol."""
    return GetMessageClass(POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


ModelInferRequest: Final = message("ModelInferRequest")
ModelInferResponse: Final = message("ModelInferResponse")
ModelStreamInferResponse: Final = message("ModelStreamInferResponse")
