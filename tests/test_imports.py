"""Judgements from elsewhere: all rows or none, and a message that names line, field and remedy."""

import io
import json

import pytest
from django.contrib.auth.models import User

from annotate.models import (
    Annotation,
    Annotator,
    GoldAnswer,
    GoldResult,
    Membership,
    RankItem,
    ResearcherAnswer,
    Slot,
    Task,
)
from annotate.services import gold
from annotate.services.imports import ImportRefused, import_judgements

pytestmark = pytest.mark.django_db


def row(name="t1", **fields):
    return {
        "id": name,
        "prompt": f"Question {name}",
        "completions": [{"id": "a", "text": "yes", "model": "m1"}, {"id": "b", "text": "no"}, {"id": "c", "text": "?"}],
        "judgements": [{"annotator": "one", "ranking": ["b", ["a", "c"]]}],
    } | fields


def known(name, *answers, purpose="test", reason=""):
    """A row without judgements, and which output each researcher puts first."""
    rest = {"a": ["a", "b", "c"], "b": ["b", ["a", "c"]]}
    said = [{"researcher": who, "ranking": rest[best], "reason": reason} for who, best in answers]
    return row(name, purpose=purpose, judgements=[], known=said)


def load(world, *rows):
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in rows]
    return import_judgements(project=world.project, source="study", file=io.BytesIO(b"\n".join(lines)))


def refusal(world, *rows):
    with pytest.raises(ImportRefused) as caught:
        load(world, *rows)
    assert not Task.objects.exists()
    assert not Annotator.objects.filter(kind="imported").exists()
    return [str(error) for error in caught.value.errors]


def test_a_row_becomes_a_task_with_outputs_and_answers(world):
    done = load(world, row(), row("t2", judgements=[]))
    assert done.as_dict() == {"tasks": 2, "tasks_known": 0, "judgements": 1, "judgements_known": 0}
    task = Task.objects.get(name="t1")
    assert task.conversation == [{"role": "user", "content": "Question t1"}]
    slot = task.slots.get(status=Slot.Status.SUBMITTED)
    assert (slot.holder.kind, slot.holder.source, slot.holder.source_name) == ("imported", "study", "one")
    tiers = RankItem.objects.filter(answer__annotation=slot.current_annotation).values_list("completion__name", "tier")
    assert dict(tiers) == {"b": 1, "a": 2, "c": 2}
    # overlap 2: one place was filled by the file, one is open; without judgements both are
    assert task.slots.filter(status=Slot.Status.OPEN).count() == 1
    assert Task.objects.get(name="t2").slots.filter(status=Slot.Status.OPEN).count() == 2


def test_the_same_file_again_changes_nothing(world):
    load(world, row(), row("t2"))
    done = load(world, row(), row("t2"))
    assert done.as_dict() == {"tasks": 0, "tasks_known": 2, "judgements": 0, "judgements_known": 2}
    assert Annotation.objects.count() == 2


def test_more_judges_of_a_known_task_fill_its_open_places_then_get_places_of_their_own(world):
    load(world, row())
    more = [{"annotator": name, "ranking": ["a", "b", "c"]} for name in ("two", "three")]
    done = load(world, row(judgements=row()["judgements"] + more))
    assert (done.judgements, done.judgements_known) == (2, 1)
    task = Task.objects.get()
    assert task.target_overlap == 3
    assert list(task.slots.order_by("place").values_list("place", "status")) == [
        (1, "submitted"),
        (2, "submitted"),
        (3, "submitted"),
    ]


def test_a_known_task_or_judgement_that_differs_is_refused(world):
    load(world, row())
    with pytest.raises(ImportRefused, match="says something else"):
        load(world, row(prompt="Another question"))
    with pytest.raises(ImportRefused, match="judged this task otherwise"):
        load(world, row("t2"), row(judgements=[{"annotator": "one", "ranking": ["a", "b", "c"]}]))
    assert Task.objects.count() == 1


def test_statements_do_not_grow_with_rows(world, django_assert_max_num_queries):
    with django_assert_max_num_queries(27):
        load(world, *[row(f"t{number}") for number in range(200)])


def test_statements_do_not_grow_with_rows_that_are_known_or_have_more_judges(world, django_assert_max_num_queries):
    names = [f"t{number}" for number in range(200)]
    load(world, *[row(name) for name in names])
    more = [{"annotator": name, "ranking": ["a", "b", "c"]} for name in ("two", "three")]
    with django_assert_max_num_queries(27):
        assert load(world, *[row(name, judgements=row()["judgements"] + more) for name in names]).judgements == 400
    with django_assert_max_num_queries(27):
        assert load(world, *[row(name) for name in names]).judgements_known == 200
    assert Slot.objects.counting().count() == 600
    assert set(Task.objects.values_list("target_overlap", flat=True)) == {3}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], "The file: It holds no rows"),
        ([b"\n\n"], "The file: It holds no rows"),
        ([row(), b'{"id": "t2", ', row("t3")], "Line 2: It is not JSON"),
        ([row(), row("t2"), row()], "Line 3, id: “t1” stands on line 1 already"),
        ([row(judgements=[{"annotator": "x", "ranking": ["a", "b", "z"]}])], "judgements[0].ranking[2]: There is no output “z”"),
        ([row(judgements=[{"annotator": "x", "ranking": ["a", ["b", "a"], "c"]}])], "judgements[0].ranking[1][1]: “a” is ranked twice"),
        ([row(judgements=[{"annotator": "x", "ranking": ["a", "b"]}])], "“c” is not ranked"),
        ([row(judgements=row()["judgements"] * 2)], "“one” judges twice"),
        (['{"id": "café"}'.encode("latin-1")], "Line 1: Byte 12 is not UTF-8"),
        ([row(), row("t2", prompt="x" * 5_000_000)], "Line 2: It has 5.0 MB; a row may have 1 MB"),
        ([b"[]"], "It must be an object"),
        ([row(prompt="")], "prompt: A text that is not empty"),
        ([row(prompt="a\x00b")], "prompt: It holds a NUL character"),
        ([b'{"id": "x", "prompt": "\\ud83d", "completions": []}'], "Line 1: It is not JSON"),
        ([row(prompt=[{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}])], "The last turn must be the user's"),
        ([row(prompt=[{"role": "robot", "content": "x"}])], "prompt[0].role: It must be one of"),
        ([row(completions=[{"id": "a", "text": "x"}], judgements=[])], "completions: Outputs here: 1. The questions of this project need 2–9"),
        ([row(completions=[{"id": str(n), "text": str(n)} for n in range(10)])], "completions: It has 10 items"),
        ([row(completions=[{"id": "a", "text": "x"}, {"id": "b", "text": "x"}])], "completions[1].text: Another output"),
        ([row(priority=11)], "priority: A whole number from 0 to 9"),
        ([row(colour="red")], "Unknown field “colour”"),
        ([{"id": "x", "prompt": "y"}], "completions: Outputs here: 0. The questions of this project need 2–9"),
        ([row(judgements="none")], "judgements: A list is needed"),
        ([row(name="x" * 201)], "id: It may have 200 characters"),
        ([row(purpose="repeat")], "purpose: It must be one of: work, training, test, gold, calibration"),
        ([row(purpose=["gold"])], "purpose: It must be one of"),
        ([row(purpose="calibration")], "Line 1, judgements: Judgements come with work alone"),
        ([row(known=[])], "Line 1, known: Known answers come with these purposes alone: training, test, gold"),
        ([row(), known("t2", ("nobody", "a"))], "Line 2, known[0].researcher: “nobody” is no researcher or manager of this project"),
        ([known("t1", ("mina", "a"), ("ana", "a"))], "known[1].researcher: “ana” is no researcher or manager"),
        ([known("t1", ("rita", "a"))], "“rita” is no researcher or manager"),  # she reviews
        ([known("t1", ("mina", "a"), ("mina", "b"))], "known[1].researcher: “mina” answers twice"),
        ([row(purpose="gold", judgements=[], known=[{"researcher": "mina", "ranking": ["a", "z", "c"]}])], "known[0].ranking[1]: There is no output “z”"),
        ([row(purpose="gold", judgements=[], known=[{"researcher": "mina", "ranking": ["a"]}])], "known[0].ranking: “b” is not ranked"),
        ([row(purpose="gold", judgements=[], known=[{"ranking": ["a"]}])], "known[0]: “researcher” is missing"),
        ([known("t1", ("mina", "a"), reason="x" * 5001)], "known[0].reason: It may have 5000 characters"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_whole_with_line_field_and_remedy(world, bad, message):
    assert message in "\n".join(refusal(world, *bad))


def test_all_bad_rows_are_named_in_one_go(world):
    errors = refusal(world, *[row(f"t{number}", priority=99 if number % 2 else 0) for number in range(6)])
    assert [error.split(",")[0] for error in errors] == ["Line 2", "Line 4", "Line 6"]


def test_an_output_may_be_empty_since_models_answer_nothing_at_times(world):
    load(world, row(completions=[{"id": "a", "text": ""}, {"id": "b", "text": "x"}, {"id": "c", "text": "y"}]))
    assert Task.objects.get().completions.filter(text="").count() == 1


def test_a_known_task_that_asks_for_somebody_else_is_refused(world):
    load(world, row())
    for asks in ({"categories": ["violence"]}, {"skills": ["law"]}, {"language": "zh"}):
        with pytest.raises(ImportRefused, match="says something else"):
            load(world, row(**asks))


def test_a_source_cannot_be_people_once_and_an_aggregate_another_time(world):
    load(world, row())
    lines = io.BytesIO(json.dumps(row("t2")).encode())
    with pytest.raises(ImportRefused, match="of another kind: imported person"):
        import_judgements(project=world.project, source="study", file=lines, kind=Annotator.Kind.AGGREGATE)


# --- Known answers ----------------------------------------------------------------------------------------------------


@pytest.fixture
def researchers(world):
    for name in ("rita", "vera"):
        user = world.users.get(name) or User.objects.create_user(name)
        Membership.objects.create(user=user, project=world.project, role=Membership.Role.RESEARCHER)
    return world


def test_what_researchers_answer_comes_in_with_the_task(researchers):
    done = load(researchers, known("t1", ("mina", "b"), ("rita", "b"), ("vera", "a"), reason="B is true."), row("t2"))
    assert done.as_dict() == {"tasks": 2, "tasks_known": 0, "judgements": 1, "judgements_known": 0}
    task = Task.objects.get(name="t1")
    assert (task.purpose, task.slots.count()) == ("test", 0)
    answer = GoldAnswer.objects.get()
    outputs = dict(task.completions.values_list("name", "pk"))
    tiers = {str(outputs["b"]): 1, str(outputs["a"]): 2, str(outputs["c"]): 2}
    assert answer.values == [{"completion": None, "rule": None, "value": {"tiers": tiers}}]
    assert (answer.task, answer.version, answer.agreeing, answer.researchers) == (task, 1, 2, 3)
    assert answer.reason == "B is true."
    assert {one.researcher.username for one in gold.opinions(task, answer.question)} == {"mina", "rita", "vera"}
    assert Task.objects.filter(gold.is_usable()).get() == task


def test_where_researchers_share_no_answer_none_is_known(researchers):
    load(researchers, known("t1", ("mina", "a"), ("rita", "b")), known("t2", ("mina", "a")))
    assert ResearcherAnswer.objects.count() == 3 and not GoldAnswer.objects.exists()


def test_another_researcher_later_makes_a_new_version_and_the_same_again_changes_nothing(researchers):
    load(researchers, known("t1", ("mina", "a"), purpose="gold"))
    load(researchers, known("t1", ("mina", "a"), ("vera", "a"), purpose="gold"))
    load(researchers, known("t1", ("mina", "a"), ("vera", "a"), purpose="gold"))
    answer = GoldAnswer.objects.get(current=True)
    assert (answer.version, answer.agreeing) == (1, 2)
    assert ResearcherAnswer.objects.count() == 2
    with pytest.raises(ImportRefused, match="Line 2, known: “vera” has answered this task otherwise before"):
        load(researchers, row("t9"), known("t1", ("vera", "b"), purpose="gold"))
    assert not Task.objects.filter(name="t9").exists()


def test_a_researcher_more_from_a_file_keeps_what_was_scored(researchers, monkeypatch):
    monkeypatch.setattr(gold, "RESERVE", 1)
    researchers.project.gold_percent = 100
    researchers.project.save()
    load(researchers, known("t1", ("mina", "a"), ("rita", "a"), purpose="gold"))
    slot = researchers.claim("ana")
    gold.score(researchers.answer(slot, 1, 2, 3), slot.task)
    assert GoldResult.objects.get().passed
    load(researchers, known("t1", ("vera", "a"), purpose="gold"))
    assert GoldAnswer.objects.get(current=True).agreeing == 3
    assert GoldResult.objects.get(gold__current=True).passed


def test_a_task_keeps_its_purpose(world):
    load(world, row(judgements=[]), row("t2", judgements=[]))
    message = "Line 1, purpose: The project has the task “t2” for work; a task keeps its purpose"
    with pytest.raises(ImportRefused, match=message):
        load(world, row("t2", judgements=[], purpose="test"))
    load(world, row("t3", judgements=[], purpose="calibration"))
    with pytest.raises(ImportRefused, match="for calibration"):
        load(world, row("t3", judgements=[]))


def test_statements_do_not_grow_with_known_answers(researchers, django_assert_max_num_queries):
    answers = [("mina", "a"), ("rita", "a"), ("vera", "b")]
    with django_assert_max_num_queries(27):
        load(researchers, *[known(f"t{number}", *answers) for number in range(100)])
    assert GoldAnswer.objects.filter(agreeing=2, researchers=3).count() == 100
    with django_assert_max_num_queries(27):
        load(researchers, *[known(f"t{number}", *answers) for number in range(100)])
    assert ResearcherAnswer.objects.count() == 300
