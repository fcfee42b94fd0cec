"""What a selection names, as records: prompt by prompt, a fixed number of statements for some thousand judgements."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from annotate.models import (
    Annotation,
    Annotator,
    Answer,
    Completion,
    CompletionSource,
    PairAnswer,
    Question,
    RankItem,
    Rule,
    Span,
    Task,
)
from annotate.services.preferences import tiers_of
from annotate.services.split_groups import touched
from curation.exporting.records import (
    Answered,
    Item,
    Judgement,
    Marked,
    Order,
    Output,
    Prompt,
    Settled,
    SettledAnswer,
    Votes,
)
from curation.models import Export
from curation.services.selecting import PREFERENCES, among, asked_by, by_prompt
from curation.tables import batches_of, opened

BATCH = 1000  # judgements read at once
PLAIN_COMPARISON = 2  # steps of a comparison that asks which, and not by how much
NAMES_MODELS = (Export.Kind.RANKING, Export.Kind.JUDGEMENT)

Row = dict[str, Any]
Strengths = Mapping[int, tuple[tuple[str, str], int]]
"""Of each judgement by how much which output is better: ((left, right), steps), negative for the right one."""


def rows_of(path: Path) -> Iterator[Row]:
    with opened(path) as file:
        for batch in batches_of(file, BATCH):
            yield from batch.to_pylist()


def count(path: Path) -> int:
    return int(pq.ParquetFile(path).metadata.num_rows)


def prompts(export: Export, selection: Path, settled: Path | None) -> Iterator[Prompt]:
    """All that is in, sorted by prompt."""
    judged, known = by_prompt(rows_of(selection)), by_prompt(rows_of(settled)) if settled else iter(())
    loader = Loader(export)
    for some in _batches(_merged(judged, known)):
        yield from loader.load(some)


def _merged(
    judged: Iterator[tuple[str, list[Row]]], known: Iterator[tuple[str, list[Row]]]
) -> Iterator[tuple[str, list[Row], list[Row]]]:
    one, other = next(judged, None), next(known, None)
    while one or other:
        prompt = min(found[0] for found in (one, other) if found)
        mine = one[1] if one and one[0] == prompt else []
        theirs = other[1] if other and other[0] == prompt else []
        yield prompt, mine, theirs
        one = next(judged, None) if mine else one
        other = next(known, None) if theirs else other


def _batches(found: Iterator[tuple[str, list[Row], list[Row]]]) -> Iterator[list[tuple[str, list[Row], list[Row]]]]:
    some, size = [], 0
    for one in found:
        some.append(one)
        size += max(len(one[1]), len(one[2]), 1)
        if size >= BATCH:
            yield some
            some, size = [], 0
    if some:
        yield some


class Loader:
    """Reads the rows that a selection names. They never change, so when it reads makes no difference."""

    def __init__(self, export: Export) -> None:
        self.kind = export.kind
        questions = list(asked_by(export))
        self.orders = [one.pk for one in questions if one.kind in Question.PREFERENCES]
        self.others = [one.pk for one in questions if one.kind not in Question.PREFERENCES]
        if export.kind in PREFERENCES and export.margin not in ("", "strength"):
            rated = Question.objects.filter(project=export.project, key=export.margin, kind=Question.Kind.RATING)
            self.others += list(rated.values_list("pk", flat=True))
        self.lines = any(one.settings.get("acceptable_line") for one in questions)
        self.steps = any(one.settings.get("steps", 0) > PLAIN_COMPARISON for one in questions)
        rules = Rule.objects.filter(project=export.project).values_list("pk", "key", "version")
        self.rules = {pk: f"{key}@{version}" for pk, key, version in rules}

    def load(self, found: Sequence[tuple[str, list[Row], list[Row]]]) -> Iterator[Prompt]:
        tasks = {row["task"] for _prompt, judged, known in found for row in chain(judged, known)}
        items, sha256_of = self._items(tasks)
        judged = {row["annotation"]: row for _prompt, rows, _known in found for row in rows}
        strengths = self._strengths(judged, sha256_of) if self.steps else {}
        said = self._judgements(judged, items, sha256_of, strengths)
        for prompt, rows, known in found:
            mine = [said[row["annotation"]] for row in rows]
            by_task: dict[int, list[int]] = defaultdict(list)
            for one in mine:
                by_task[one.item.task].append(one.annotation)
            settled, answers = [], []
            for row in known:
                item, annotations = items[row["task"]], sorted(by_task[row["task"]])
                if row["kind"] in Question.PREFERENCES:
                    settled.append(_settled(row, item, annotations, sha256_of, strengths))
                else:
                    answers.append(self._answer(row, item, annotations, sha256_of))
            yield Prompt(prompt, mine, settled, answers)

    def _items(self, tasks: set[int]) -> tuple[dict[int, Item], dict[int, str]]:
        outputs: dict[int, list[Output]] = defaultdict(list)
        sha256_of: dict[int, str] = {}
        models: dict[int, list[str]] = defaultdict(list)
        if self.kind in NAMES_MODELS:
            sources = CompletionSource.objects.filter(completion__task__in=among(tasks)).order_by("model")
            for completion, model in sources.values_list("completion_id", "model"):
                models[completion].append(model)
        rows = Completion.objects.filter(task__in=among(tasks)).order_by("task_id", "position")
        for pk, task, sha256, text, name in rows.values_list("pk", "task_id", "sha256", "text", "name"):
            outputs[task].append(Output(sha256, text, name, tuple(models[pk]) if models else ()))
            sha256_of[pk] = sha256
        columns = ("pk", "name", "prompt_sha256", "conversation", "split_group", "language", "purpose")
        touches = touched(tasks)
        return {
            pk: Item(pk, name, prompt, conversation, outputs[pk], group, language, purpose, touches.get(pk, ()))
            for pk, name, prompt, conversation, group, language, purpose in Task.objects.filter(
                pk__in=among(tasks)
            ).values_list(*columns)
        }, sha256_of

    def _judgements(
        self, judged: Mapping[int, Row], items: Mapping[int, Item], sha256_of: Mapping[int, str], strengths: Strengths
    ) -> dict[int, Judgement]:
        orders = self._orders(judged, sha256_of, strengths) if self.orders else {}
        answers = self._answers(judged, sha256_of) if self.others else {}
        columns = ("pk", "created_at", "guideline__version", "slot__holder__kind")
        return {
            pk: Judgement(
                annotation=pk,
                item=items[judged[pk]["task"]],
                annotator=judged[pk]["annotator"],
                annotator_kind=kind,
                human=kind in Annotator.HUMAN,
                created_at=created_at,
                guideline=guideline,
                reliability=judged[pk]["reliability"],
                order=orders.get(pk),
                answers=answers.get(pk, ()),
            )
            for pk, created_at, guideline, kind in Annotation.objects.filter(pk__in=among(judged)).values_list(*columns)
        }

    def _orders(
        self, judged: Mapping[int, Row], sha256_of: Mapping[int, str], strengths: Strengths
    ) -> dict[int, Order]:
        of = {"annotation__in": among(judged), "question__in": self.orders}
        lines: dict[int, dict[str, bool]] = defaultdict(dict)
        if self.lines:
            drawn = RankItem.objects.filter(
                answer__annotation__in=among(judged), answer__question__in=self.orders, acceptable__isnull=False
            )
            for annotation, output, above in drawn.values_list("answer__annotation_id", "completion_id", "acceptable"):
                lines[annotation][sha256_of[output]] = bool(above)
        steps = {annotation: abs(signed) for annotation, (_pair, signed) in strengths.items() if signed}
        found = {
            annotation: Order(
                {sha256_of[pk]: tier for pk, tier in tiers.items()}, lines.pop(annotation, {}), steps.get(annotation)
            )
            for annotation, tiers in tiers_of(**of)
        }
        return found | {annotation: Order({}, acceptable) for annotation, acceptable in lines.items()}

    def _strengths(self, judged: Mapping[int, Row], sha256_of: Mapping[int, str]) -> Strengths:
        """Where strength was asked for."""
        pairs = PairAnswer.objects.filter(
            answer__annotation__in=among(judged), answer__question__in=self.orders, neither=False,
            answer__question__settings__steps__gt=PLAIN_COMPARISON,
        )  # fmt: skip
        return {
            annotation: ((sha256_of[left], sha256_of[right]), strength or 0)
            for annotation, left, right, strength in pairs.values_list(
                "answer__annotation_id", "left_id", "right_id", "strength"
            )
        }

    def _answers(self, judged: Mapping[int, Row], sha256_of: Mapping[int, str]) -> dict[int, list[Answered]]:
        answers = Answer.objects.filter(annotation__in=among(judged), question__in=self.others)
        marks: dict[int, list[Marked]] = defaultdict(list)
        spans = Span.objects.filter(answer__annotation__in=among(judged), answer__question__in=self.others)
        for answer, start, end, label in spans.order_by("start", "end", "label").values_list(
            "answer_id", "start", "end", "label"
        ):
            marks[answer].append(Marked(start, end, label))
        rows = answers.order_by(
            "annotation_id", "question__position", "question_id", "completion__position", "rule__key", "pk"
        )
        columns = (
            "pk",
            "annotation_id",
            "question__key",
            "question__version",
            "question__kind",
            "completion_id",
            "rule_id",
            "value",
        )
        found: dict[int, list[Answered]] = defaultdict(list)
        for pk, annotation, key, version, kind, output, rule, value in rows.values_list(*columns):
            found[annotation].append(
                Answered(
                    key, version, kind, sha256_of.get(output), self.rules.get(rule), value, tuple(marks.get(pk, ()))
                )
            )
        return found

    def _answer(self, row: Row, item: Item, annotations: Sequence[int], sha256_of: Mapping[int, str]) -> SettledAnswer:
        return SettledAnswer(
            item=item,
            question=row["question"],
            version=row["version"],
            kind=row["kind"],
            output=sha256_of.get(row["completion"]),
            rule=self.rules.get(row["rule"]),
            value=orjson.loads(row["value"]),
            confidence=row["confidence"],
            votes=orjson.loads(row["votes"]),
            soft=orjson.loads(row["soft"]),
            adjudicated=row["adjudicated"],
            people=row["people"],
            annotations=annotations,
        )


def _settled(
    row: Row,
    item: Item,
    annotations: Sequence[int],
    sha256_of: Mapping[int, str],
    strengths: Strengths,
) -> Settled:
    value, votes, soft = (orjson.loads(row[name]) for name in ("value", "votes", "soft"))
    of_pair = {(sha256_of[a], sha256_of[b]): tuple(counts) for a, b, counts in votes or ()}
    posterior = {(sha256_of[a], sha256_of[b]): tuple(shares) for a, b, shares in soft or ()}
    order = None
    if value and value.get("tiers"):
        tiers = {sha256_of[int(pk)]: tier for pk, tier in value["tiers"].items()}
        ordered = {one.sha256: tiers[one.sha256] for one in item.outputs if one.sha256 in tiers}
        above = {sha256_of[pk] for pk in value.get("acceptable", ())}
        order = Order(
            ordered, {sha: sha in above for sha in ordered} if "acceptable" in value else {}, value.get("strength")
        )
    return Settled(
        item=item,
        confidence=row["confidence"],
        adjudicated=row["adjudicated"],
        method=row["method"],
        people=row["people"],
        annotations=annotations,
        order=order,
        votes={pair: Votes(counts, posterior.get(pair, (0.0, 0.0, 0.0))) for pair, counts in of_pair.items()},
        strength=_mean_strength(item, annotations, strengths),
    )


def _mean_strength(item: Item, annotations: Sequence[int], strengths: Strengths) -> float | None:
    """For the first of two outputs, over those who said how much. None where nobody did."""
    said = [strengths[one] for one in annotations if one in strengths]
    if not said or len(item.outputs) != 2:
        return None
    first = item.outputs[0].sha256
    signed = [steps if pair[0] == first else -steps for pair, steps in said]
    return round(sum(signed) / len(signed), 6)
