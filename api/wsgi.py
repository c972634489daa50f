"""The WSGI application for any server: `api.wsgi:app()` from the environment's settings."""

import atexit
from contextlib import ExitStack

from flask import Flask

from api.app import create_app
from api.application import Application, open_application
from api.wakeups import celery_wake_up
from services.logs import configure_logging
from services.settings import Settings, load_settings
from services.store.schema import ensure_schema
from services.tracing.traces import exported
from services.users.authentication import Tokens, read_admin_token


def app() -> Flask:
    """Return the application of a server process; its connections close when the process ends.

    Raises:
        SettingsError: a setting is wrong, or there is no admin token.
        SchemaError: the records in Redis are of a newer hxserve.
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format, process="api")
    stack = ExitStack()
    atexit.register(stack.close)
    return open_app(settings, stack)[0]


def open_app(settings: Settings, stack: ExitStack) -> tuple[Flask, Application]:
    """Open the web application and the services behind it; they close with the stack."""
    application, tokens = open_services(settings, stack, "api")
    return create_app(application, tokens), application


def open_services(settings: Settings, stack: ExitStack, process: str) -> tuple[Application, Tokens]:
    """Open the services of an API process of this name, and the tokens of its users; they close with the stack."""
    admin_token = read_admin_token(settings.token_file)
    stack.enter_context(exported(process))
    application = stack.enter_context(open_application(settings, celery_wake_up(settings.redis_url)))
    application.connection.check()
    ensure_schema(application.connection)
    return application, Tokens(admin_token, application.users, settings.user_quotas)
