"""The admin of what a project asks and who gets it: each form and action does what its verb does, and says so."""

import json

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from annotate.admin import in_words
from annotate.models import Annotator, Batch, Enrolment, Guideline, Harm, Project, Question, Rule, Slot, Task
from annotate.services import asking
from annotate.services.projects import publish_guideline
from tests.world import World

AB = [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}]


@pytest.fixture
def ada(world) -> Client:
    return world.client("ada")


def change_page(row) -> str:
    return reverse(f"admin:annotate_{row._meta.model_name}_change", args=[row.pk])


def said(response) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def errors(response) -> dict[str, list[str]]:
    assert response.status_code == 200
    return response.context["adminform"].form.errors


def act(client: Client, model: str, action: str, *rows):
    address = reverse(f"admin:annotate_{model}_changelist")
    return client.post(address, {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True)


def question(world: World, **fields) -> dict[str, object]:
    asked = {"project": world.project.pk, "key": "topic", "kind": "choice", "scope": "task", "text": "What about?"}
    return asked | {"required": "on", "settings": json.dumps({"options": AB}), "translations": ""} | fields


# --- Questions --------------------------------------------------------------------------------------------------------


def test_a_question_is_added_after_the_others(world, ada):
    response = ada.post(reverse("admin:annotate_question_add"), question(world), follow=True)
    assert response.redirect_chain
    made = Question.objects.get(key="topic")
    assert (made.version, made.position, made.settings, made.condition) == (1, 1, {"options": AB}, None)


@pytest.mark.parametrize(
    ("wrong", "field", "text"),
    [
        ({"settings": "{}"}, "settings", "“options” must be a list of 2 to 20"),
        ({"settings": "{options"}, "settings", "valid JSON"),
        ({"settings": ""}, "settings", "“options” must be"),
        ({"kind": "ranking", "settings": "{}", "scope": "completion"}, "scope", "is about the task"),
        ({"condition": '{"question": "none", "in": ["a"]}'}, "condition", "There are: –"),
        ({"key": "overall"}, "key", "has “overall” already"),
        ({"key": "typing"}, "key", "name of a field of the page"),
        ({"kind": "rule", "settings": "{}", "scope": "completion"}, "kind", "Add the rules first"),
        ({"translations": '{"fr": {}}'}, "translations", "“fr” cannot stand"),
        ({"project": ""}, "project", "required"),
    ],
)
def test_what_is_wrong_with_a_question_stands_at_its_field(world, ada, wrong, field, text):
    found = errors(ada.post(reverse("admin:annotate_question_add"), question(world, position="0") | wrong))
    assert set(found) == {field} and text in found[field][0]
    assert Question.objects.count() == 1


def test_what_was_typed_comes_back_even_if_it_is_no_json(world, ada):
    page = ada.post(reverse("admin:annotate_question_add"), question(world, settings="{“a”: 1"))
    assert "{“a”: 1" in page.text


@pytest.mark.parametrize(
    "odd", ['{"low": "\\u0000"}', '{"low": "\\ud800"}', '{"min": NaN}', '{"min": 1e999}', "[" * 9999]
)
def test_json_that_the_database_would_not_take_is_refused_at_its_field(world, ada, odd):
    for field in ("settings", "condition", "translations"):
        assert field in errors(ada.post(reverse("admin:annotate_question_add"), question(world) | {field: odd}))


def test_the_settings_are_shown_as_people_write_them(world, ada):
    made = asking.add_question(
        project=world.project, key="topic", text="?", kind="choice",
        settings={"options": [{"value": "a", "label": "甲"}, AB[1]]},
    )  # fmt: skip
    page = ada.get(change_page(made))
    assert "甲" in page.text and "docs/questions.md" in page.text
    assert page.context["adminform"].form["condition"].value() == ""  # not null


@pytest.mark.parametrize(("claimed", "version"), [(False, 1), (True, 2)])
def test_a_change_is_in_place_until_somebody_was_asked(world, ada, claimed, version):
    asked = world.project.questions.get()
    world.tasks()
    if claimed:
        world.claim("ana")
    form = question(world, kind="ranking", text="Which?", settings='{"unranked": "below"}', position="0")
    response = ada.post(change_page(asked), form, follow=True)
    now = world.project.questions.current().get()
    assert (now.key, now.version, now.text) == ("overall", version, "Which?")  # the key is not for changing
    assert ("in version 2 from now on" in said(response)) is claimed
    assert world.project.questions.count() == version


def test_a_former_version_is_to_look_at_only(world, ada):
    asked = world.project.questions.get()
    world.tasks()
    world.claim("ana")
    asking.change_question(question=asked, text="Which?")
    assert "_save" not in ada.get(change_page(asked)).text
    assert ada.post(change_page(asked), question(world)).status_code == 403


def test_questions_are_retired_and_what_cannot_be_is_said(world, ada):
    topic = asking.add_question(project=world.project, key="topic", text="?", kind="choice", settings={"options": AB})
    response = act(ada, "question", "retire", topic, world.project.questions.get(key="overall"))
    assert "all that this project asks" in said(response) and "1 retired" in said(response)
    assert world.project.questions.current().count() == 1


# --- Rules, guidelines, projects --------------------------------------------------------------------------------------


def test_a_changed_rule_is_a_new_version(world, ada):
    form = {
        "project": world.project.pk,
        "key": "kind",
        "text": "Be kind.",
        "translations": '{"zh-hans": {"text": "善"}}',
    }
    ada.post(reverse("admin:annotate_rule_add"), form)
    rule = Rule.objects.get()
    assert rule.says("zh-hans")["text"] == "善"
    response = ada.post(change_page(rule), form | {"text": "Be kinder."}, follow=True)
    assert "“kind” is asked in version 2" in said(response)
    found = [(one.text, one.retired_at is None) for one in Rule.objects.order_by("version")]
    assert found == [("Be kind.", False), ("Be kinder.", True)]
    assert "has “kind” already" in errors(ada.post(reverse("admin:annotate_rule_add"), form))["key"][0]
    act(ada, "rule", "retire", Rule.objects.get(version=2))
    assert not Rule.objects.filter(retired_at=None).exists()


EXAMPLE = {"prompt": "Hi", "outputs": [{"letter": "A", "text": "Hello"}], "answer": "A", "why": "It greets."}


def test_a_new_guideline_begins_with_what_is_published(world, ada):
    publish_guideline(project=world.project, text="Do.", examples=[EXAMPLE], translations={"zh-hans": {"text": "做。"}})
    page = ada.get(reverse("admin:annotate_guideline_add"), {"project": world.project.pk})
    form = page.context["adminform"].form
    assert form["text"].value() == "Do."
    assert json.loads(form["examples"].value()) == [EXAMPLE]
    assert json.loads(form["translations"].value()) == {"zh-hans": {"text": "做。"}}
    sent = {"project": world.project.pk, "text": "Do it.", "examples": json.dumps([EXAMPLE]), "translations": ""}
    ada.post(reverse("admin:annotate_guideline_add"), sent)
    now = Guideline.objects.get(current=True)
    assert (now.version, now.text, now.examples, now.translations) == (3, "Do it.", [EXAMPLE], {})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("examples", [{"prompt": "Hi"}]),
        ("examples", {"prompt": "Hi"}),
        ("examples", [EXAMPLE | {"outputs": ["A"]}]),
        ("translations", {"fr": {"text": "Faire."}}),
        ("translations", {"zh-hans": {"text": 1}}),
        ("translations", {"zh-hans": {"examples": ["Hi"]}}),
        ("translations", ["zh-hans"]),
    ],
)
def test_a_guideline_of_another_shape_is_refused(world, ada, field, value):
    sent = {"project": world.project.pk, "text": "Do.", field: json.dumps(value)}
    assert set(errors(ada.post(reverse("admin:annotate_guideline_add"), sent))) == {field}


def project_form(project: Project | None = None, **fields) -> dict[str, object]:
    names = ["slug", "name", "status", "overlap", "shared_percent", "shared_overlap", "max_overlap", "gold_percent"]
    names += ["gold_new_percent", "gold_new_tasks", "gold_target_percent"]
    source = project or Project(slug="fresh", name="Fresh")
    inline = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    return inline | {name: getattr(source, name) for name in [*names, "lease_minutes", "confidence_percent"]} | fields


def test_a_project_is_made_and_changed_with_all_that_it_has(world, ada):
    more = {"daily_cap": 50, "share_cap": 20, "exposure_cap": 5, "shared_percent": 10, "gold_percent": 3}
    form = project_form(harm_categories=["hate", "crime"], support_text="Rest.", **more)
    ada.post(reverse("admin:annotate_project_add"), form | {"translations": '{"zh-hans": {"support_text": "休息。"}}'})
    made = Project.objects.get(slug="fresh")
    assert {name: getattr(made, name) for name in more} == more
    assert (set(made.harm_categories), made.support_in("zh-hans")) == ({Harm.HATE, Harm.CRIME}, "休息。")
    ada.post(change_page(made), project_form(made, daily_cap=60, translations=""))
    made.refresh_from_db()
    assert (made.daily_cap, made.exposure_cap, made.harm_categories, made.translations) == (60, None, [], {})


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"slug": "new"}, "slug"),
        ({"overlap": 5, "max_overlap": 4}, "max_overlap"),
        ({"gold_percent": 101}, "gold_percent"),
        ({"harm_categories": ["boredom"]}, "harm_categories"),
        ({"translations": '{"zh-hans": {"name": "x"}}'}, "translations"),
    ],
)
def test_what_is_wrong_with_a_project_stands_at_its_field(world, ada, wrong, field):
    assert set(errors(ada.post(reverse("admin:annotate_project_add"), project_form(**wrong)))) == {field}


def test_the_harm_of_a_project_is_said_before_its_first_task(world, ada):
    ada.post(change_page(world.project), project_form(world.project, harm_categories=["hate"]))
    world.project.refresh_from_db()
    assert world.project.harm_categories == [Harm.HATE]
    world.tasks()
    found = errors(ada.post(change_page(world.project), project_form(world.project, harm_categories=["crime"])))
    assert "Tasks are in" in found["harm_categories"][0]
    ada.post(change_page(world.project), project_form(world.project, harm_categories=["hate"], name="Other"))
    world.project.refresh_from_db()
    assert world.project.name == "Other"


# --- Batches, tasks, slots --------------------------------------------------------------------------------------------


def test_a_batch_is_made_and_its_places_take_its_priority(world, ada):
    form = {"project": world.project.pk, "name": "urgent", "status": "open", "priority": 0, "team": ""}
    ada.post(reverse("admin:annotate_batch_add"), form)
    batch = Batch.objects.get()
    world.tasks()
    (task,) = world.tasks(batch="urgent")
    ada.post(change_page(batch), {"status": "open", "priority": 9, "team": "", "name": "another"})
    batch.refresh_from_db()
    assert (batch.priority, batch.name) == (9, "urgent")
    assert world.claim("ana").task == task
    ada.post(change_page(batch), {"status": "paused", "priority": 9, "team": "night"})
    assert world.claim("ben").task != task
    assert set(errors(ada.post(change_page(batch), {"status": "open", "priority": 10, "team": ""}))) == {"priority"}


def test_tasks_are_withdrawn_restored_and_given_to_one_more(world, ada):
    one, other = world.tasks(2)
    open_places = Slot.objects.filter(status="open")
    assert "1 withdrawn" in said(act(ada, "task", "withdraw", one))
    assert open_places.filter(task=one).count() == 0
    assert "1 places added" in said(act(ada, "task", "add_place", one, other))
    assert open_places.filter(task=other).count() == 3
    assert "1 restored" in said(act(ada, "task", "restore", one, other))
    assert open_places.filter(task=one).count() == 2
    Project.objects.update(max_overlap=3)
    response = act(ada, "task", "add_place", other)
    assert "0 places added" in said(response) and "1 left as they were" in said(response)


def test_who_may_only_look_at_tasks_is_offered_no_action_and_can_do_none(world):
    staff = User.objects.create_user("looker", is_staff=True)
    names = ("task", "question", "rule", "enrolment", "batch")
    staff.user_permissions.set(Permission.objects.filter(codename__in=[f"view_{name}" for name in names]))
    client = Client()
    client.force_login(staff)
    (task,) = world.tasks()
    extra = asking.add_question(project=world.project, key="topic", text="?", kind="choice", settings={"options": AB})
    enrolment = world.annotator("ana").enrolments.get()
    rows = {"task": ("withdraw", task), "question": ("retire", extra), "enrolment": ("pause", enrolment)}
    for model, (action, row) in rows.items():
        assert f'value="{action}"' in world.client("ada").get(reverse(f"admin:annotate_{model}_changelist")).text
        assert f'value="{action}"' not in client.get(reverse(f"admin:annotate_{model}_changelist")).text
        act(client, model, action, row)
    assert Task.objects.get().status == "open" and Enrolment.objects.get(pk=enrolment.pk).status == "approved"
    assert world.project.questions.current().count() == 2


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (None, ""),
        (
            {"why": "next", "routes": 5, "heads": 3},
            "the next after the cursor · 3 tasks came into question, on 5 routes",
        ),
        ({"why": "ahead", "routes": 1, "heads": 1}, "ahead of the rest"),
        ({"why": "left behind", "routes": 1, "heads": 1}, "left below the cursor"),
        ({"why": "gold", "routes": 1, "exposure_cap": "reached"}, "of the purpose “gold” · the cap on exposure"),
    ],
)
def test_why_somebody_got_a_task_is_said_in_words(info, words):
    assert words in in_words(info)


def test_support_sees_why_somebody_got_a_task(world, ada):
    world.tasks()
    slot = world.claim("ana")
    words = "the next after the cursor · 1 tasks came into question, on 1 routes open to this person"
    assert words in ada.get(reverse("admin:annotate_slot_changelist")).text
    assert words in ada.get(change_page(slot)).text


# --- People -----------------------------------------------------------------------------------------------------------


def test_what_an_annotator_knows_is_changed_and_he_looks_again(world, ada):
    world.tasks(skills=("medicine",))
    world.tasks()
    world.answer(world.claim("ana"), 1, 2, 3)
    assert world.claim("ana") is None
    ana = world.annotator("ana")
    form = {"languages": "en, zh", "skills": "medicine", "harm_categories": "hate", "pseudonym": "x"}
    ada.post(change_page(ana), form)
    now = Annotator.objects.get(pk=ana.pk)
    assert (now.languages, now.skills, now.harm_categories) == (["en", "zh"], ["medicine"], [])
    assert now.pseudonym == ana.pseudonym
    assert world.claim("ana").task.skills == ["medicine"]
    assert "skills" in errors(ada.post(change_page(ana), form | {"skills": "a b"}))


def test_an_enrolment_moves_to_a_team_and_nothing_else_of_it_changes(world, ada):
    enrolment = world.annotator("ana").enrolments.get()
    ada.post(change_page(enrolment), {"team": "doctors", "status": "rejected"})
    enrolment.refresh_from_db()
    assert (enrolment.team, enrolment.status) == ("doctors", "approved")
    assert "team" in errors(ada.post(change_page(enrolment), {"team": "the doctors"}))
