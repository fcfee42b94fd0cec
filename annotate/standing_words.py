"""Decisions and answers in words: which rule decided, on which figures, and what somebody answered. No database here."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotate.answer_words import Letters, in_words

Unit = tuple[int | None, int | None]


def all_in_words(question: Any, values: Mapping[Unit, Any], letters: Letters) -> str:
    """An answer to a question; of several outputs what is said of each. Rules are left out: the task names them."""
    said = []
    for (completion, _rule), value in values.items():
        words = in_words(question, value, letters)
        said.append(f"{letters.get(completion, '?')}: {words}" if completion else words)
    return "; ".join(sorted(said))


def as_units(values: Sequence[Mapping[str, Any]]) -> dict[Unit, Any]:
    """Values as they are stored, by what they are of."""
    return {(one.get("completion"), one.get("rule")): one["value"] for one in values}


def rule_in_words(rule: Mapping[str, Any] | None) -> str:
    """What made a decision, where no person did."""
    if rule is None:
        return ""
    percent = {name: round(100 * rule[name]) for name in ("share", "target", "sure") if name in rule}
    match rule["kind"]:
        case "training":
            return _("training: from %(least)d tasks on, %(share)d %% right; after %(most)d a person decides") % {
                **rule,
                **percent,
            }
        case "test":
            return _("test: all parts have to be passed")
        case "gold":
            return _(
                "tasks whose answer is known: less than %(target)d %% right, with %(sure)d %% certainty, on %(least)d tasks or more"
            ) % {**rule, **percent}
        case "cusum":
            return _("errors have become more frequent")
        case "guideline_changed":
            return _("the guideline has changed materially")
        case "steps_done":
            return _("all that was asked for is done")
        case "corrected":
            return _("a known answer was corrected")
    return str(rule["kind"])


def figures_in_words(data: Mapping[str, Any]) -> list[str]:
    """The figures of a decision; of the parts of a test a line each."""
    if "k" in data:
        return [_counted(data)]
    names = {"flags": _("flags"), "rankings": _("rankings"), "demonstrations": _("demonstrations")}
    return [f"{names.get(part, part)}: {_counted(of)}" for part, of in data.items() if isinstance(of, Mapping)]


def _counted(data: Mapping[str, Any]) -> str:
    if data.get("mean") is not None:
        return _("mean mark %(mean).1f of %(n)d pieces") % data
    said = _("%(k)d right of %(n)d") % data
    return f"{said}, P = {data['p_at_least']:.3f}" if "p_at_least" in data else said


def in_place(values: Mapping[Unit, Any], shown: Sequence[int]) -> str:
    """An answer by the places at which its outputs were shown, 1 the first: two that look alike on the page are equal.

    Where that is not known, as of imported answers, by the order in which the outputs came in.
    """
    tiers = [value["tiers"] for value in values.values() if isinstance(value, Mapping)]
    outputs = {int(output) for of in tiers for output in of} | {output for output, _rule in values if output}
    place = {output: at for at, output in enumerate(shown or sorted(outputs), start=1)}

    def said(value: Any) -> str:
        if isinstance(value, list):
            return ", ".join(map(str, value))
        if not isinstance(value, Mapping):
            return str(value)
        rows: dict[float, list[int]] = {}
        for output, tier in value["tiers"].items():
            rows.setdefault(float("inf") if tier is None else tier, []).append(place.get(int(output), 0))
        order = " > ".join(" = ".join(map(str, sorted(rows[tier]))) for tier in sorted(rows))
        return ", ".join(str(one) for one in (order, value.get("strength"), value.get("outcome")) if one is not None)

    parts = sorted((place.get(unit[0] or 0, 0), unit[1] or 0, said(value)) for unit, value in values.items())
    return "; ".join(f"{at}: {words}" if at else words for at, _rule, words in parts)
