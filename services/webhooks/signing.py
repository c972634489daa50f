"""Signatures of webhooks, as the Standard Webhooks specification has them.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import secrets
from typing import Final

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """Return a new secret: 256 random bits in base64, after the prefix of the specification."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(secret: str, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign a body.

    Args:
        secret: of the webhook.
        message_id: the same for each try of a message.
        at: time of this try, Unix seconds.
        body: as it is sent.
    """
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signature = hmac.new(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
