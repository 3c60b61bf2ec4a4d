"""The one error of this package."""


class DevclusterError(Exception):
    """What went wrong, in one sentence for people that ends with what to do; the command line prints it as it is."""
