"""What an answer says, in a few words, to read beside others. No database here.

Values as of `annotate/models/consensus.py`. Of a preference there may stand beside its tiers, in an answer or a decision:
`outcome` (what it says instead of an order, or besides), `acceptable` (the outputs above the line), `strength`.
"""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from annotate.questions import NONE_ACCEPTABLE, NOT_RANKABLE

NEITHER = "neither"
PREFERENCES = ("ranking", "pairwise")
MOST_PAIRS = 3
Letters = Mapping[int, str]
"""The letter of each output, by its id."""


def in_words(question: Any, value: Any, letters: Letters) -> str:
    """What the value says; with the question's labels in the reader's language, and outputs by their letters."""
    settings = question.says(get_language() or "en")["settings"]
    if question.kind in PREFERENCES:
        return _preference(settings, value, letters)
    if question.kind == "multi_choice":
        labels = _labels(settings)
        return ", ".join(labels.get(one, one) for one in value) or _("none of them")
    if question.kind == "choice":
        return _labels(settings).get(value, str(value))
    return _step(question.kind, settings, value)


def votes_in_words(question: Any, votes: Any, letters: Letters) -> str:
    """How many people said what. Of an order the pairs that they disagree on most."""
    settings = question.says(get_language() or "en")["settings"]
    if question.kind in PREFERENCES:
        split = sorted(votes, key=lambda pair: -(sum(pair[2]) - max(pair[2])))
        shown = [_pair_votes(letters, *pair) for pair in split[:MOST_PAIRS]]
        return "; ".join(shown) + (" …" if len(votes) > MOST_PAIRS else "")
    if question.kind in ("choice", "multi_choice"):
        labels = _labels(settings)
        said = [(labels.get(one, one), votes[one]) for one in dict.fromkeys([*labels, *votes]) if one in votes]
    else:
        said = [(_step(question.kind, settings, float(step)), votes[step]) for step in sorted(votes, key=float)]
    return _counted(said)


def _counted(said: list[tuple[str, int]]) -> str:
    return " · ".join(f"{what}: {n}" for what, n in said)


def _pair_votes(letters: Letters, first: int, second: int, counts: list[int]) -> str:
    a, b = letters.get(first, "?"), letters.get(second, "?")
    said = zip((f"{a} > {b}", f"{a} = {b}", f"{b} > {a}"), counts, strict=True)
    return _counted([(what, n) for what, n in said if n])


def _labels(settings: Mapping[str, Any]) -> dict[str, str]:
    return {option["value"]: option["label"] for option in settings["options"]}


def _step(kind: str, settings: Mapping[str, Any], value: float) -> str:
    """A number, with its word where it is a step: the mean of several may lie between two."""
    words = [_("not at all"), _("barely"), _("somewhat"), _("clearly"), _("severely")]
    least = 0
    if kind != "rule":
        words, least = settings.get("words") or [], settings["min"]
    at = value - least
    word = words[int(at)] if at == int(at) and 0 <= at < len(words) else ""
    return f"{value:g} {word}".strip()


def _preference(settings: Mapping[str, Any], value: Mapping[str, Any], letters: Letters) -> str:
    tiers = {int(completion): tier for completion, tier in value.get("tiers", {}).items()}
    words = [
        _comparison(settings, tiers, value["strength"], letters) if value.get("strength") else order(tiers, letters)
    ]
    outcome = value.get("outcome")
    if outcome == NEITHER:
        words.append(_("neither will do"))
    elif outcome == NOT_RANKABLE:
        words.append(_("cannot be ranked"))
    elif outcome == NONE_ACCEPTABLE:
        words.append(_("none is acceptable"))
    elif "acceptable" in value:
        above = sorted(letters.get(one, "?") for one in value["acceptable"])
        words.append(_("acceptable: %(outputs)s") % {"outputs": ", ".join(above)} if above else _("none is acceptable"))
    return ", ".join(filter(None, words)) or _("nothing is preferred")


def order(tiers: Mapping[int, int | None], letters: Letters) -> str:
    """A > B = C; what has no tier is below the rest, and not compared with each other."""
    rows: dict[float, list[str]] = {}
    for completion, tier in tiers.items():
        rows.setdefault(float("inf") if tier is None else tier, []).append(letters.get(completion, "?"))
    last = rows.pop(float("inf"), [])
    placed = [" = ".join(sorted(rows[tier])) for tier in sorted(rows)]
    return " > ".join([*placed, *(["(" + ", ".join(sorted(last)) + ")"] if last else [])])


def _comparison(settings: Mapping[str, Any], tiers: Mapping[int, int | None], strength: int, letters: Letters) -> str:
    words, half = settings.get("words") or [], settings["steps"] // 2
    better = next((letters.get(completion, "?") for completion, tier in tiers.items() if tier == 1), "?")
    if strength <= len(words):
        return _("%(letter)s is %(words)s") % {"letter": better, "words": words[strength - 1]}
    strength_words = _("strength %(n)d of %(most)d") % {"n": strength, "most": half}
    return f"{order(tiers, letters)}, {strength_words}" if half > 1 else order(tiers, letters)
