"""Changing what a project asks: what becomes of questions and rules, and of those that were answered."""

import threading
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction

from annotate.errors import Refused
from annotate.models import Annotator, Question, Rule
from annotate.questions import Given
from annotate.services import abilities, asking, ledger
from annotate.services.projects import create_project
from annotate.sheet import Sheet
from tests.world import World

Kind = Question.Kind
AB = [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}]


# --- Questions --------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(world) -> Question:
    return world.project.questions.get()


def add(world: World, key: str, kind: str = Kind.CHOICE, **said) -> Question:
    said = {"text": key, "kind": kind, "settings": {"options": AB} if kind == Kind.CHOICE else {}} | said
    return asking.add_question(project=world.project, key=key, **said)


def answered(world: World) -> None:
    world.tasks()
    slot = world.claim("ana")
    for_all = [
        Given(one, value="a") if one.kind == Kind.CHOICE else world.ranking(slot, 1, 2, 3)
        for one in world.project.questions.current()
    ]
    ledger.submit(slot=slot, answers=for_all, idempotency_key=uuid4())


def keys(world: World) -> list[tuple[str, int]]:
    return list(world.project.questions.current().values_list("key", "version"))


def refused(call, *args, **kwargs) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as error:
        call(*args, **kwargs)
    return error.value.message_dict


def test_a_question_is_asked_after_the_others(world, asked):
    add(world, "topic")
    add(world, "more")
    add(world, "first", position=0)
    assert keys(world) == [("overall", 1), ("first", 1), ("topic", 1), ("more", 1)]


def test_a_key_is_asked_once(world, asked):
    assert "has “overall” already" in refused(add, world, "overall")["key"][0]
    assert keys(world) == [("overall", 1)]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"settings": {}}, "settings"),
        ({"scope": "completion", "kind": Kind.RANKING, "settings": {}}, "scope"),
        ({"condition": {"question": "later", "in": ["a"]}}, "condition"),
        ({"translations": {"fr": {}}}, "translations"),
        ({"key": "version"}, "key"),
        ({"key": "no slug"}, "key"),
        ({"text": ""}, "text"),
        ({"kind": Kind.RULE, "scope": "completion", "settings": {}}, "kind"),  # no rules are in force
    ],
)
def test_what_is_wrong_with_a_question_is_said_by_field_and_nothing_is_kept(world, asked, said, field):
    said = {"key": "topic"} | said
    assert set(refused(add, world, **said)) == {field}
    assert keys(world) == [("overall", 1)]


def test_as_long_as_nobody_was_given_a_task_a_question_is_changed_in_place(world, asked):
    world.tasks()
    changed = asking.change_question(question=asked, text="Which is best?", settings={"unranked": "below"})
    assert (changed.pk, changed.version) == (asked.pk, 1)
    asked.refresh_from_db()
    assert (asked.text, asked.settings) == ("Which is best?", {"unranked": "below"})


@pytest.mark.parametrize(
    "said",
    [
        {"text": "Which?"},
        {"help": "Look twice."},
        {"settings": {"unranked": "below"}},
        {"translations": {"zh-hans": {"text": "哪个？"}}},
        {"required": False},
    ],
)
def test_what_was_answered_stays_as_it_was_asked_and_the_change_is_a_new_version(world, asked, said):
    answered(world)
    before = Question.objects.values().get(pk=asked.pk)
    changed = asking.change_question(question=asked, **said)
    assert keys(world) == [("overall", 2)] and changed.pk != asked.pk
    assert Question.objects.values().get(pk=asked.pk) == before | {"current": False}
    assert asked.answers.count() == 1 and not changed.answers.exists()
    assert {name: getattr(changed, name) for name in said} == said


def test_who_answered_the_old_version_gets_it_back_and_the_next_one_gets_the_new(world, asked):
    answered(world)
    asking.change_question(question=asked, text="Which?")
    done = world.project.slots.get(status="submitted")
    assert [one["text"] for one in Sheet(done).asked()] == [asked.text]
    assert [one["text"] for one in Sheet(world.claim("ben")).asked()] == ["Which?"]


def test_who_has_it_open_was_asked_too(world, asked):
    world.tasks()
    world.claim("ana")
    assert asking.change_question(question=asked, text="Which?").version == 2


def test_nothing_changed_makes_no_version_and_neither_does_another_position(world, asked):
    answered(world)
    assert asking.change_question(question=asked, text=asked.text).pk == asked.pk
    assert asking.change_question(question=asked, position=7).pk == asked.pk
    assert keys(world) == [("overall", 1)] and world.project.questions.get().position == 7


def test_a_version_that_is_no_longer_asked_is_not_changed(world, asked):
    answered(world)
    asking.change_question(question=asked, text="Which?")
    with pytest.raises(Refused, match="no longer asked"):
        asking.change_question(question=asked, text="What?")


def test_a_wrong_change_of_an_answered_question_leaves_it_as_it_is(world, asked):
    answered(world)
    assert set(refused(asking.change_question, question=asked, settings={"unranked": "x"})) == {"settings"}
    assert keys(world) == [("overall", 1)]


def test_a_key_keeps_its_kind_once_it_was_answered(world, asked):
    add(world, "topic")
    asking.change_question(question=asked, kind=Kind.PAIRWISE, settings={"steps": 2})  # not answered yet: it may
    asking.change_question(question=asked, kind=Kind.RANKING, settings={})
    answered(world)
    found = refused(asking.change_question, question=asked, kind=Kind.PAIRWISE, settings={"steps": 2})
    assert "add a question under another key" in found["kind"][0]
    asking.retire_question(question=asked)
    assert set(refused(add, world, "overall", Kind.TEXT)) == {"kind"}
    assert add(world, "overall", Kind.RANKING).version == 2


def test_a_retired_question_is_asked_no_more_and_its_answers_stay(world, asked):
    add(world, "topic")
    answered(world)
    asking.retire_question(question=asked)
    asking.retire_question(question=Question.objects.get(pk=asked.pk))  # again: nothing to do
    assert keys(world) == [("topic", 1)] and asked.answers.count() == 1


def test_the_last_question_is_not_retired(world, asked):
    with pytest.raises(Refused, match="all that this project asks"):
        asking.retire_question(question=asked)


def test_a_question_that_another_depends_on_is_neither_retired_nor_changed_under_it(world, asked):
    topic = add(world, "topic")
    add(world, "why", Kind.TEXT, condition={"question": "topic", "in": ["b"]})
    with pytest.raises(Refused, match="“why” is only asked where “topic”"):
        asking.retire_question(question=topic)
    fewer = {"options": [AB[0], {"value": "c", "label": "C"}]}
    said = refused(asking.change_question, question=topic, settings=fewer)
    assert "Then “why” could not be asked. The condition must name answers of “topic”: a, c." in said["__all__"][0]
    said = refused(asking.change_question, question=topic, position=9)
    assert "“why” could not be asked" in said["__all__"][0]
    assert keys(world) == [("overall", 1), ("topic", 1), ("why", 1)]


def test_a_question_that_does_not_fit_the_tasks_is_refused_until_they_are_withdrawn(world, asked):
    tasks = world.tasks(2, outputs=3)
    said = refused(add, world, "pair", Kind.PAIRWISE, settings={"steps": 2})
    assert "It needs 2 to 2 outputs, and 2 tasks have more or fewer" in said["kind"][0]
    for task in tasks:
        ledger.withdraw(task=task)
    add(world, "pair", Kind.PAIRWISE, settings={"steps": 2})


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_is_just_being_stored_makes_the_change_a_new_version():
    world = World.build()
    asked = world.project.questions.get()
    world.tasks()
    slot = world.claim("ana")
    stored, go_on, versions = threading.Event(), threading.Event(), []

    def answer() -> None:
        with transaction.atomic():
            world.answer(slot, 1, 2, 3)
            stored.set()
            go_on.wait(10)
        connection.close()

    def change() -> None:
        versions.append(asking.change_question(question=asked, text="Which?").version)
        connection.close()

    threads = [threading.Thread(target=answer), threading.Thread(target=change)]
    threads[0].start()
    assert stored.wait(10)
    threads[1].start()
    threads[1].join(10)
    assert versions == [2]  # it waits for nobody
    go_on.set()
    threads[0].join(10)
    assert asked.answers.count() == 1 and Question.objects.get(pk=asked.pk).text == asked.text


# --- Rules ------------------------------------------------------------------------------------------------------------


def test_a_changed_rule_is_a_new_version_without_a_moment_between(world):
    old = asking.add_rule(project=world.project, key="kind", text="Be kind.")
    new = asking.change_rule(rule=old, text="Be very kind.", translations={"zh-hans": {"text": "要很友善。"}})
    old.refresh_from_db()
    assert (old.text, old.retired_at) == ("Be kind.", new.created_at)
    assert (new.version, new.retired_at, new.says("zh-hans")["text"]) == (2, None, "要很友善。")
    assert asking.change_rule(rule=new, text=new.text).pk == new.pk
    with pytest.raises(Refused, match="no longer in force"):
        asking.change_rule(rule=old, text="x")


def test_a_slot_keeps_the_version_of_a_rule_that_was_in_force_when_it_was_claimed(world, asked):
    old = asking.add_rule(project=world.project, key="kind", text="Be kind.")
    world.tasks()
    before = world.claim("ana")
    new = asking.change_rule(rule=old, text="Be very kind.")
    after = world.claim("ben")
    assert [slot.drawn_rules(1) for slot in (before, after)] == [[old], [new]]


def test_a_rule_of_a_key_is_in_force_once_and_comes_back_in_its_next_version(world):
    rule = asking.add_rule(project=world.project, key="kind", text="Be kind.")
    said = refused(asking.add_rule, project=world.project, key="kind", text="Be kinder.")
    assert "has “kind” already" in said["key"][0]
    asking.retire_rule(rule=rule)
    assert asking.add_rule(project=world.project, key="kind", text="Be kinder.").version == 2


@pytest.mark.parametrize(
    ("said", "field"),
    [({"text": ""}, "text"), ({"key": "a b"}, "key"), ({"translations": {"zh-hans": 1}}, "translations")],
)
def test_what_is_wrong_with_a_rule_is_said_by_field(world, said, field):
    said = {"key": "kind", "text": "Be kind."} | said
    assert set(refused(asking.add_rule, project=world.project, **said)) == {field}
    assert not Rule.objects.exists()


def test_the_last_rule_stays_while_a_question_asks_about_rules(world, asked):
    rules = [asking.add_rule(project=world.project, key=key, text=key) for key in ("kind", "true")]
    about = add(world, "rules", Kind.RULE, scope="completion")
    asking.retire_rule(rule=rules[0])
    with pytest.raises(Refused, match="Retire the question “rules” first"):
        asking.retire_rule(rule=rules[1])
    asking.retire_question(question=about)
    asking.retire_rule(rule=rules[1])
    assert not world.project.rules.filter(retired_at=None).exists()


def test_the_database_itself_keeps_what_was_asked(world, asked):
    answered(world)
    rule = asking.add_rule(project=world.project, key="kind", text="Be kind.")
    for change in (
        lambda: Question.objects.filter(pk=asked.pk).update(text="x"),
        lambda: Rule.objects.filter(pk=rule.pk).update(text="x"),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


# --- Who gets what ----------------------------------------------------------------------------------------------------


def test_who_learns_something_looks_again_at_what_was_not_for_him(world):
    world.tasks(skills=("medicine",), language="fr")
    world.tasks()
    ana = world.annotator("ana")
    abilities.change_abilities(annotator=ana, languages=["en"], skills=[])
    world.answer(world.claim("ana"), 1, 2, 3)
    assert world.claim("ana") is None
    abilities.change_abilities(annotator=ana, languages=["fr", "en", "fr"], skills=["medicine"])
    assert Annotator.objects.get(pk=ana.pk).languages == ["en", "fr"]
    assert world.claim("ana").task.language == "fr"


def test_who_joins_a_team_looks_again_at_its_batches(world):
    world.tasks(batch="for the doctors")
    ledger.change_batch(batch=world.project.batches.get(), status="open", priority=0, team="doctors")
    world.tasks()
    world.answer(world.claim("ana"), 1, 2, 3)
    assert world.claim("ana") is None
    enrolment = world.annotator("ana").enrolments.get()
    with pytest.raises(ValidationError):
        abilities.move_to_team(enrolment=enrolment, team="the doctors")
    abilities.move_to_team(enrolment=enrolment, team="doctors")
    assert world.claim("ana").task.batch.name == "for the doctors"


def test_questions_of_another_project_have_keys_of_their_own(world, asked):
    elsewhere = create_project(slug="elsewhere", name="Elsewhere")
    made = asking.add_question(project=elsewhere, key="topic", text="?", kind=Kind.CHOICE, settings={"options": AB})
    assert (made.version, keys(world)) == (1, [("overall", 1)])
