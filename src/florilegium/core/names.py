"""Names of files and of classes. A name may hold bytes that are no UTF-8, which Python keeps as lone surrogates, and
one name may be spelt in two ways (é as one character, as in most files, or as two, as macOS writes it)."""

import unicodedata


def spelt(name: str) -> str:
    """A name in the one spelling (NFC) in which names are compared, and classes are called."""
    return unicodedata.normalize("NFC", name)


def shown(name: str) -> str:
    """A name that can be printed and drawn: bytes that are no UTF-8 become `\\xXX`."""
    return name_bytes(name).decode("utf-8", "backslashreplace")


def class_name(folder: str) -> str:
    """The class that a folder stands for: the same text however its name is spelt, and always one that can be drawn."""
    return spelt(shown(folder))


def name_bytes(name: str) -> bytes:
    """The bytes of a name as they are on the disk, for hashes."""
    return name.encode("utf-8", "surrogateescape")
