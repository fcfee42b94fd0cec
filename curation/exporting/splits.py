"""Which side of the split a row is on: by hash, so it stays there as data grows."""

from annotate.drawing import is_drawn


def is_held_out(split_group: str, salt: str, share: float) -> bool:
    """Whether a split group is in the test split."""
    return is_drawn(f"{salt}:{split_group}", share)


def is_person_held_out(pseudonym: str, salt: str, share: float) -> bool:
    """Whether somebody's work is test only."""
    return is_drawn(f"{salt}:annotator:{pseudonym}", share)
