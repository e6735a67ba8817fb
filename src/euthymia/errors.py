"""The one kind of error a user should ever read."""


class UserError(ValueError):
    """What was asked cannot be done; the message says in one sentence what, where, and what is allowed."""
