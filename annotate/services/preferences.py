"""What annotations say of which output is better, whatever question asked it: rankings and comparisons alike.

An unranked output is below all ranked ones where its question says so, and two of them are not compared; else nothing is
known of it and it is left out. "Neither" and "not rankable" prefer nothing.
"""

from collections.abc import Iterator
from typing import Any

from django.db.models.fields.json import KeyTextTransform

from annotate.models import PairAnswer, RankItem

Tiers = dict[int, int | None]


def tiers_of(**answers: Any) -> Iterator[tuple[int, Tiers]]:
    """(annotation id, {completion id: tier}) of each answer to a question of preference; two statements, streamed.

    `answers`: lookups of `Answer`. They are joined, not nested: right after an import, before the tables are analysed, the
    planner takes a nested query for a handful of rows and walks them all again for each.
    Tier 1 is best, equal tiers are ties, None is below all. A task's outputs stand in their own order.
    """
    where = {f"answer__{name}": value for name, value in answers.items()}
    items = RankItem.objects.filter(**where).order_by("answer_id", "completion__position")
    setting = KeyTextTransform("unranked", "answer__question__settings")  # as text: else JSON is read for each row
    rows = items.values_list("answer_id", "answer__annotation_id", "completion_id", "tier", setting)
    before, annotation, tiers = None, 0, Tiers()
    for answer, of, completion, tier, unranked in rows.iterator(chunk_size=5000):
        if answer != before:
            if before is not None:
                yield annotation, tiers
            before, annotation, tiers = answer, of, {}
        if tier is not None or unranked == "below":
            tiers[completion] = tier
    if before is not None:
        yield annotation, tiers
    pairs = PairAnswer.objects.filter(**where, neither=False).order_by("answer_id")
    columns = ("answer__annotation_id", "left_id", "right_id", "left__position", "right__position", "strength")
    for annotation, left, right, at, other, strength in pairs.values_list(*columns).iterator(chunk_size=5000):
        said: Tiers = {left: 1 + (strength < 0), right: 1 + (strength > 0)}
        yield annotation, said if at < other else {right: said[right], left: said[left]}
