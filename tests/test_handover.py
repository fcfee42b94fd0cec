"""Instances that become tasks: their outputs, what is left out and counted, and nothing twice."""

import pytest
from django.core.exceptions import ValidationError

from annotate.models import Completion, Project, Slot, Task
from annotate.services.projects import create_project
from curation.services import handover, instances
from curation.services.handover import Choice, HandedOver, add_instances
from jobs.models import Job
from tests import library

pytestmark = pytest.mark.django_db

ROWS = [
    {"id": "r1", "text": "One", "label": "yes", "model_a": "yes", "model_b": "perhaps", "n": 1},
    {"id": "r2", "text": "Two", "label": "no", "model_a": "yes", "model_b": "", "n": 2},
    {"id": "r3", "text": "Three", "label": "no", "model_a": "no", "model_b": "no", "n": 3},
    {"id": "r4", "text": "", "label": "no", "model_a": "no", "model_b": "no", "n": 4},
]


@pytest.fixture
def made(world):
    """Three instances with two answer choices and two columns of outputs; row 4 is dropped."""
    over = library.dataset(ROWS, id_column="id")
    return library.instances(over, library.template(over, "{{ text }} ||| {{ label }}", answer_choices="yes ||| no"))


def outputs(project: Project) -> dict[str, list[str]]:
    """Of each task, the outputs in order."""
    found: dict[str, list[str]] = {}
    for name, text in Completion.objects.filter(task__project=project).values_list("task__name", "text"):
        found.setdefault(name, []).append(text)
    return found


def hand_over(world, made, *rows: int, **choice) -> HandedOver:
    return add_instances(instance_set=made, project=world.project, choice=Choice(rows=frozenset(rows), **choice))


def refusal(world, made, **choice) -> str:
    with pytest.raises(ValidationError) as caught:
        add_instances(instance_set=made, project=world.project, choice=Choice(**choice))
    assert not Task.objects.exists()
    return caught.value.messages[0]


# --- What a task is made of -------------------------------------------------------------------------------------------


def test_the_target_and_the_other_answer_choices_are_the_outputs(world, made):
    assert hand_over(world, made, 1, 2, answer_choices=True) == HandedOver(tasks=2)
    assert outputs(world.project) == {
        "texts@1/shorter@1#1": ["yes", "no"],
        "texts@1/shorter@1#2": ["no", "yes"],
    }
    task = Task.objects.get(name="texts@1/shorter@1#1")
    assert (task.conversation, task.language) == ([{"role": "user", "content": "One"}], "en")
    instance = library.rendered(made)[0]
    assert task.prompt_sha256 == instance["prompt_id"]
    assert task.slots.filter(status=Slot.Status.OPEN).count() == world.project.overlap
    assert world.claim("ana").task in Task.objects.all()


def test_columns_that_hold_outputs_bring_them_with_their_source(world, made):
    assert hand_over(world, made, 1, 2, 3, output_columns=("model_a", "model_b")) == HandedOver(
        tasks=2, too_few_outputs=1
    )
    assert outputs(world.project) == {
        "texts@1/shorter@1#1": ["yes", "perhaps"],
        "texts@1/shorter@1#2": ["no", "yes"],  # what model_b says is empty
    }
    sources = {
        text: set(
            Completion.objects.get(task__name="texts@1/shorter@1#1", text=text).sources.values_list("model", flat=1)
        )
        for text in ("yes", "perhaps")
    }
    assert sources == {"yes": {"reference", "model_a"}, "perhaps": {"model_b"}}


def test_a_column_may_be_called_as_an_output_is(world):
    over = library.dataset([{"text": "t", "target": "a", "choice-1": "b", "reference": "c"}])
    made = library.instances(over, library.template(over, "{{ text }} ||| {{ target }}!", answer_choices="x ||| y"))
    done = hand_over(world, made, 1, answer_choices=True, output_columns=("target", "choice-1", "reference"))
    assert done == HandedOver(tasks=1)
    assert outputs(world.project) == {"texts@1/shorter@1#1": ["a!", "x", "y", "a", "b", "c"]}


def test_instances_with_one_output_or_over_nine_are_left_out_and_counted(world):
    over = library.dataset([{"text": f"t{at}", "many": "|".join(f"o{n}" for n in range(at))} for at in (2, 9, 10)])
    by = library.template(over, "{{ text }} ||| o0", answer_choices="{{ many.split('|') | join(' ||| ') }}")
    made = library.instances(over, by)
    assert hand_over(world, made, 1, 2, 3, answer_choices=True) == HandedOver(tasks=2, too_many_outputs=1)
    assert sorted(len(texts) for texts in outputs(world.project).values()) == [2, 9]
    assert hand_over(world, made, 1, 2, 3) == HandedOver(too_few_outputs=3)
    assert Task.objects.count() == 2


def test_names_that_are_too_long_are_shortened_and_stay_apart(world):
    over = library.dataset([{"text": f"t{at}", "label": "x"} for at in (1, 2)], name="d" * 80)
    sets = [
        library.instances(
            over, library.template(over, "{{ text }} ||| a", name="t" * 99 + end, answer_choices="a ||| b")
        )
        for end in "ab"
    ]
    for made in sets:
        assert hand_over(world, made, 1, 2, answer_choices=True) == HandedOver(tasks=2)
        assert hand_over(world, made, 1, 2, answer_choices=True) == HandedOver(known=2)
    names = set(Task.objects.values_list("name", flat=True))
    assert len(names) == 4 and all(len(name) <= 200 for name in names)


def test_all_that_is_made_of_a_group_shares_a_split(world):
    over = library.dataset([row | {"group": "g"} for row in ROWS[:3]], group_column="group")
    made = library.instances(over, library.template(over, "{{ text }} ||| {{ label }}", answer_choices="yes ||| no"))
    hand_over(world, made, 1, 2, 3, answer_choices=True)
    assert len(set(Task.objects.values_list("split_group", flat=True))) == 1
    other = library.instances(over, library.template(over, "{{ text }}? ||| {{ label }}", answer_choices="yes ||| no"))
    hand_over(world, other, 1, answer_choices=True)
    assert len(set(Task.objects.values_list("split_group", flat=True))) == 1


# --- Again ------------------------------------------------------------------------------------------------------------


def test_the_same_again_makes_nothing_twice(world, made):
    assert hand_over(world, made, 1, 2, answer_choices=True) == HandedOver(tasks=2)
    assert hand_over(world, made, 1, 2, answer_choices=True) == HandedOver(known=2)
    assert hand_over(world, made, 1, 2, 3, answer_choices=True) == HandedOver(tasks=1, known=2)
    assert (Task.objects.count(), Completion.objects.count(), Slot.objects.count()) == (3, 6, 3 * world.project.overlap)


def test_another_project_gets_them_too(world, made):
    other = create_project(slug="other", name="Other", overlap=1)
    hand_over(world, made, 1, answer_choices=True)
    done = add_instances(instance_set=made, project=other, choice=Choice(rows=frozenset([1]), answer_choices=True))
    assert (done.tasks, outputs(other)) == (1, outputs(world.project))


def test_instances_of_another_seed_are_others(world):
    over = library.dataset(library.rows(3))
    by = library.template(over, "{{ range(1000) | random }} {{ text }} ||| a", answer_choices="a ||| b")
    for seed in ("plumbline", "other"):
        assert hand_over(world, library.instances(over, by, seed=seed), 1, answer_choices=True) == HandedOver(tasks=1)
    assert len(set(Task.objects.values_list("prompt_sha256", flat=True))) == 2


# --- The sample -------------------------------------------------------------------------------------------------------


def test_a_sample_is_the_same_each_time_and_a_larger_one_holds_it(world):
    over = library.dataset(library.rows(60))
    made = library.instances(over, library.template(over, "{{ text }} ||| a", answer_choices="a ||| b"))
    drawn = []
    for count in (5, 12, 40):
        project = create_project(slug=f"p{count}", name="P", overlap=1)
        for _ in range(2):
            done = add_instances(instance_set=made, project=project, choice=Choice(sample=count, answer_choices=True))
        assert done == HandedOver(known=count)
        drawn.append(set(outputs(project)))
    assert [len(names) for names in drawn] == [5, 12, 40]
    assert drawn[0] < drawn[1] < drawn[2]
    assert drawn[0] != {f"texts@1/shorter@1#{row}" for row in range(1, 6)}
    seeded = library.instances(over, made.template, seed="other")
    hand_over(world, seeded, sample=12, answer_choices=True)
    numbers = [{name.split("#")[1] for name in names} for names in (drawn[1], outputs(world.project))]
    assert numbers[0] != numbers[1]


def test_a_sample_of_more_than_there_are_is_all_of_them(world, made):
    assert hand_over(world, made, sample=100, answer_choices=True) == HandedOver(tasks=3)


# --- What cannot be ---------------------------------------------------------------------------------------------------


def test_a_choice_that_cannot_be_is_refused_in_words(world, made):
    assert "Choose instances" in refusal(world, made)
    assert "Choose instances" in refusal(world, made, sample=-3)
    assert "“n” is no text column" in refusal(world, made, sample=1, output_columns=("model_a", "n"))
    assert "“nothing” is no text column" in refusal(world, made, sample=1, output_columns=("nothing",))
    assert "Row 4 has no instance" in refusal(world, made, rows=frozenset([1, 4, 99]), answer_choices=True)
    over = handover.MOST_AT_ONCE + 1
    for choice in ({"sample": over}, {"rows": frozenset(range(1, over + 1))}):
        assert "At most 5000 at once" in refusal(world, made, **choice)
    waiting = instances.request_instances(
        dataset=made.dataset, template=made.template, seed="s", actor=None, send=False
    )
    assert "not rendered yet" in refusal(world, waiting, sample=1)


# --- By page and API --------------------------------------------------------------------------------------------------


def test_the_page_makes_tasks_of_what_was_ticked_and_says_so(world, made):
    form = {"project": world.project.pk, "rows": ["1", "2"], "output_columns": ["model_b"]}
    page = world.client("mina").post(f"/instances/{made.pk}/tasks/", form, follow=True)
    assert page.redirect_chain == [("/projects/kitchen/", 302)]
    assert "1 new tasks. 1 were left out: they have one output only." in page.text
    assert set(outputs(world.project)) == {"texts@1/shorter@1#1"}


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "required"),
        ({"project": "PROJECT"}, "Choose instances"),
        ({"project": "PROJECT", "rows": "four"}, "Select a valid choice"),
        ({"project": "PROJECT", "rows": "9" * 30}, "Select a valid choice"),
        ({"project": "PROJECT", "sample": "9" * 30}, "At most 5000"),
        ({"project": "PROJECT", "sample": "-1"}, "greater than or equal to 0"),
        ({"project": "PROJECT", "sample": "1", "output_columns": "n"}, "Select a valid choice"),
        ({"project": "PROJECT", "rows": "4"}, "Row 4 has no instance"),
        ({"project": "0", "sample": "1"}, "Select a valid choice"),
        ({"project": "x\x00", "sample": "1"}, "Null characters"),
    ],
)
def test_a_form_that_cannot_be_comes_back_with_why(world, made, form, said):
    form = {name: str(world.project.pk) if value == "PROJECT" else value for name, value in form.items()}
    page = world.client("mina").post(f"/instances/{made.pk}/tasks/", form)
    assert (page.status_code, Task.objects.count()) == (422, 0)
    errors = [problem for problems in page.context["form"].errors.values() for problem in problems]
    assert any(said in problem for problem in errors), errors


def test_only_managers_of_the_project_hand_over_to_it(world, made):
    theirs = create_project(slug="theirs", name="Theirs", overlap=1)
    form, body = {"sample": "1", "answer_choices": "on"}, {"sample": 1, "answer_choices": True}
    for name, page, api in (("otto", 404, 404), ("ana", 404, 404), ("rita", 403, 403), ("mina", 422, 404)):
        client = world.client(name)
        assert client.post(f"/instances/{made.pk}/tasks/", form | {"project": theirs.pk}).status_code == page, name
        header = {"headers": world.token(name, "datasets:write"), "content_type": "application/json"}
        path = f"/api/instance-sets/{made.pk}/tasks/"
        assert client.post(path, body | {"project": "theirs"}, **header).status_code == api, name
    assert not Task.objects.exists()


def test_a_researcher_makes_datasets_and_no_tasks(world, made):
    world.project.memberships.filter(user=world.users["rita"]).update(role="researcher")
    client = world.client("rita")
    assert "instances_to_tasks" not in client.get(f"/instances/{made.pk}/").text
    assert client.post(f"/instances/{made.pk}/tasks/", {"project": world.project.pk, "sample": "1"}).status_code == 422
    header = {"headers": world.token("rita", "datasets:write"), "content_type": "application/json"}
    path, body = f"/api/instance-sets/{made.pk}/tasks/", {"project": "kitchen", "sample": 1, "answer_choices": True}
    assert client.post(path, body, **header).status_code == 403
    assert client.get(f"/datasets/{made.dataset.pk}/templates/new/").status_code == 200
    assert not Task.objects.exists()


def test_the_api_says_what_became_of_them_and_what_is_wrong(world, made):
    client = world.client("mina")
    header = {"headers": world.token("mina", "datasets:write"), "content_type": "application/json"}
    path = f"/api/instance-sets/{made.pk}/tasks/"
    body = {"project": "kitchen", "rows": [1, 3], "output_columns": ["model_b"]}
    done = {"tasks": 1, "known": 0, "too_few_outputs": 1, "too_many_outputs": 0}
    for expected in (done, done | {"tasks": 0, "known": 1}):
        response = client.post(path, body, **header)
        assert (response.status_code, response.json()) == (200, expected)
    for wrong, field in (
        ({}, "project"),
        ({"project": "kitchen"}, "detail"),
        ({"project": "kitchen", "rows": [0]}, "rows"),
        ({"project": "kitchen", "rows": ["x"]}, "rows"),
        ({"project": "kitchen", "rows": [99]}, "detail"),
        ({"project": "kitchen", "sample": 5001}, "sample"),
        ({"project": "kitchen", "sample": 1, "output_columns": ["n"]}, "detail"),
    ):
        response = client.post(path, wrong, **header)
        assert (response.status_code, list(response.json())) == (400, [field]), wrong
    assert Task.objects.count() == 1
    assert not Job.objects.filter(state=Job.State.FAILED).exists()
