"""The ancestor of every error that a user can cause and correct, and the one of flags."""


class SerjaxError(ValueError):
    """Something given from outside is wrong; the message says what came, what was expected and what to do."""

    exit_code = 2


class ConfigError(SerjaxError):
    """A flag has a value that makes no sense."""
