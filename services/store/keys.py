"""Every key in Redis, for Python and for Lua: scripts use the same names (services/store/scripts.py).

The store is one Redis node (replicated, not sharded), so scripts build the names of keys themselves. A lane is
`<model>@<version>[@<chip's hardware>]:<user>`; `chips` is the consumer group of its stream. Wake-ups are in Celery's
own keys: `hxserve.chip.<chip>` and `_kombu.*`, `unacked*`, `*.celery.pidbox*`.
"""

from typing import Final


class Key(str):
    """The name of a key with blanks; calling it fills them."""

    __slots__ = ()

    def __call__(self, *parts: object) -> str:
        """Return the name of one key."""
        return self.format(*parts)


SCHEMA: Final = "hx:schema"
"""String: version of the layout of the records."""
PREFIX: Final = "hx:"
"""Of every key of the service."""

# Jobs
JOBS: Final = "hx:jobs"
"""Sorted set: job id by creation time."""
LONG: Final = "hx:jobs:long"
"""Set: unfinished long jobs."""
LONG_REVISION: Final = "hx:jobs:long:revision"
"""Integer: changes whenever a long job comes, begins, is cancelled or ends."""
CHANGES: Final = "hx:changes"
"""Stream: id of each job that changed."""
FINISHED: Final = "hx:finished"
"""Hash: '<kind>:<state>' -> number of jobs that have ended."""
job_key: Final = Key("hx:job:{}")
"""Hash: a job's record, by its id."""
events_key: Final = Key("hx:job:{}:events")
"""Stream: the events of a job."""
results_key: Final = Key("hx:job:{}:results")
"""Hash: part -> its answer, of a classification."""
idempotency_key: Final = Key("hx:idempotency:{}")
"""Hash: digest of the request and id of its job, by '<user>:<Idempotency-Key>'."""

# Crops
WAITING: Final = "hx:crops:waiting"
"""Hash: lane -> 'crops entries oldest_ms', of the entries that no worker has claimed."""
LANES: Final = "hx:crops:lanes"
"""Set: lanes whose stream exists."""
DEPTH: Final = "hx:depth"
"""Stream: numbers of waiting crops and jobs, every few seconds."""
lane_key: Final = Key("hx:crops:{}")
"""Stream: entries of up to 64 crops, of one lane."""
late_key: Final = Key("hx:late:{}:{}")
"""Hash: job -> 'first count', its crops of an entry; by lane and entry."""
replies_key: Final = Key("hx:replies:{}")
"""Stream: answers for one API process."""

# Corrections
kept_key: Final = Key("hx:kept:{}")
"""Hash, expires: user and number of crops of an answer that may be corrected, and part -> its crops; by job."""
kept_of: Final = Key("hx:user:{}:kept")
"""Sorted set: job of each kept answer of a user, by the number of crops kept up to and with it."""
correction_key: Final = Key("hx:correction:{}")
"""Hash, expires: a correction, by '<answer>-<index>' or '<source>-<digest of user and crop>'."""
corrections_of: Final = Key("hx:user:{}:corrections")
"""Sorted set: open corrections of a user, by the time of their last word."""
CORRECTED: Final = "hx:corrected"
"""Hash: '<model>@<version>:<outcome>:<given or withdrawn>' -> number of corrections."""

# Programs
PROGRAMS: Final = "hx:programs"
"""Sorted set: job id of each open session, by the time of its last operation."""
operations_key: Final = Key("hx:operations:{}")
"""Hash: operation -> 'session user accepted_ms', of those that wait for a chip."""
operation_key: Final = Key("hx:operation:{}")
"""Hash, expires: an operation, by '<session>:<Idempotency-Key>': digest, request, reply_to, claims, its span if that is
sampled, and its answer."""
weights_key: Final = Key("hx:program:{}:weights")
"""Hash: digest -> weights that a session keeps."""

# Chips
CHIPS: Final = "hx:chips"
"""Set: chips that have or had a worker."""
IDENTIFIERS: Final = "hx:chips:identifiers"
"""Hash: chip -> its hardware's name, as it was last."""
chip_key: Final = Key("hx:chip:{}:{}")
"""By chip: 'lease' (hash, expires), 'fence' (integer), 'bell' (list of '1' or a backlog), 'idle' (string, expires:
reference and number of the crops it would choose, while it waits), 'wakeup' (string, expires), 'drain' (string),
'pattern' (string), and its series, such as 'canary' (streams)."""
trial_key: Final = Key("hx:trial:{}:{}")
"""Stream, expires: readings by the candidate of a rollout, by '<model>@<version>' and the candidate's number."""
SAMPLES: Final = "hx:samples"
"""Hash: digit -> crops of the test set."""
PACES: Final = "hx:paces"
"""Hash: kind of step -> its recent pace."""

# Charges
CHARGED: Final = "hx:charged"
"""Hash: user -> 'seconds at', a decaying sum of chip time."""
usage_key: Final = Key("hx:usage:{}")
"""Hash: user -> chip seconds, by kind of job."""
used_key: Final = Key("hx:used:{}")
"""Hash: user -> chip seconds of a day (UTC), by its number since 1970; kept for two days."""
minute_key: Final = Key("hx:minute:{}:charged")
"""Hash: '<chip>:<kind>:<user>' -> chip seconds of a minute, by its number since 1970; kept for two hours."""

# Users
USERS: Final = "hx:users"
"""Set: names of users."""
TOKENS: Final = "hx:tokens"
"""Hash: SHA-256 of a token -> its user."""
user_key: Final = Key("hx:user:{}")
"""Hash: a user's record, by name."""
tokens_of: Final = Key("hx:user:{}:tokens")
"""Hash: SHA-256 of a token -> 'issued expires', of a user."""
long_of: Final = Key("hx:user:{}:long")
"""Set: unfinished long jobs of a user."""
jobs_of: Final = Key("hx:user:{}:jobs")
"""Sorted set: as JOBS, of a user."""
session_key: Final = Key("hx:session:{}")
"""String, expires: a browser's session, by its SHA-256."""
sign_in_link_key: Final = Key("hx:link:{}")
"""String, expires: the SHA-256 of a token, by that of the code that signs in with it once."""

# Classes
CLASSES: Final = "hx:classes"
"""Set: code of each class."""
class_key: Final = Key("hx:class:{}")
"""Hash: a class's record, by its code."""
seats_of: Final = Key("hx:class:{}:seats")
"""Set: accounts of a class's pupils."""
leaving_of: Final = Key("hx:class:{}:leaving")
"""Hash: account that is being deleted -> since when."""
return_key: Final = Key("hx:class:{}:return:{}")
"""String, expires: the account that a pupil enters again with a code."""
traces_of: Final = Key("hx:user:{}:traces")
"""Set: further keys that belong to a pupil, deleted with the account."""
tries_key: Final = Key("hx:tries:{}")
"""Integer, expires: tries to join or to return in a minute, by what was tried."""
game_key: Final = Key("hx:game:{}:{}")
"""Hash, expires: a game of a user: 'prompts', 'at', 'right', 'ends', or 'wanted' and 'read' of misread pictures."""
players_of: Final = Key("hx:board:{}:players")
"""Hash, expires: user who wants to be on a board -> nickname; boards are 'service' and those of classes."""
scores_of: Final = Key("hx:board:{}:{}:scores")
"""Sorted set, expires: users by their best score in a challenge of a board."""
fools_of: Final = Key("hx:board:{}:fools")
"""Hash, expires: id -> drawing that fooled the chip, as JSON."""
votes_of: Final = Key("hx:board:{}:votes")
"""Hash, expires: '<drawing>:<user>' -> digit."""
classes_of: Final = Key("hx:user:{}:classes")
"""Set: codes of the classes that a user teaches."""

# Webhooks
HOOKS_DUE: Final = "hx:webhooks:due"
"""Sorted set: '<user>:<hook>' of each hook with deliveries that wait, by the time of its next try."""
HOOKS_TAKEN: Final = "hx:webhooks:taken"
"""Sorted set: '<user>:<hook>:<delivery>' of each one that an API process is trying, by the end of its lease."""
HOOKS_WAITING: Final = "hx:webhooks:waiting"
"""Sorted set: '<user>:<delivery>' of each delivery that waits, by the time since which it does."""
HOOKS_COUNTED: Final = "hx:webhooks:counted"
"""Hash: 'delivered' and 'failed' -> deliveries that ended so, 'tried' -> tries that failed."""
hooks_of: Final = Key("hx:user:{}:hooks")
"""Sorted set: id of each webhook of a user, by its creation time."""
hook_key: Final = Key("hx:user:{}:hook:{}")
"""Hash: a webhook, by user and id."""
hook_queue: Final = Key("hx:user:{}:hook:{}:queue")
"""Sorted set: id of each delivery of a webhook that waits, by the time of its next try."""
deliveries_of: Final = Key("hx:user:{}:deliveries")
"""Sorted set: id of each delivery of a user, by its creation time."""
delivery_key: Final = Key("hx:user:{}:delivery:{}")
"""Hash, expires: a delivery, by user and id."""

LETTERS: Final = "hx:letters"
"""Set: users with a letter centre."""
letters_key: Final = Key("hx:letters:{}")
"""String, expires: newest status of a user's letter centre."""
CENTRE_ON_DEMAND: Final = "hx:centre:on-demand"
"""String, expires: a process waits for orders of a letter centre, or carries one out."""
CENTRE_ORDER: Final = "hx:centre:order"
"""Hash, expires: the newest order: 'id', 'user', 'params', 'state', 'problem'."""
CENTRE_LEASE: Final = "hx:centre:lease"
"""String, expires: id of the order that waits or is carried out."""
desk_letters: Final = Key("hx:desk:{}:letters")
"""Hash, expires: id -> letter on a user's coding desk."""
desk_waiting: Final = Key("hx:desk:{}:waiting")
"""Sorted set, expires: id of each letter without a postcode, by the time from which a coder may claim it."""
desk_keyed: Final = Key("hx:desk:{}:keyed")
"""Sorted set, expires: id of each keyed letter, by the time of its postcode."""
desk_postcodes: Final = Key("hx:desk:{}:postcodes")
"""Hash, expires: id -> keyed postcode."""
desk_count: Final = Key("hx:desk:{}:count")
"""Integer, expires: letters keyed on a user's desk."""


def lua_definitions() -> str:
    """Return these names as Lua: constants, and functions where there are blanks."""
    return "".join(
        _lua_function(name, value) if isinstance(value, Key) else f"local {name} = '{value}'\n"
        for name, value in globals().items()
        if isinstance(value, str) and value.startswith(PREFIX)
    )


def _lua_function(name: str, key: Key) -> str:
    first, *others = key.split("{}")
    blanks = ("a", "b")[: len(others)]
    filled = "".join(
        f" .. {blank}" + (f" .. '{piece}'" if piece else "")
        for blank, piece in zip(blanks, others, strict=True)
    )
    return f"local function {name}({', '.join(blanks)}) return '{first}'{filled} end\n"
