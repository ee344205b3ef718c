"""The one exception a user should ever see, and others' errors in its words."""


class StrataError(Exception):
    """Bad input, told in one line that names the file, key or value and what would be right."""


def one_line(error: BaseException, most: int = 300) -> str:
    """What an error says, in one line of up to `most` characters; its kind where it says nothing.

    Libraries break their messages into lines, or quote the content that they met.
    """
    return " ".join(str(error).split())[:most] or type(error).__name__
