"""The one error of this package."""


class PrepareError(Exception):
    """What went wrong, in a sentence for people that ends with what to do."""
