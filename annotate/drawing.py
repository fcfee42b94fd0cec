"""Drawing a share by hash: whoever is drawn stays drawn, whatever comes in later and in which order."""

import hashlib


def is_drawn(name: str, share: float) -> bool:
    """Whether `name` is among the share, from 0 for none to 1 for all. A larger share holds the smaller one."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") < share * 2**64
