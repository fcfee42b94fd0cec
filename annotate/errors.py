"""What can go wrong with what a person asked for. Pages, API, admin and commands turn these into their own words."""


class Refused(Exception):
    """The request is understood and cannot be done; the message says why and what would help."""
