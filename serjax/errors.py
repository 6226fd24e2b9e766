"""The one ancestor of every error that a user can cause and mend."""


class SerjaxError(ValueError):
    """Something given from outside is wrong; the message says what came, what was expected and what to do."""

    exit_code = 2
