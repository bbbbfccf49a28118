"""The one error type that users see: a sentence that names the file or field, what is wrong and the remedy."""


class AebertError(Exception):
    """Bad input or a missing tool. The CLI prints it on one line and exits with code 2."""
