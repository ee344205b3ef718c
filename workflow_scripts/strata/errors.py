"""The one exception a user should ever see."""


class StrataError(Exception):
    """Bad input, told in one line that names the file, key or value and what would be right."""
