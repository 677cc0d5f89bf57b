"""Words as they are compared, and as they go into keys."""

from __future__ import annotations

from functools import lru_cache
from unicodedata import is_normalized, normalize


@lru_cache(maxsize=1024)
def folded(text: str) -> str:
    """`text` as it is compared: NFC and without case. Remembered: a record says the same few names again and again."""
    if text.isascii():
        return text.lower()
    return (text if is_normalized("NFC", text) else normalize("NFC", text)).casefold()


def composed(text: str) -> str:
    """`text` in NFC, for keys that must not depend on how a letter was typed."""
    return text if text.isascii() else normalize("NFC", text)
