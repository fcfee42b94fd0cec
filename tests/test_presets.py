"""Presets as they become projects: read in either language, made in two clicks, worked in to the first answer."""

import json
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotate import presets
from annotate.errors import Refused
from annotate.models import Annotation, Annotator, Harm, Membership, Project
from annotate.services import claims
from annotate.services.enrolments import enrol
from annotate.services.presets import create_from_preset, free_slug
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from annotate.sheet import Sheet

TWELVE = [
    *("demonstration", "harmless", "helpful", "helpsteer-attributes", "hh-pairwise", "honest"),
    *("instructgpt-ranking", "llama2-four-way", "oasst", "sparrow-rules", "summarize-from-feedback"),
    "webgpt-comparison",
]


# --- Reading ----------------------------------------------------------------------------------------------------------


def both(english: str, chinese: str) -> dict[str, str]:
    return {"en": english, "zh-hans": chinese}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder with one preset, in which every kind of word has a translation but the bad example."""
    said = {
        "name": both("Small", "小"),
        "summary": both("A small one.", "一个小的。"),
        "after": "",
        "overlap": 2,
        "outputs": [2, 3],
        "sensitive": False,
        "support": both("Rest.", "休息。"),
        "questions": [
            {
                "key": "best",
                "kind": "choice",
                "scope": "task",
                "required": True,
                "text": both("Which?", "哪个？"),
                "help": both("Look.", "看。"),
                "good_example": None,
                "bad_example": {"en": "No."},
                "settings": {"options": [{"value": "a", "label": both("Ay", "甲")}, {"value": "b", "label": "B"}]},
                "condition": None,
            }
        ],
        "rules": [{"key": "r", "text": both("Be.", "要。"), "good_example": None, "bad_example": None}],
    }
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "preset.json").write_text(json.dumps(said))
    for language, text in both("Do.\n", "做。\n").items():
        (folder / f"guideline.{language}.md").write_text(text)
        (folder / f"examples.{language}.json").write_text(json.dumps([{"prompt": text}]))
    (tmp_path / "secret.json").write_text("{}")
    monkeypatch.setattr(presets, "FOLDER", tmp_path)


def test_what_is_not_in_the_language_it_is_read_in_becomes_translations(small):
    english, chinese = presets.load("small", "en"), presets.load("small", "zh-hans")
    assert (english.name, chinese.name, chinese.support_text) == ("Small", "小", "休息。")
    assert english.translations == {"zh-hans": {"support_text": "休息。"}}
    question = english.questions[0]
    assert (question.text, question.good_example, question.bad_example) == ("Which?", "", "No.")
    options = [{"value": "a", "label": "甲"}, {"value": "b", "label": "B"}]
    assert question.translations == {"zh-hans": {"text": "哪个？", "help": "看。", "settings": {"options": options}}}
    assert chinese.questions[0].settings == {"options": options} and chinese.questions[0].bad_example == ""
    assert chinese.questions[0].translations["en"]["settings"] == question.settings
    assert english.rules[0].translations == {"zh-hans": {"text": "要。"}}
    assert (english.guideline.text, english.guideline.examples) == ("Do.", [{"prompt": "Do.\n"}])
    assert english.guideline.translations == {"zh-hans": {"text": "做。", "examples": [{"prompt": "做。\n"}]}}


def test_a_language_without_the_preset_gets_it_in_english(small):
    assert presets.load("small", "fr") == presets.load("small", "en")


@pytest.mark.parametrize("slug", ["", "none", "..", ".", "small/../small", "small/preset.json"])
def test_only_the_presets_that_are_there_can_be_read(small, slug):
    assert presets.slugs() == ["small"]
    with pytest.raises(KeyError):
        presets.load(slug)


def test_the_twelve_are_there():
    assert sorted(presets.slugs()) == sorted(TWELVE)
    assert presets.slugs()[:3] == ["helpful", "honest", "harmless"]


# --- Projects ---------------------------------------------------------------------------------------------------------


def first_task(project: Project, outputs: int) -> None:
    made = [NewCompletion(f"o{at}", f"Output {at} says this.", ("m",)) for at in range(outputs)]
    task = NewTask(name="first", conversation=[{"role": "user", "content": "Which?"}], completions=made)
    add_tasks(project=project, tasks=[task])


def some_answer(sheet: Sheet) -> dict[str, list[str]]:
    """A value for every field that the sheet asks for."""
    fields: dict[str, list[str]] = {}
    for asked in sheet.asked():
        key, settings, letters = asked["key"], asked["settings"], asked["letters"]
        rows = {f"{key}.{letter}" if asked["scope"] == "completion" else key for letter in letters or [""]}
        match asked["kind"]:
            case "ranking":
                fields |= {f"{key}.tier.{letter}": ["1"] for letter in letters} | {f"{key}.line": ["1"]}
            case "pairwise":
                fields[f"{key}.choice"] = [asked["options"][0]["value"]]
            case "rating":
                fields |= {row: [str(settings["max"])] for row in rows}
            case "choice" | "multi_choice":
                fields |= {row: [settings["options"][0]["value"]] for row in rows}
            case "text":
                fields |= {row: ["It says so. " * (1 + settings.get("min_length", 0) // 10)] for row in rows}
            case "rule":
                fields |= {row["name"]: ["0"] for rule in asked["rules"] for row in rule["rows"]}
            case "span":
                fields |= {f"{key}.{letter}.none": ["on"] for letter in letters}
            case "demonstration":
                fields[f"{key}.text"] = ["An answer, written out. " * (1 + settings.get("min_length", 0) // 10)]
    return fields


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("slug", TWELVE)
def test_a_preset_makes_a_project_in_which_people_can_work(world, slug, language):
    preset = presets.load(slug, language)
    project = create_from_preset(preset=slug, slug="made", name="Made", language=language, actor=world.users["mina"])
    asked = list(project.questions.current())
    assert [one.key for one in asked] == [one.key for one in preset.questions]
    other = ({"en", "zh-hans"} - {language}).pop()
    assert all(one.says(other)["text"] != one.text for one in asked)
    assert project.rules.count() == len(preset.rules)
    guideline = project.guidelines.get(current=True)
    assert guideline.examples and guideline.says(other)["examples"] and guideline.says(other)["text"] != guideline.text
    assert Membership.objects.get(project=project).role == Membership.Role.MANAGER
    assert (project.status, project.preset, project.overlap) == ("open", slug, preset.overlap)
    assert bool(project.harm_categories) == preset.sensitive

    first_task(project, preset.outputs[1])
    annotator = enrol(project=project, user=world.users["otto"]).annotator
    if preset.sensitive:
        assert claims.claim(annotator=annotator, project=project) is None  # not for who has not opted in
        Annotator.objects.filter(pk=annotator.pk).update(harm_categories=[Harm.UNSORTED])
        annotator.refresh_from_db()
    slot = claims.claim(annotator=annotator, project=project)
    answer = some_answer(Sheet(slot)) | {"key": str(uuid4())}
    response = world.client("otto").post(reverse("submit", args=[project.slug, slot.code]), answer)
    assert response.status_code == 302
    given = set(Annotation.objects.get(slot=slot).answers.values_list("question__key", flat=True))
    assert {one.key for one in asked if one.required and not one.condition} <= given


def test_the_support_of_a_preset_is_said_in_both_languages(world):
    project = create_from_preset(preset="harmless", slug="made", name="Made", language="zh-hans")
    chinese, english = project.support_in("zh-hans"), project.support_in("en")
    assert chinese and english and chinese != english
    assert chinese == presets.load("harmless", "zh-hans").support_text


@pytest.mark.django_db
def test_a_slug_is_the_first_that_is_free():
    assert free_slug("helpful") == "helpful"
    for slug in ("helpful", "helpful-2", "helpful-too"):
        create_from_preset(preset="helpful", slug=slug, name="x")
    assert (free_slug("helpful"), free_slug("help"), free_slug("new")) == ("helpful-3", "help", "new-2")


@pytest.mark.parametrize("slug", ["new", "kitchen", "no slug", ""])
def test_what_cannot_be_a_slug_makes_nothing(world, slug):
    with pytest.raises(ValidationError) as refused:
        create_from_preset(preset="helpful", slug=slug, name="x")
    assert set(refused.value.message_dict) == {"slug"}
    assert Project.objects.count() == 1


@pytest.mark.django_db
def test_a_preset_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(Refused, match="hh-pairwise"):
        create_from_preset(preset="none", slug="x", name="x")


# --- The page ---------------------------------------------------------------------------------------------------------


def test_two_clicks_make_a_project(world):
    client = world.client("ada")
    page = client.get(reverse("project_new"))
    assert all(f"?preset={slug}" in page.text for slug in TWELVE)
    assert presets.load("instructgpt-ranking").after in page.text
    form = client.get(reverse("project_new"), {"preset": "helpful"}).context["form"]
    assert form.initial == {"name": "Helpful", "slug": "helpful", "language": "en"}
    response = client.post(reverse("project_new"), form.initial | {"preset": "helpful"}, follow=True)
    made = Project.objects.get(slug="helpful")
    assert response.redirect_chain == [(reverse("project", args=["helpful"]), 302)]
    assert "Next: import tasks" in response.text
    assert Membership.objects.get(project=made).user == world.users["ada"]
    again = client.get(reverse("project_new"), {"preset": "helpful"}).context["form"]
    assert again.initial["slug"] == "helpful-2"


def test_a_reader_of_chinese_is_offered_a_project_in_chinese(world):
    client = world.client("ada")
    client.cookies["django_language"] = "zh-hans"
    page = client.get(reverse("project_new"), {"preset": "honest"})
    preset = presets.load("honest", "zh-hans")
    assert page.context["form"].initial == {"name": preset.name, "slug": "honest", "language": "zh-hans"}
    assert preset.questions[0].text in page.text and preset.rules[0].text in page.text


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"slug": "kitchen"}, "slug"),
        ({"slug": "new"}, "slug"),
        ({"name": " "}, "name"),
        ({"language": "fr"}, "language"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(world, wrong, field):
    sent = {"preset": "helpful", "name": "My own name", "slug": "mine", "language": "en"} | wrong
    page = world.client("ada").post(reverse("project_new"), sent)
    assert (page.status_code, set(page.context["form"].errors)) == (422, {field})
    assert all(f'value="{sent[name]}"' in page.text for name in ("name", "slug") if sent[name].strip())
    assert Project.objects.count() == 1


@pytest.mark.parametrize(("method", "sent", "status"), [("get", {"preset": "no"}, 404), ("post", {}, 422)])
def test_no_project_without_a_preset(world, method, sent, status):
    assert getattr(world.client("ada"), method)(reverse("project_new"), sent).status_code == status


def test_only_those_who_may_make_projects_see_the_page_and_the_way_to_it(world):
    maker = User.objects.create_user("maker")
    maker.user_permissions.add(Permission.objects.get(codename="add_project"))
    world.users["maker"] = maker
    for name, may in {"ada": True, "maker": True, "mina": False, "ana": False, "otto": False}.items():
        client = world.client(name)
        assert client.get(reverse("project_new")).status_code == (200 if may else 403), name
        assert (reverse("project_new") in client.get(reverse("projects")).text) is may, name
    sent = {"preset": "oasst", "name": "x", "slug": "x", "language": "en"}
    assert world.client("mina").post(reverse("project_new"), sent).status_code == 403
    assert world.client("maker").post(reverse("project_new"), sent).status_code == 302
    assert world.client("maker").get(reverse("project", args=["x"])).status_code == 200


# --- The command ------------------------------------------------------------------------------------------------------


def test_the_command_makes_a_project(world, capsys):
    call_command(
        "create_project", "--preset", "oasst", "--slug", "trees", "--name", "Trees", "--language", "zh-hans",
        "--manager", "mina", "--status", "draft",
    )  # fmt: skip
    made = Project.objects.get(slug="trees")
    assert "trees: asks order, spam" in capsys.readouterr().out
    assert (made.name, made.status, made.memberships.get().user) == ("Trees", "draft", world.users["mina"])
    assert made.questions.current()[0].text == presets.load("oasst", "zh-hans").questions[0].text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"slug": "kitchen"}, "slug: "),
        ({"slug": "new"}, "another page"),
        ({"manager": "nobody"}, "no user “nobody”"),
        ({"preset": "none"}, "invalid choice"),
    ],
)
def test_the_command_says_what_is_wrong(world, options, said):
    given = {"preset": "oasst", "slug": "x", "name": "X"} | options
    with pytest.raises(CommandError, match=said):
        call_command("create_project", *(f"--{name}={value}" for name, value in given.items()))
    assert Project.objects.count() == 1
