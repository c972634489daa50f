"""Each documented form of a body, sent over a socket to the process that `hxserve up` starts."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from urllib3.filepost import encode_multipart_formdata

from tests.api.requests import CLASSIFY, NPY, RAW, TOKEN, npy, picture, png
from tests.needs import needed
from tests.services.samples import scores_of
from tests.system.hostile.conftest import HOST, Server, serving

INFER: Final = "/v2/models/digits/infer"
JSON_LENGTH: Final = "Inference-Header-Content-Length"


def _crop(number: int) -> NDArray[np.uint8]:
    """A crop (28, 28) that JPEG keeps as it is, because each of its blocks of 8 x 8 is even."""
    crop = np.zeros((28, 28), np.uint8)
    crop[8:16, 8:16], crop[16:24, 8:16] = 200 + 10 * number, 255
    return crop


CROPS: Final = np.stack([_crop(number) for number in range(3)])
UNIT: Final = CROPS / 255


@dataclass(frozen=True, slots=True)
class Form:
    """A body and the headers that describe it; it holds the first `crops` of `CROPS`."""

    body: bytes
    media_type: str | None
    crops: int = len(CROPS)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def scores(self) -> list[list[int]]:
        """The answer's scores, (crops, 10) LSB."""
        scores: list[list[int]] = scores_of(CROPS[: self.crops].tobytes()).tolist()
        return scores


def _jpeg(crop: NDArray[np.uint8]) -> bytes:
    return picture(Image.fromarray(crop), "JPEG", quality=100, subsampling=0)


def _as(kind: str, **options: Any) -> Form:
    """The first crop as a picture of another format, which keeps it as it is."""
    return Form(picture(Image.fromarray(CROPS[0]), kind, **options), f"image/{kind.lower()}", crops=1)


def _of_bits(bits: int) -> NDArray[np.uint16]:
    """The first crop with white at the largest number of so many bits."""
    grey: NDArray[np.uint16] = np.rint(UNIT[0] * (2**bits - 1)).astype(np.uint16)
    return grey


PICTURES: Final = {"a.png": png(CROPS[0]), "b.jpg": _jpeg(CROPS[1]), "c.png": png(CROPS[2])}


def _multipart(**pictures: bytes) -> Form:
    fields = [("images", (name, content)) for name, content in pictures.items()]
    body, media_type = encode_multipart_formdata(fields)
    return Form(body, media_type, crops=len(pictures))


def _compressed(form: Form, encoding: str) -> Form:
    body = gzip.compress(form.body) if encoding == "gzip" else zlib.compress(form.body)
    return Form(body, form.media_type, form.crops, {**form.headers, "Content-Encoding": encoding})


_FORM: Final = _multipart(**PICTURES)
CLASSIFY_FORMS: Final = {
    "raw": Form(CROPS.tobytes(), RAW),
    "npy of pictures": Form(npy(CROPS), NPY),
    "npy of rows": Form(npy(CROPS.reshape(3, 784)), NPY),
    "npy of floats": Form(npy(UNIT.astype(np.float32)), NPY),
    "JSON": Form(json.dumps({"images": UNIT.tolist()}).encode(), "application/json"),
    "PNG": Form(png(CROPS[0]), "image/png", crops=1),
    "JPEG": Form(_jpeg(CROPS[0]), "image/jpeg", crops=1),
    "JPEG by another name": Form(_jpeg(CROPS[0]), "image/jpg", crops=1),
    "WebP": _as("WEBP", lossless=True),
    "GIF": _as("GIF"),
    "BMP": _as("BMP"),
    "TIFF": _as("TIFF"),
    "TIFF compressed": _as("TIFF", compression="tiff_lzw"),
    "GIF of several frames": _as(
        "GIF", save_all=True, append_images=[Image.fromarray(crop) for crop in CROPS[1:]]
    ),
    "PNG of 16 bits": Form(png(_of_bits(16)), "image/png", crops=1),
    "PNG of 12 of 16 bits": Form(png(_of_bits(12)), "image/png", crops=1),
    "PNG of 10 of 16 bits": Form(png(_of_bits(10)), "image/png", crops=1),
    "raw in x-gzip": Form(gzip.compress(CROPS.tobytes()), RAW, headers={"Content-Encoding": "x-gzip"}),
    "raw in gzip of several members": Form(
        b"".join(gzip.compress(crop.tobytes()) for crop in CROPS), RAW, headers={"Content-Encoding": "gzip"}
    ),
    "multipart with a name that is no UTF-8": replace(
        _FORM, body=_FORM.body.replace(b"b.jpg", b"f\xfcr.jpg")
    ),
    "raw in gzip": _compressed(Form(CROPS.tobytes(), RAW), "gzip"),
    "JPEG in deflate": _compressed(Form(_jpeg(CROPS[0]), "image/jpeg", crops=1), "deflate"),
    "multipart": _FORM,
    "multipart in gzip": _compressed(_multipart(**PICTURES), "gzip"),
    "multipart of one": _multipart(**{"a.png": PICTURES["a.png"]}),
    "multipart of megabytes": _multipart(
        **{name: content + bytes(2**20) for name, content in PICTURES.items()}
    ),
}


def _infer(
    data: Any = None,
    *,
    kind: str = "UINT8",
    shape: tuple[int, ...] = (3, 784),
    tail: bytes = b"",
    tensor: Mapping[str, Any] | None = None,
    **members: Any,
) -> Form:
    """An infer request; `members` are further ones of its JSON, and `tensor` of its input."""
    input_ = {"name": "crops", "datatype": kind, "shape": shape, **(tensor or {})}
    input_ |= {"parameters": {"binary_data_size": len(tail)}} if tail else {"data": data}
    head = json.dumps({"inputs": [input_], **members}).encode()
    if not tail:
        return Form(head, "application/json")
    return Form(head + tail, RAW, headers={JSON_LENGTH: str(len(head))})


_BINARY: Final = _infer(tail=CROPS.tobytes())
INFER_FORMS: Final = {
    "JSON": _infer(CROPS.reshape(3, 784).tolist()),
    "JSON, flat": _infer(CROPS.ravel().tolist()),
    "JSON of pictures": _infer(CROPS.tolist(), shape=CROPS.shape),
    "JSON of floats": _infer(UNIT.tolist(), kind="FP32", shape=CROPS.shape),
    "binary": _BINARY,
    "binary of floats": _infer(kind="FP32", shape=CROPS.shape, tail=UNIT.astype("<f4").tobytes()),
    "binary without a type": Form(_BINARY.body, None, headers=_BINARY.headers),
    "JSON with curl's usual type": Form(
        _infer(CROPS.ravel().tolist()).body, "application/x-www-form-urlencoded"
    ),
    "JSON with nulls": _infer(
        CROPS.ravel().tolist(), id=None, parameters=None, outputs=None, tensor={"parameters": None}
    ),
    "JSON with nulls inside": _infer(
        CROPS.ravel().tolist(),
        parameters=dict.fromkeys(("binary_data_output", "priority", "timeout", "repeats", "sequence_id")),
        outputs=[{"name": "scores", "parameters": {"binary_data": None, "classification": None}}],
        tensor={"parameters": {"binary_data_size": None, "shared_memory_region": None}},
    ),
    "JSON of KServe's SDK": _infer(CROPS.ravel().tolist(), id="859083b7", model_name="digits"),
    "binary of KServe's SDK": _infer(
        shape=CROPS.shape,
        tail=CROPS.tobytes(),
        id="859083b7",
        model_name="digits",
        outputs=[{"name": "scores"}],
        parameters={"priority": 1},
    ),
    "JSON of MLServer's codec": _infer(
        CROPS.ravel().tolist(),
        shape=CROPS.shape,
        tensor={"parameters": {"content_type": "np"}},
        outputs=[{"name": "scores", "parameters": {"content_type": "np"}}],
        parameters={"content_type": "np", "headers": {"x": "y"}, "priority": 2},
    ),
    "JSON of whole floats": _infer(CROPS.astype(float).ravel().tolist()),
    "binary in gzip of two members": Form(
        gzip.compress(_BINARY.body[:1000]) + gzip.compress(_BINARY.body[1000:]),
        RAW,
        headers={**_BINARY.headers, "Content-Encoding": "gzip"},
    ),
    "binary without JSON": Form(CROPS.tobytes(), RAW, headers={JSON_LENGTH: "0"}),
    "JSON in gzip": _compressed(_infer(CROPS.tolist(), shape=CROPS.shape), "gzip"),
    "binary in gzip": _compressed(_BINARY, "gzip"),
    "binary in deflate": _compressed(_BINARY, "deflate"),
}


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An API whose chip gives each crop scores that are known."""
    limits = {"HXSERVE_MAX_BODY_BYTES": str(2**23)}
    with serving(redis_url, tmp_path_factory.mktemp("api"), limits) as server:
        yield server


@pytest.fixture(scope="module")
def curl() -> str:
    """Where curl is."""
    return needed(shutil.which("curl"), "there is no curl; `apt-get install curl`")


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """`PICTURES` as files, in their order."""
    paths = [tmp_path / name for name in PICTURES]
    for path in paths:
        path.write_bytes(PICTURES[path.name])
    return paths


def scores(answer: bytes) -> list[list[int]]:
    """The scores of an answer of either interface, (n, 10) LSB."""
    read = json.loads(answer)
    if "predictions" in read:
        return [prediction["scores"] for prediction in read["predictions"]]
    [scores] = [output for output in read["outputs"] if output["name"] == "scores"]
    rows: list[list[int]] = np.reshape(scores["data"], scores["shape"]).tolist()
    return rows


def _headers_of(form: Form) -> dict[str, str]:
    kind = {} if form.media_type is None else {"Content-Type": form.media_type}
    return {"Authorization": f"Bearer {TOKEN}", **kind, **form.headers}


def post(server: Server, path: str, form: Form, *, is_chunked: bool) -> tuple[int, bytes]:
    pieces = (form.body[at : at + 1000] for at in range(0, len(form.body), 1000))
    with closing(HTTPConnection(HOST, server.port, timeout=30)) as connection:
        connection.request(
            "POST", path, pieces if is_chunked else form.body, _headers_of(form), encode_chunked=is_chunked
        )
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(
    "path", [CLASSIFY, "/v1/models/digits/versions/latest/classify"], ids=["latest", "version"]
)
@pytest.mark.parametrize("form", CLASSIFY_FORMS.values(), ids=CLASSIFY_FORMS)
def test_crops_are_classified_in_each_form(server: Server, form: Form, path: str, is_chunked: bool) -> None:
    status, answer = post(server, path, form, is_chunked=is_chunked)

    assert status == 200, answer
    assert scores(answer) == form.scores


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("path", [INFER, "/v2/models/digits/versions/1/infer"], ids=["latest", "version"])
@pytest.mark.parametrize("form", INFER_FORMS.values(), ids=INFER_FORMS)
def test_crops_are_inferred_in_each_form(server: Server, form: Form, path: str, is_chunked: bool) -> None:
    status, answer = post(server, path, form, is_chunked=is_chunked)

    assert status == 200, answer
    assert scores(answer) == form.scores


_JOB: Final = json.dumps({"kind": "training", "model": "packed", "params": {"epochs": 1}}).encode()


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_other_routes_decompress_their_bodies(server: Server, encoding: str, is_chunked: bool) -> None:
    form = _compressed(Form(_JOB, "application/json"), encoding)

    status, answer = post(server, "/v1/jobs", form, is_chunked=is_chunked)

    assert status == 202, answer
    assert json.loads(answer)["params"]["epochs"] == 1


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/crops", CLASSIFY, INFER])
def test_an_encoding_that_is_not_known_is_named(server: Server, path: str) -> None:
    form = Form(_JOB, "application/json", headers={"Content-Encoding": "br"})

    status, answer = post(server, path, form, is_chunked=False)

    assert status == 415
    assert b"'br' is not understood; send gzip or deflate" in answer


def test_each_documented_type_of_a_body_is_tried(server: Server) -> None:
    with closing(HTTPConnection(HOST, server.port, timeout=30)) as connection:
        connection.request("GET", "/openapi.json")
        paths = json.load(connection.getresponse())["paths"]

    for path, forms in (
        ("/v1/models/{name}/classify", CLASSIFY_FORMS),
        ("/v2/models/{name}/infer", INFER_FORMS),
    ):
        documented = set(paths[path]["post"]["requestBody"]["content"])
        tried = {form.media_type.partition(";")[0] for form in forms.values() if form.media_type}
        assert documented <= tried


def _curl(curl: str, server: Server, path: str, *arguments: str) -> bytes:
    command = [curl, "-sS", "--fail-with-body", "--max-time", "30", "-H", f"Authorization: Bearer {TOKEN}"]
    done = subprocess.run([*command, *arguments, server.url + path], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("path", "form"),
    [
        pytest.param(path, form, id=f"{path[:3]} {name}")
        for path, forms in ((CLASSIFY, CLASSIFY_FORMS), (INFER, INFER_FORMS))
        for name, form in forms.items()
    ],
)
def test_curl_sends_each_form_from_a_file(
    curl: str, server: Server, tmp_path: Path, path: str, form: Form
) -> None:
    (tmp_path / "body").write_bytes(form.body)
    headers = {"Content-Type": "", **_headers_of(form)}
    headers.pop("Authorization")

    given = [argument for name, value in headers.items() for argument in ("-H", f"{name}: {value}")]
    answer = _curl(curl, server, path, *given, "--data-binary", f"@{tmp_path / 'body'}")

    assert scores(answer) == form.scores


def test_curl_sends_pictures_as_a_form(curl: str, server: Server, pictures: list[Path]) -> None:
    answer = _curl(
        curl, server, CLASSIFY, *(argument for path in pictures for argument in ("-F", f"images=@{path}"))
    )

    assert scores(answer) == scores_of(CROPS.tobytes()).tolist()


def classify_by_command(server: Server, *files: Path) -> list[list[int]]:
    """The scores that `hxserve classify` shows of files, (n, 10) LSB."""
    command = Path(sys.executable).with_name("hxserve")
    done = subprocess.run(
        [command, "classify", *files, "--json"],
        env={**os.environ, "HXSERVE_URL": server.url, "HXSERVE_TOKEN": TOKEN},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return scores(done.stdout)


@pytest.mark.parametrize("name", PICTURES)
def test_the_command_reads_a_picture(server: Server, pictures: list[Path], name: str) -> None:
    [(number, path)] = [(number, path) for number, path in enumerate(pictures) if path.name == name]

    assert classify_by_command(server, path) == scores_of(CROPS[number].tobytes()).tolist()


def test_the_command_reads_several_pictures(server: Server, pictures: list[Path]) -> None:
    assert classify_by_command(server, *pictures) == scores_of(CROPS.tobytes()).tolist()


def test_the_command_reads_pictures_whose_names_are_no_utf_8(server: Server, tmp_path: Path) -> None:
    names = [os.fsencode(tmp_path) + b"/" + name for name in (b"a.png", b"f\xfcr.png")]
    for name in names:
        Path(os.fsdecode(name)).write_bytes(PICTURES["a.png"])
    command = os.fsencode(Path(sys.executable).with_name("hxserve"))

    done = subprocess.run(
        [command, b"classify", *names],
        env={**os.environ, "HXSERVE_URL": server.url, "HXSERVE_TOKEN": TOKEN, "COLUMNS": "200"},
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "f\ufffdr.png" in done.stdout.decode()


@pytest.mark.parametrize("array", [CROPS, UNIT], ids=["bytes", "floats"])
def test_the_command_reads_an_array(server: Server, tmp_path: Path, array: NDArray[Any]) -> None:
    (tmp_path / "crops.npy").write_bytes(npy(array))

    assert classify_by_command(server, tmp_path / "crops.npy") == scores_of(CROPS.tobytes()).tolist()
