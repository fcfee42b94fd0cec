"""Which prompts share a split: what nearly the same means, what is joined, and what is touched without being joined."""

import hashlib
import io
import json

import numpy as np
import pytest
from django.db import connection
from django.db.models import Count
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from annotate.models import PromptKey, SplitGroupTouch, Task
from annotate.services import gold, split_groups
from annotate.services.imports import import_judgements
from annotate.services.projects import create_project
from annotate.services.split_groups import normalised, touched
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from curation.services.handover import Choice, add_instances
from tests import library

pytestmark = pytest.mark.django_db
OUTPUTS = [NewCompletion("a", "yes"), NewCompletion("b", "no")]
# 29 words, so 25 runs of five. With another last word 24 of 26 are shared; with five others 20 of 30, less than .8.
LONG = (
    "Explain to a child of seven years why a heavy ship of steel floats on the sea while a small stone sinks to the "
    "ground at once every time"
)
CHINESE = "请用简单的语言向一个七岁的孩子解释为什么一艘很重的钢铁轮船能够浮在海面上而一块小石头却会立刻沉到水底"
SHORT = "Why does ice float?"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def new(name: str, prompt: str, **fields) -> NewTask:
    return NewTask(name, [{"role": "user", "content": prompt}], OUTPUTS, **fields)


def groups(project, *tasks: NewTask) -> list[str]:
    return [task.split_group for task in add_tasks(project=project, tasks=tasks)]


def said(text: str) -> split_groups._Said:
    return split_groups._Said(normalised(text), split_groups._Codes())


def similarity(one: str, other: str) -> float:
    return said(one).similarity(said(other))


def with_last(text: str, *words: str) -> str:
    return " ".join([*text.split()[: -len(words)], *words])


# --- What nearly the same means ---------------------------------------------------------------------------------------


def test_the_similarity_is_the_share_of_runs_of_five_words_that_two_have_in_common():
    assert len(said(LONG).shingles) == 25
    assert similarity(LONG, LONG.upper() + "!") == 1  # marks and case say nothing
    assert similarity(LONG, with_last(LONG, "day")) == 24 / 26
    assert similarity(LONG, with_last(LONG, "each", "and", "any", "single", "day")) == 20 / 30
    assert similarity(LONG, CHINESE) == 0


def test_of_text_without_spaces_it_is_the_share_of_runs_of_five_characters():
    assert len(CHINESE) == 50 and len(said(CHINESE).shingles) == 46
    assert similarity(CHINESE, CHINESE[:-1] + "部") == 45 / 47
    assert similarity(CHINESE, "，".join([CHINESE[:20], CHINESE[20:]])) == 1
    # 8 characters of Chinese and one word, mixed: nine tokens, five runs
    assert len(said("请解释一下这个词 gravity").shingles) == 5


def test_shorter_prompts_have_no_runs():
    assert len(said("one two three four five six seven").shingles) == 0
    assert len(said("one two three four five six seven eight").shingles) == 4
    assert similarity("one two three four five six seven", "one two three four five six seven!") == 0


words = st.lists(st.sampled_from([f"w{number}" for number in range(12)]), min_size=8, max_size=40)


@given(words, words)
def test_it_equals_the_similarity_of_the_sets_of_runs(one, other):
    runs = [{tuple(text[at : at + 5]) for at in range(len(text) - 4)} for text in (one, other)]
    wanted = 1.0 if one == other else len(runs[0] & runs[1]) / len(runs[0] | runs[1])
    assert similarity(" ".join(one), " ".join(other)) == wanted


@given(words)
def test_what_says_the_same_has_the_same_keys(one):
    first, again = said(" ".join(one)), said("  \n".join(one).upper())
    assert first.keys == again.keys and len(set(first.keys)) == 10


def test_prompts_that_are_eight_tenths_the_same_share_a_key_in_99_of_100():
    random = np.random.default_rng(8)
    found = {"like": 0, "half": 0, "other": 0}
    for _ in range(1000):
        first = [f"w{number}" for number in random.integers(10**6, size=94)]  # 90 runs
        other = [f"x{number}" for number in random.integers(10**6, size=94)]
        keys = set(said(" ".join(first)).keys)
        for name, shared in (("like", 80), ("half", 60), ("other", 0)):  # 80 of 100, 60 of 120
            text = " ".join(first[: shared + 4] + other[shared + 4 :]) if shared else " ".join(other)
            assert similarity(" ".join(first), text) == shared / (180 - shared)
            found[name] += bool(keys & set(said(text).keys))
    assert found["like"] >= 980  # 991 expected; fewer than 980 once in 10 thousand
    assert 370 <= found["half"] <= 510  # 441 expected
    assert found["other"] == 0


def test_the_keys_are_those_that_are_stored():
    """A version that made others would find nothing that came in before it."""
    assert said(SHORT).keys == [2558867222083819846]
    assert said(LONG).keys[:3] == [101756701606030791, 7355045396257866763, 7107652607555826994]


# --- Joining ----------------------------------------------------------------------------------------------------------


def test_prompts_that_differ_by_case_width_and_space_share_a_group(world):
    found = groups(
        world.project, new("1", SHORT), new("2", "  WHY does\nice   float？"), new("3", "Why does ice sink?")
    )
    assert found == [sha256("why does ice float?"), sha256("why does ice float?"), sha256("why does ice sink?")]
    assert touched(Task.objects.values_list("pk", flat=True)) == {}


@pytest.mark.parametrize(
    ("first", "later", "other"),
    [
        (LONG, with_last(LONG, "day"), with_last(LONG, "each", "and", "any", "single", "day")),
        (CHINESE, CHINESE[:-1] + "部", CHINESE[:35] + "但是木头和冰块为什么不会沉下去呢"),
    ],
)
def test_a_near_duplicate_joins_in_the_same_import_and_in_a_later_one(world, first, later, other):
    group = sha256(normalised(first))
    assert groups(world.project, new("1", first), new("2", later), new("3", other)) == [
        group,
        group,
        sha256(normalised(other)),
    ]
    assert groups(world.project, new("4", first + "!")) == [group]
    assert groups(world.project, new("5", later)) == [group]
    assert not SplitGroupTouch.objects.exists()


def test_a_group_that_is_joined_stays_what_it_was(world):
    [task] = add_tasks(project=world.project, tasks=[new("1", with_last(LONG, "day"))])
    before = task.split_group
    assert groups(world.project, new("2", LONG, group="user-5")) == [sha256("user-5")]
    task.refresh_from_db()
    assert task.split_group == before


def test_it_depends_on_the_order_of_coming_in_alone(world):
    prompts = [LONG, SHORT, with_last(LONG, "day"), CHINESE, CHINESE[:-1] + "部", with_last(LONG, "day", "out")]
    other = create_project(slug="other", name="Other", overlap=1)
    at_once = groups(world.project, *(new(str(at), prompt) for at, prompt in enumerate(prompts)))
    one_by_one = [groups(other, new(str(at), prompt))[0] for at, prompt in enumerate(prompts)]
    assert at_once == one_by_one
    assert [at_once.index(group) for group in at_once] == [0, 1, 0, 3, 3, 0]


def test_batches_make_no_difference_however_crowded_it_is(world):
    random = np.random.default_rng(8)
    frame = LONG.split()
    prompts = [
        " ".join([*frame[: random.integers(10, 29)], *(f"w{number}" for number in random.integers(6, size=3))])
        for _ in range(150)
    ]
    other = create_project(slug="other", name="Other", overlap=1)
    tasks = [new(str(at), text, group=f"g{at}" if at % 9 == 0 else "") for at, text in enumerate(prompts)]
    at_once = groups(world.project, *tasks)
    in_parts = [group for at in range(0, 150, 7) for group in groups(other, *tasks[at : at + 7])]
    assert at_once == in_parts
    assert 20 < len(set(at_once)) < 130
    names = [
        [(task.name, touched([task.pk]).get(task.pk)) for task in project.tasks.order_by("pk")]
        for project in (world.project, other)
    ]
    assert names[0] == names[1] and any(groups for _name, groups in names[0])


def test_another_projects_prompts_do_not_matter(world):
    other = create_project(slug="other", name="Other", overlap=1)
    groups(other, new("1", LONG, group="theirs"), new("2", SHORT, group="theirs"))
    later = with_last(LONG, "day")
    assert groups(world.project, new("1", later), new("2", SHORT)) == [
        sha256(normalised(later)),
        sha256(normalised(SHORT)),
    ]


def test_a_group_that_is_named_wins_and_others_join_it(world):
    found = groups(
        world.project,
        new("1", LONG),
        new("2", with_last(LONG, "day"), group="user-5"),
        new("3", SHORT, group="user-5"),
        new("4", SHORT),
    )
    assert found == [sha256(normalised(LONG)), sha256("user-5"), sha256("user-5"), sha256("user-5")]
    assert not SplitGroupTouch.objects.exists()  # whoever names a group says what belongs together


# --- Touching ---------------------------------------------------------------------------------------------------------


def test_of_several_groups_the_most_like_is_joined_and_the_others_are_touched(world):
    first, second = with_last(LONG, "day"), with_last(LONG, "morning", "too")  # 24 of 26 and 23 of 27 are as in LONG
    made = groups(world.project, new("1", second, group="b"), new("2", first, group="a"), new("3", LONG))
    assert made[2] == sha256("a")
    task = Task.objects.get(name="3")
    assert touched([task.pk, Task.objects.get(name="1").pk]) == {task.pk: [sha256("b")]}
    # later, against stored ones
    again = groups(world.project, new("4", LONG + " again"))
    assert again == [sha256("a")]
    assert touched([Task.objects.get(name="4").pk]) == {Task.objects.get(name="4").pk: [sha256("b")]}


def test_of_equally_like_ones_the_oldest_is_joined(world):
    add_tasks(project=world.project, tasks=[new("1", with_last(LONG, "day"), group="old")])
    add_tasks(project=world.project, tasks=[new("2", with_last(LONG, "day"), group="young")])
    [task] = add_tasks(project=world.project, tasks=[new("3", LONG)])
    assert task.split_group == sha256("old")
    assert touched([task.pk]) == {task.pk: [sha256("young")]}


def test_the_very_same_prompt_in_two_named_groups_is_touched_by_the_later(world):
    tasks = add_tasks(
        project=world.project, tasks=[new("1", SHORT, group="a"), new("2", SHORT.upper(), group="b"), new("3", SHORT)]
    )
    assert [task.split_group for task in tasks] == [sha256("a"), sha256("b"), sha256("a")]
    assert touched(task.pk for task in tasks) == {tasks[1].pk: [sha256("a")], tasks[2].pk: [sha256("b")]}


def test_a_greeting_that_opens_a_conversation_touches_nobody(world):
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello! What can I do?"},
        {"role": "user", "content": SHORT},
    ]
    tasks = add_tasks(
        project=world.project,
        tasks=[
            NewTask("1", turns, OUTPUTS, group="a"),
            NewTask("2", turns, OUTPUTS, group="b"),
            NewTask("3", turns, OUTPUTS),
        ],
    )
    assert [task.split_group for task in tasks] == [sha256("a"), sha256("b"), sha256("a")]
    assert not SplitGroupTouch.objects.exists()


# --- What the first prompt is -----------------------------------------------------------------------------------------


def test_what_the_system_is_told_is_no_prompt(world):
    system = {"role": "system", "content": LONG}
    tasks = [NewTask(text, [system, {"role": "user", "content": text}], OUTPUTS) for text in (SHORT, "Why is it wet?")]
    assert groups(world.project, *tasks, new("3", SHORT)) == [
        sha256("why does ice float?"),
        sha256("why is it wet?"),
        sha256("why does ice float?"),
    ]


def tree(at: str, *nodes: tuple[str, str | None, str, str]) -> dict:
    return {"at": at, "nodes": [dict(zip(("id", "parent", "role", "content"), node, strict=True)) for node in nodes]}


def test_the_root_of_a_tree_is_its_first_prompt(world):
    nodes = [
        ("s", None, "system", "Be short."),
        ("r", "s", "user", SHORT),
        ("x", "r", "assistant", "It is light."),
        ("y", "x", "user", "Lighter than oil?"),
        ("z", "x", "user", "And steam?"),
    ]
    found = groups(
        world.project,
        new("1", "Lighter than oil?", tree=tree("y", *nodes)),
        new("2", "And steam?", tree=tree("z", *nodes)),
        new("3", SHORT),
        new("4", "And steam?"),
    )
    assert found[:3] == [sha256("why does ice float?")] * 3
    assert found[3] == sha256("and steam?")


def test_a_root_that_is_shown_shortened_stands_for_the_whole(world):
    shortened = tree("r", ("r", None, "user", LONG[:40] + "…"))
    assert groups(world.project, new("1", LONG, tree=shortened), new("2", LONG)) == [sha256(normalised(LONG))] * 2
    # and so does a stored one
    assert groups(world.project, new("3", with_last(LONG, "day"))) == [sha256(normalised(LONG))]


def test_nodes_that_share_an_id_do_no_harm(world):
    twice = tree("a", ("a", None, "user", SHORT), ("a", "a", "user", "And steam?"))
    assert groups(world.project, new("1", "Well?", tree=twice)) == [sha256("why does ice float?")]


# --- What is made of something ----------------------------------------------------------------------------------------


def test_a_copy_is_in_the_group_of_what_it_copies(world):
    [task] = add_tasks(project=world.project, tasks=[new("1", LONG, group="user-5")])
    copy = gold.promote(task=task, purpose=Task.Purpose.GOLD, actor=world.users["rita"])
    assert copy.split_group == task.split_group == sha256("user-5")
    assert not SplitGroupTouch.objects.exists()


def test_a_task_made_of_an_instance_is_in_the_instances_group(world):
    over = library.dataset([{"id": f"r{at}", "text": f"{LONG} {at}", "label": "x"} for at in (1, 2)], id_column="id")
    made = library.instances(over, library.template(over, "{{ text }} ||| {{ label }}", answer_choices="x ||| y"))
    add_instances(instance_set=made, project=world.project, choice=Choice(rows=frozenset([1, 2]), answer_choices=True))
    found = Task.objects.order_by("pk").values_list("split_group", flat=True)
    assert list(found) == [one["split_group"] for one in library.rendered(made)]
    assert len(set(found)) == 2


# --- At any size ------------------------------------------------------------------------------------------------------


def load(world, *prompts: str):
    rows = [
        {"id": sha256(prompt), "prompt": prompt, "completions": [{"id": "a", "text": "yes"}, {"id": "b", "text": "no"}]}
        for prompt in prompts
    ]
    file = io.BytesIO(b"\n".join(json.dumps(row).encode() for row in rows))
    return import_judgements(project=world.project, source="study", file=file)


def test_the_same_file_again_keeps_groups_and_keys(world):
    load(world, LONG, with_last(LONG, "day"))
    before = list(Task.objects.order_by("pk").values("split_group")), PromptKey.objects.count()
    assert load(world, LONG, with_last(LONG, "day")).tasks == 0
    assert before == (list(Task.objects.order_by("pk").values("split_group")), PromptKey.objects.count())


def test_a_prompt_is_kept_once_and_a_key_of_many_of_the_oldest_few(world):
    def most_of_a_key(name: str) -> int:
        keys = PromptKey.objects.filter(task__name__startswith=name).values("key")
        return keys.annotate(tasks=Count("task_id")).order_by("-tasks").values_list("tasks", flat=True)[0]

    groups(world.project, *(new(f"same-{at}", LONG) for at in range(50)))
    assert PromptKey.objects.count() == 10
    assert set(groups(world.project, *(new(f"like-{at}", f"{LONG} {at}") for at in range(60)))) == {
        sha256(normalised(LONG))
    }
    assert most_of_a_key("like") == 3  # beside the first one
    groups(world.project, *(new(f"other-{at}", f"{CHINESE} {at}", group=f"g{at}") for at in range(60)))
    assert most_of_a_key("other") == 32


def test_a_large_group_does_not_hide_another(world):
    groups(world.project, *(new(f"a{at}", f"{LONG} {at}", group="a") for at in range(40)))
    groups(world.project, new("b", f"{LONG} more", group="b"))
    groups(world.project, *(new(f"c{at}", f"{LONG} c {at}", group="a") for at in range(40)))
    [task] = add_tasks(project=world.project, tasks=[new("1", LONG)])
    assert (task.split_group, touched([task.pk])) == (sha256("a"), {task.pk: [sha256("b")]})


def test_statements_do_not_grow(world):
    """A look at the keys, one at the prompts that have them, the keys and the touched groups of the new ones."""
    asked = []
    for size in (2, 300):
        prompts = [new(f"{size}-{at}", f"{LONG} {at}") for at in range(size)]
        groups(world.project, *(new(f"{size}-{group}", f"{LONG} {size}", group=group) for group in "ab"))
        with CaptureQueriesContext(connection) as queries:
            add_tasks(project=world.project, tasks=prompts)
        about = ("annotate_promptkey", 'FROM "annotate_task"', "annotate_splitgrouptouch")
        asked.append([name for one in queries for name in about if name in one["sql"]])
    assert asked == [[about[0], about[1], about[0], about[2]]] * 2
    assert len(touched(Task.objects.values_list("pk", flat=True))) >= 300
