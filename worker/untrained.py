"""The model `untrained`: random weights, a network before learning."""

import logging
from typing import Final

from torch import Tensor

from services.errors import StorageError
from services.models.files import ModelStore
from services.models.manifest import Origin
from services.networks.network import Network
from services.users.authentication import SYSTEM
from worker.checkpoints import pack_weights, software_versions
from worker.chip import ChipSession
from worker.descriptions import describe_version
from worker.learning.network import build_network, resolve_spec, weights_of
from worker.learning.randomness import OwnRandomness

UNTRAINED: Final = "untrained"
_SEED: Final = 0
_SCORE_SCALE: Final = 0.0
"""An untrained network is right one time in ten, and its confidence says so."""

_log = logging.getLogger(__name__)


def publish_untrained(models: ModelStore, session: ChipSession, crops: Tensor) -> None:
    """Publish the model unless one of its name exists; a full disk does not stop the worker.

    `crops`, `(count, 28, 28)` uint8, are those of its check.
    """
    if models.versions(UNTRAINED):
        return
    try:
        _publish(models, session, crops)
    except StorageError as error:
        _log.warning("the model %s is not published: %s", UNTRAINED, error.message)


def _publish(models: ModelStore, session: ChipSession, crops: Tensor) -> None:
    perceptron, parameter = session.perceptron, session.mock_parameter
    with OwnRandomness(perceptron, parameter, _SEED).active():
        network = build_network(Network.perceptron(), perceptron, "mock")
    facts, weights = session.describe(), weights_of(network)
    spec = resolve_spec(Network.perceptron(), network)
    models.publish(
        Origin(
            name=UNTRAINED,
            user=SYSTEM.name,
            job=UNTRAINED,
            network=spec,
            recipe={},
            metrics={},
            dataset={},
            execution="mock",
            backend="mock",
            chip=session.chip,
            identifier=facts["identifier"],
            calibration=facts["calibration"],
            gain=parameter.gain,
            noise_std=parameter.noise_std,
            score_scale=_SCORE_SCALE,
            seed=_SEED,
            software=software_versions(),
        ),
        pack_weights(weights, describe_version(spec, weights, crops, perceptron, parameter)),
    )
    _log.info("published the model %s", UNTRAINED)
