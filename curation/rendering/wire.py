"""What Plumbline and the child say to each other: frames of four bytes of length and JSON, and the child's exit.

To the child goes a request or a list of rows; from it come lists of answers, in the order of what was asked.
"""

import struct

LENGTH = struct.Struct("!I")
ROW = struct.Struct("!q")  # the number of the row at work, in memory that both see
FLUSH_SECONDS = 0.05  # an answer waits no longer than this before the next row is begun
SLACK_SECONDS = 0.05  # the child's timers hold for all rows that begin so soon after they were set: each may be so late

# How the child ends if it could not say what went wrong.
EXIT_TOO_SLOW = 3
EXIT_NO_MEMORY = 4


def frame(payload: bytes) -> bytes:
    return LENGTH.pack(len(payload)) + payload


def take(buffer: bytearray, most: int) -> bytes | None:
    """The next frame's payload, taken out of the buffer; None if it is not all there yet.

    ValueError: its length is more than `most`.
    """
    if len(buffer) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack_from(buffer)
    if length > most:
        raise ValueError(f"a frame of {length} bytes")
    end = LENGTH.size + length
    if len(buffer) < end:
        return None
    payload = bytes(buffer[LENGTH.size : end])
    del buffer[:end]
    return payload
