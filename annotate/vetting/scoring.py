"""What an answer to an item with a known answer is worth: whether it passes, and how much of it is right.

Answers are values as an adjudication keeps them, a list of `{"completion": id or None, "rule": id or None, "value": …}`. What
each kind of question has for a value is in `annotate/models/consensus.py`; the ids of a value's tiers may be text or numbers.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from annotate.questions import DEGREES

SHARE = 0.75  # how much of an order, or of several units, has to be right
FEW_STEPS = 3  # of a rating: where there are no more, only the same step will do
CLOSE = 1e-9


class Score(NamedTuple):
    passed: bool
    share: float  # how much is right, 0 to 1


def score(
    kind: str,
    gold: Sequence[Mapping[str, Any]],
    given: Sequence[Mapping[str, Any]],
    *,
    settings: Mapping[str, Any],
    share: float = SHARE,
    tolerance: int | None = None,
) -> Score:
    """An answer beside the known one, of a question of this kind and settings.

    Of an order, `share` of the pairs that the known one puts one above the other have to stand that way round. A rating may
    be `tolerance` steps off: by default 1, and 0 where there are at most three steps. A degree of violation has to say the
    same about whether the rule is broken. Of several outputs or rules `share` have to pass; one that the answer leaves out
    does not, one that the known answer leaves out is not looked at.
    Raises ValueError for a kind whose answers cannot be compared, and for a known answer without any value.
    """
    if kind not in ("ranking", "pairwise", "choice", "multi_choice", "rating", "rule"):
        raise ValueError(f"answers of kind {kind!r} cannot be scored")
    if not gold:
        raise ValueError("a known answer without any value scores nothing")
    said = {_unit(one): one["value"] for one in given}
    scores = [_scored(kind, one["value"], said.get(_unit(one)), settings, share, tolerance) for one in gold]
    part = sum(one.passed for one in scores) / len(scores)
    return Score(part >= share - CLOSE, sum(one.share for one in scores) / len(scores))


def _unit(value: Mapping[str, Any]) -> tuple[Any, Any]:
    return value.get("completion"), value.get("rule")


def _scored(
    kind: str, gold: Any, given: Any, settings: Mapping[str, Any], share: float, tolerance: int | None
) -> Score:
    if given is None:
        return Score(False, 0.0)
    if kind in ("ranking", "pairwise"):
        return _order(gold, given, share)
    if kind == "multi_choice":
        options = [option["value"] for option in settings["options"]]
        agreed = sum((option in gold) == (option in given) for option in options)
        return Score(set(gold) == set(given), agreed / len(options))
    if kind == "rating":
        widest = settings["max"] - settings["min"]
        if tolerance is None:
            tolerance = 0 if widest < FEW_STEPS else 1
        return Score(abs(gold - given) <= tolerance, 1 - abs(gold - given) / widest)
    if kind == "rule":
        return Score((gold > 0) == (given > 0), 1 - abs(gold - given) / DEGREES[-1])
    return Score(gold == given, float(gold == given))


def _order(gold: Mapping[str, Any], given: Mapping[str, Any], share: float) -> Score:
    placed, said = _places(gold), _places(given)
    pairs = _strict(placed, placed)
    if pairs:
        right = sum(one in said and other in said and said[one] < said[other] for one, other in pairs) / len(pairs)
        return Score(right >= share - CLOSE, right)
    # Nothing is above anything: the answer has to tie the same outputs, or give the same reason for having no order.
    tied = bool(placed) and placed.keys() <= said.keys() and not _strict(placed, said)
    same = tied or (gold.get("outcome") is not None and gold["outcome"] == given.get("outcome"))
    return Score(same, float(same))


def _places(value: Mapping[str, Any]) -> dict[str, float]:
    """Where each output stands, 1 the best. What has no tier stands below all that have one."""
    return {str(output): inf if tier is None else tier for output, tier in value["tiers"].items()}


def _strict(outputs: Mapping[str, float], places: Mapping[str, float]) -> list[tuple[str, str]]:
    """Each two of the outputs of which the first stands above the other."""
    return [(one, other) for one in outputs for other in outputs if places[one] < places[other]]
