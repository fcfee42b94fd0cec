"""What the agreement on a question rests on: people, pairs of people, models, tasks, judges. docs/agreement.md says more.

Everything here is of one epoch and of the answers that agreement is measured on. Names of people are pseudonyms.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from django.db.models.functions import Length

from annotate import comparing, measures
from annotate.comparing import Figure
from annotate.consensus.comparisons import comparisons_of
from annotate.consensus.preferences import bradley_terry, clustered
from annotate.measures import Labels
from annotate.models import Annotation, Annotator, Completion, CompletionSource, Question, Task
from annotate.services.judgements import ORDERED, Judgement, categories, labels

MOST_IN_HEAT_MAP = 25
LEAST_SHARED = 20  # a pair of people with fewer units in common has no cell
MOST_TASKS = 50
BELOW = float("inf")  # the tier of what was left unranked


def detail(question: Question, epoch: int, people: Sequence[Judgement], judges: Sequence[Judgement]) -> dict:
    """The data of `AgreementDetail`."""
    found = labels(question, people)
    names = _names({row.annotator for row in [*people, *judges]})
    models, note = _models(question, people)
    return {
        "epoch": epoch,
        "n_judgements": len(people),
        "categories": categories(question),
        "annotators": _annotators(question, found, people, names),
        "pairs": _pairs(found, names),
        "confusions": comparing.confusions(found),
        "models": models,
        "models_note": note,
        "tasks": _tasks(found),
        "judges": _judges(question, found, judges, names),
    }


def _names(annotators: set[int]) -> dict[int, Annotator]:
    return Annotator.objects.only("pseudonym", "kind", "source_name").in_bulk(annotators)


def _annotators(
    question: Question, found: Labels, people: Sequence[Judgement], names: dict[int, Annotator]
) -> list[dict]:
    judged: dict[int, int] = defaultdict(int)
    for row in people:
        judged[row.annotator] += 1
    units = np.bincount(found.rater, minlength=len(found.raters))
    others = [comparing.of_measure(one) for one in measures.agreement_with_others(found)]
    majority = comparing.with_majority_of_others(found)
    preference = question.kind in Question.PREFERENCES
    nothing: list[Figure | None] = [None] * len(found.raters)
    ties = comparing.share_of(found, measures.TIE) if preference else nothing
    severity = comparing.severity(found) if question.kind in ORDERED else nothing
    first, longer = _habits(question, found, people) if preference else (nothing, nothing)
    rows = [
        {
            "annotator": names[pk].pseudonym,
            "kind": names[pk].kind,
            "n": judged[pk],
            "units": int(units[at]),
            "agreement": others[at],
            "consensus": majority[at],
            "ties": ties[at],
            "first_shown": first[at],
            "longer": longer[at],
            "severity": severity[at],
        }
        for at, pk in enumerate(found.raters)
    ]
    return sorted(rows, key=lambda row: (-row["n"], row["annotator"]))


def _habits(question: Question, found: Labels, people: Sequence[Judgement]) -> tuple[list[Figure], list[Figure]]:
    """Of each rater: how often the better of two outputs was the one shown earlier, and how often the longer one."""
    # Imported judgements came without an order of display, and say nothing of the first.
    annotations = Annotation.objects.filter(slot__project=question.project_id).exclude(display_order=[]).order_by()
    shown = dict(annotations.values_list("pk", "display_order").iterator(chunk_size=5000))
    outputs = Completion.objects.filter(task__project=question.project_id).order_by()
    length = dict(outputs.values_list("pk", Length("text")).iterator(chunk_size=5000))
    at_rater = {pk: at for at, pk in enumerate(found.raters)}
    prompts: dict[str, int] = {}
    rows: list[tuple[int, int, int, int, int, int]] = []
    for row in people:
        place = {pk: at for at, pk in enumerate(shown.get(row.annotation, ()))}
        first = by_place = longer = by_length = 0
        ranked = [(pk, BELOW if tier is None else tier) for pk, tier in row.said.items()]
        for at, (one, tier) in enumerate(ranked):
            for other, below in ranked[at + 1 :]:
                if tier == below:
                    continue
                better, worse = (one, other) if tier < below else (other, one)
                if place:
                    by_place += 1
                    first += place[better] < place[worse]
                if length[better] != length[worse]:
                    by_length += 1
                    longer += length[better] > length[worse]
        prompt = prompts.setdefault(row.prompt, len(prompts))
        rows.append((at_rater.get(row.annotator, -1), prompt, first, by_place, longer, by_length))
    table = np.array([row for row in rows if row[0] >= 0], dtype=np.int64).reshape(-1, 6)
    rater, about, *sums = table.T
    return (
        comparing.figures(sums[0], sums[1], rater, about, len(found.raters), share=True),
        comparing.figures(sums[2], sums[3], rater, about, len(found.raters), share=True),
    )


def _pairs(found: Labels, names: dict[int, Annotator]) -> dict:
    shared, agreed = measures.between_raters(found, least=LEAST_SHARED)
    most = np.argsort(-shared.sum(axis=1), kind="stable")[:MOST_IN_HEAT_MAP]
    return {
        "annotators": [names[found.raters[at]].pseudonym for at in most],
        "least": LEAST_SHARED,
        "shared": shared[np.ix_(most, most)].tolist(),
        "agreed": agreed[np.ix_(most, most)].tolist(),
    }


def _models(question: Question, people: Sequence[Judgement]) -> tuple[list[dict], str]:
    """The models whose outputs were compared, by the strength that makes the preferences most likely."""
    if question.kind not in Question.PREFERENCES:
        return [], ""
    of: dict[int, list[str]] = defaultdict(list)
    sources = CompletionSource.objects.filter(completion__task__project=question.project_id)
    for completion, model in sources.values_list("completion", "model").iterator(chunk_size=5000):
        of[completion].append(model)
    compared = comparisons_of(_comparisons(people, of))
    if len(compared.items) < 2:
        return [], ""
    strengths = clustered(bradley_terry(compared.wins), compared)
    if strengths.log_worth is None:
        return [], strengths.undefined_because or ""
    low, high = strengths.interval() or (None, None)
    wins, ties = compared.strict_wins, compared.ties
    rows = [
        {
            "model": name,
            "strength": float(strengths.log_worth[at]),
            "low": None if low is None else float(low[at]),
            "high": None if high is None else float(high[at]),
            "wins": int(wins[at].sum()),
            "ties": int(ties[at].sum()),
            "losses": int(wins[:, at].sum()),
        }
        for at, name in enumerate(compared.items)
    ]
    notes = (strengths.regularised_because, strengths.no_interval_because)
    return sorted(rows, key=lambda row: (-row["strength"], row["model"])), next(filter(None, notes), "")


def _comparisons(people: Sequence[Judgement], models: Mapping[int, list[str]]) -> Iterator[tuple]:
    """(prompt, annotator, model, other model, outcome) of each pair of outputs that was compared."""
    for row in people:
        ranked = [(model, BELOW if tier is None else tier) for pk, tier in row.said.items() for model in models[pk]]
        for at, (one, tier) in enumerate(ranked):
            for other, below in ranked[at + 1 :]:
                if one != other and not tier == below == BELOW:
                    yield row.prompt, row.annotator, one, other, 1 + (tier > below) - (tier < below)


def _tasks(found: Labels) -> list[dict]:
    tasks = np.array([unit[0] for unit in found.units], dtype=np.int64)
    hard = comparing.hardest(found, tasks, MOST_TASKS)
    names = dict(Task.objects.filter(pk__in=[task for task, *_ in hard]).values_list("pk", "name"))
    return [{"task": task, "name": names[task], "agreement": agreement, "n": n} for task, agreement, n in hard]


def _judges(question: Question, found: Labels, judges: Sequence[Judgement], names: dict[int, Annotator]) -> list[dict]:
    """Models that judged, beside people on the same units."""
    if not judges:
        return []
    of = labels(question, judges)
    index = {unit: at for at, unit in enumerate(found.units)}
    at = np.array([index.get(unit, -1) for unit in of.units], dtype=np.int64)[of.unit]
    rows = []
    for number, pk in enumerate(of.raters):
        mine = (of.rater == number) & (at >= 0)
        judged = comparing.judge(found, at[mine], of.value[mine])
        rows.append({"annotator": names[pk].pseudonym, "name": names[pk].source_name} | judged._asdict())
    return rows
