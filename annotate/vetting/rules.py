"""When results on items with a known answer are enough to decide on somebody, and what the decision rests on.

A counting rule reads how many of the first n results are right. It stops at the first n at which it does not go on, so
what comes later changes nothing; at its cap it stops in any case. `Mean` reads ratings of written work instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from math import fsum, log
from typing import Any, NamedTuple

from scipy.special import betaincc
from scipy.stats import binomtest

APPROVE, REJECT, UNDECIDED, GOING_ON = "approve", "reject", "undecided", "going_on"

MOST_ITEMS = 500
BEST_RATING = 7
CODES = {
    "unknown": "there is no such setting, or no such kind of rule",
    "needed": "it has to be given",
    "number": "a number is needed",
    "whole_number": "a whole number is needed",
    "between_0_and_1": "it must lie between 0 and 1, neither of them included",
    "between_0_and_half": "it must lie between 0 and 0.5, neither of them included",
    "between_half_and_1": "it must lie between 0.5 and 1, neither of them included",
    "p0_below_p1": "it must be below p1",
    "cap_1_to_500": "from 1 to 500 items are possible",
    "least_up_to_cap": "from 1 item up to the cap are possible",
    "right_up_to_n": "from 1 right answer up to all n are possible",
    "mean_1_to_7": "it must lie between 1 and 7",
    "places_1_or_more": "at least one place is needed",
}
"""All reasons why a setting is refused."""


class RuleError(ValueError):
    """A setting that no rule can have: which, and one of `CODES`."""

    def __init__(self, field: str, code: str) -> None:
        super().__init__(f"{field}: {CODES[code]}")
        self.field = field
        self.code = code


# --- The rules --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sprt:
    """The sequential probability ratio test (Wald 1945): is the ability p0 or p1? Undecided at the cap.

    `alpha`: how often somebody of ability p0 is approved, `beta`: how often one of p1 is rejected, nearly.
    """

    p0: float = 0.65
    p1: float = 0.80
    alpha: float = 0.05
    beta: float = 0.10
    cap: int = 60

    def __post_init__(self) -> None:
        for field in ("p0", "p1"):
            _between(self, field, 0, 1, "between_0_and_1")
        for field in ("alpha", "beta"):
            _between(self, field, 0, 0.5, "between_0_and_half")
        if self.p0 >= self.p1:
            raise RuleError("p0", "p0_below_p1")
        _whole(self, "cap", MOST_ITEMS, "cap_1_to_500")

    @property
    def upper(self) -> float:
        return log((1 - self.beta) / self.alpha)

    @property
    def lower(self) -> float:
        return log(self.beta / (1 - self.alpha))

    def log_ratio(self, k: int, n: int) -> float:
        return k * log(self.p1 / self.p0) + (n - k) * log((1 - self.p1) / (1 - self.p0))

    def outcome(self, k: int, n: int) -> str:
        ratio = self.log_ratio(k, n)
        if ratio >= self.upper:
            return APPROVE
        if ratio <= self.lower:
            return REJECT
        return UNDECIDED if n >= self.cap else GOING_ON


@dataclass(frozen=True)
class Posterior:
    """Approve or reject as soon as one is as sure as `sure` that the ability reaches the target, or that it does not.

    Every ability is as likely as any other beforehand. Looked at after each item from `least` on, which makes it
    more often wrong than 1 - `sure`: `annotate.vetting.characteristic` says how often. Undecided at the cap.
    """

    target: float = 0.75
    sure: float = 0.90
    least: int = 12
    cap: int = 60

    def __post_init__(self) -> None:
        _between(self, "target", 0, 1, "between_0_and_1")
        _between(self, "sure", 0.5, 1, "between_half_and_1")
        _whole(self, "cap", MOST_ITEMS, "cap_1_to_500")
        _whole(self, "least", self.cap, "least_up_to_cap")

    def outcome(self, k: int, n: int) -> str:
        if n < self.least:
            return GOING_ON
        chance = p_at_least(k, n, self.target)
        if chance >= self.sure:
            return APPROVE
        if chance <= 1 - self.sure:
            return REJECT
        return UNDECIDED if n >= self.cap else GOING_ON


@dataclass(frozen=True)
class Fixed:
    """Approve whoever has `right` or more of n items right, reject the others."""

    n: int = 20
    right: int = 15

    def __post_init__(self) -> None:
        _whole(self, "n", MOST_ITEMS, "cap_1_to_500")
        _whole(self, "right", self.n, "right_up_to_n")

    @property
    def cap(self) -> int:
        return self.n

    def outcome(self, k: int, n: int) -> str:
        if n < self.n:
            return GOING_ON
        return APPROVE if k >= self.right else REJECT


@dataclass(frozen=True)
class ByHand:
    """After n items a person decides."""

    n: int = 20

    def __post_init__(self) -> None:
        _whole(self, "n", MOST_ITEMS, "cap_1_to_500")

    @property
    def cap(self) -> int:
        return self.n

    def outcome(self, k: int, n: int) -> str:
        return GOING_ON if n < self.n else UNDECIDED


@dataclass(frozen=True)
class Top:
    """The best of a cohort, as many as there are places, are approved together: see `top`.

    On its own a person's result is therefore undecided, once `least` items are done.
    """

    places: int
    least: int = 20

    def __post_init__(self) -> None:
        _whole(self, "places", None, "places_1_or_more")
        _whole(self, "least", MOST_ITEMS, "cap_1_to_500")

    @property
    def cap(self) -> int:
        return self.least

    def outcome(self, k: int, n: int) -> str:
        return GOING_ON if n < self.least else UNDECIDED


@dataclass(frozen=True)
class Mean:
    """Approve whose written work has at least this mean rating, from 1 to 7, once `least` pieces are rated."""

    least: int = 3
    mean: float = 6.0

    def __post_init__(self) -> None:
        _whole(self, "least", MOST_ITEMS, "cap_1_to_500")
        if not 1 <= _number(self, "mean") <= BEST_RATING:
            raise RuleError("mean", "mean_1_to_7")

    def outcome_of(self, ratings: Sequence[float]) -> str:
        if len(ratings) < self.least:
            return GOING_ON
        # The mean of three times 6.1 is a hair below 6.1.
        return APPROVE if fsum(ratings) / len(ratings) >= self.mean - 1e-9 else REJECT


Counting = Sprt | Posterior | Fixed | ByHand | Top
Rule = Counting | Mean


def _number(rule: Rule, field: str) -> float:
    value = getattr(rule, field)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RuleError(field, "number")
    return value


def _between(rule: Rule, field: str, low: float, high: float, code: str) -> None:
    if not low < _number(rule, field) < high:
        raise RuleError(field, code)


def _whole(rule: Rule, field: str, most: int | None, code: str) -> None:
    value = getattr(rule, field)
    if type(value) is not int:
        raise RuleError(field, "whole_number")
    if value < 1 or (most is not None and value > most):
        raise RuleError(field, code)


# --- What they say ----------------------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """What a rule says of results: k right of the n at which it stopped, and the figures that this rests on."""

    outcome: str
    k: int
    n: int
    figures: dict[str, float]  # rounded to 6 decimals: what is stored is what was shown


def decide(rule: Counting, results: Sequence[bool]) -> Verdict:
    """What the rule says of results in the order in which they came, up to where it first stops."""
    outcome, k, n = GOING_ON, 0, 0
    for right in results:
        k, n = k + bool(right), n + 1
        outcome = rule.outcome(k, n)
        if outcome != GOING_ON:
            break
    return Verdict(outcome, k, n, _figures(rule, k, n))


def _figures(rule: Counting, k: int, n: int) -> dict[str, float]:
    low, high = wilson(k, n)
    figures = {"wilson_low": low, "wilson_high": high}
    if isinstance(rule, Sprt):
        figures |= {"log_ratio": rule.log_ratio(k, n), "upper": rule.upper, "lower": rule.lower}
    if isinstance(rule, Posterior):
        figures["p_at_least"] = p_at_least(k, n, rule.target)
    return {name: round(value, 6) for name, value in figures.items()}


def top(people: Mapping[str, tuple[int, int]], places: int) -> list[str]:
    """Who gets the places: whose share of right answers (k of n) has the highest lower end, the best first.

    The lower end, not the share: three of three is less than forty of forty-two. Of equals the first by name; nobody
    without an item.
    """
    lows = {name: wilson(k, n)[0] for name, (k, n) in people.items() if n}
    return sorted(lows, key=lambda name: (-lows[name], name))[:places]


def p_at_least(k: int, n: int, target: float) -> float:
    """How sure k right of n make one that the ability is at least the target, when any was as likely beforehand."""
    return float(betaincc(1 + k, 1 + n - k, target))


def wilson(k: int, n: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927); of nothing, all that is possible."""
    if not n:
        return 0.0, 1.0
    interval = binomtest(k, n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


# --- As settings ------------------------------------------------------------------------------------------------------

KINDS: dict[str, type[Rule]] = {
    "sprt": Sprt,
    "posterior": Posterior,
    "fixed": Fixed,
    "by_hand": ByHand,
    "mean": Mean,
    "top": Top,
}


def from_settings(settings: Mapping[str, Any]) -> Rule:
    """The rule of settings such as {"kind": "fixed", "n": 30, "right": 24}; what is not given is as by default.

    Raises RuleError, which names the field.
    """
    rule = KINDS.get(str(settings.get("kind")))
    if rule is None:
        raise RuleError("kind", "unknown")
    given = {name: value for name, value in settings.items() if name != "kind"}
    known = fields(rule)
    for name in given:
        if name not in {field.name for field in known}:
            raise RuleError(name, "unknown")
    for field in known:
        if field.default is MISSING and field.name not in given:
            raise RuleError(field.name, "needed")
    return rule(**given)


def to_settings(rule: Rule) -> dict[str, Any]:
    """What `from_settings` reads, every setting written out."""
    kind = next(name for name, made in KINDS.items() if made is type(rule))
    return {"kind": kind, **asdict(rule)}
