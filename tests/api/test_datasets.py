"""Data sets over HTTP: who sees which, sample sheets, crops, shares; and the quota that holds for them."""

import io

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from safetensors.numpy import load

from api.application import Application
from services.datasets.manifest import DatasetManifest
from services.publication import MANIFEST
from tests.api.requests import Enter
from tests.services.datasets.crops import a_dataset_origin, some_labelled


@pytest.fixture
def published(application: Application) -> DatasetManifest:
    """A data set of ada's."""
    return application.datasets.publish(
        a_dataset_origin("ada~mine"), some_labelled(31), some_labelled(12, seed=1)
    )


def test_a_data_set_is_its_owners_until_it_is_shared(enter: Enter, published: DatasetManifest) -> None:
    ada, grace = enter("ada"), enter("grace")

    [mine] = ada.get("/v1/datasets").get_json()["datasets"]
    assert (mine["name"], mine["owner"], mine["versions"], mine["shared"]) == (
        "ada~mine",
        "ada",
        ["1"],
        False,
    )
    assert DatasetManifest.model_validate(mine["newest"]) == published
    assert grace.get("/v1/datasets").get_json() == {"datasets": []}
    assert grace.get("/v1/datasets/ada~mine").get_json()["code"] == "dataset_not_found"
    assert grace.put("/v1/datasets/ada~mine/share").status_code == 404

    assert ada.put("/v1/datasets/mine/share").get_json()["shared"]

    assert grace.get("/v1/datasets/ada~mine").get_json()["versions"][0]["sha256"] == published.sha256
    assert grace.delete("/v1/datasets/ada~mine").status_code == 403
    assert not ada.delete("/v1/datasets/mine/share").get_json()["shared"]
    assert grace.get("/v1/datasets/ada~mine").status_code == 404


def test_a_version_is_found_by_number_and_by_content(enter: Enter, published: DatasetManifest) -> None:
    ada = enter("ada")

    for version in ("1", published.sha256[:8], published.sha256):
        found = ada.get(f"/v1/datasets/mine/versions/{version}").get_json()
        assert DatasetManifest.model_validate(found) == published


def test_the_crops_are_downloaded_as_they_were_published(enter: Enter, published: DatasetManifest) -> None:
    with enter("ada").get("/v1/datasets/mine/versions/1/crops") as answer:
        tag, content = answer.headers["ETag"], answer.data

    assert tag == f'"{published.sha256}"'
    np.testing.assert_array_equal(load(content)["test_images"], some_labelled(12, seed=1).images)


@pytest.mark.usefixtures("published")
def test_a_sample_sheet_shows_crops_of_each_digit(enter: Enter) -> None:
    ada, path = enter("ada"), "/v1/datasets/mine/versions/1/sheet"

    answer = ada.get(f"{path}?part=test")

    sheet = np.asarray(Image.open(io.BytesIO(answer.data)))
    assert answer.mimetype == "image/png"
    assert sheet.shape == (302, 602)
    crops = some_labelled(12, seed=1).images
    np.testing.assert_array_equal(sheet[2:30, 2:30], crops[0])
    np.testing.assert_array_equal(sheet[2:30, 32:60], crops[10])
    np.testing.assert_array_equal(sheet[62:90, 2:30], crops[2])
    assert (sheet[62:90, 32:] == 48).all()
    again = ada.get(f"{path}?part=test", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_damaged_version_is_listed_with_its_problem(
    enter: Enter, application: Application, published: DatasetManifest
) -> None:
    (application.datasets.folder / "ada~mine" / "1" / MANIFEST).write_text("{}")
    ada = enter("ada")

    [version] = ada.get("/v1/datasets/mine").get_json()["versions"]

    assert (version["version"], version["problem"]["code"]) == (published.version, "dataset_damaged")
    assert ada.get("/v1/datasets").get_json()["datasets"][0]["newest"] is None
    assert ada.get("/v1/datasets/mine/versions/1/sheet").status_code == 500


def test_what_data_sets_take_is_shown_and_deleting_gives_it_back(
    enter: Enter, published: DatasetManifest
) -> None:
    ada = enter("ada", dataset_bytes=100_000)

    before = ada.get("/v1/me").get_json()["quotas"]["dataset_bytes"]
    assert ada.delete("/v1/datasets/mine/versions/1").status_code == 204

    assert before == {"limit": 100_000, "used": published.bytes, "remaining": 100_000 - published.bytes}
    assert ada.get("/v1/me").get_json()["quotas"]["dataset_bytes"]["used"] == 0
    assert ada.get("/v1/datasets").get_json() == {"datasets": []}


def test_the_data_sets_of_admins_are_the_services(
    client: FlaskClient, application: Application, enter: Enter
) -> None:
    application.datasets.publish(a_dataset_origin("mine"), some_labelled(3), some_labelled(2))
    grace = enter("grace")

    assert grace.get("/v1/datasets/mine").get_json()["owner"] is None
    assert grace.delete("/v1/datasets/mine").status_code == 403
    assert client.delete("/v1/datasets/mine").status_code == 204
