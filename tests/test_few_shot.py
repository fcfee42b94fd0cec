"""Few-shot instances: exemplars of the train split, by the same template, never the row itself nor its group."""

import random

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from curation import catalogue
from curation.exporting.splits import is_held_out
from curation.models import Export, Template
from curation.rendering import Dropped, Instance, TemplateSource
from curation.services import stretches
from curation.shots import Exemplar, FewShot, pool_of, with_exemplars
from tests import library

POOL = [Exemplar(f"g{at // 2}", f"Q{at}", f"A{at}") for at in range(40)]
THREE = FewShot(3, r"\n--\n", 1000)


def prompt(settings=THREE, pool=POOL, number=1, split_group="g0", text="Q1", seed="s") -> str | None:
    return with_exemplars(settings, pool, seed=seed, number=number, split_group=split_group, text=text)


# --- Drawing ----------------------------------------------------------------------------------------------------------


def test_exemplars_are_answered_stand_before_the_row_and_are_divided():
    *exemplars, last = prompt().split("\n--\n")
    assert last == "Q1"
    assert len(exemplars) == len(set(exemplars)) == 3
    for one in exemplars:
        question, answer = one.split("\n")
        assert question[1:] == answer[1:] and question not in ("Q0", "Q1")


def test_the_same_row_draws_the_same_and_another_row_seed_or_template_draws_anew():
    assert prompt() == prompt()
    drawn = {prompt(number=number, split_group="x", text="?") for number in range(50)}
    assert len(drawn) > 40
    assert prompt(seed="t") != prompt()


@given(st.integers(1, 10), st.integers(0, 39), st.integers(0, 120), st.integers(0, 2**40))
def test_no_row_ever_sees_itself_or_its_group_and_none_is_over_its_budget(shots, at, budget, number):
    own = POOL[at]
    made = prompt(FewShot(shots, "||", budget), number=number, split_group=own.split_group, text=own.input)
    if made is None:
        assert budget < len(own.input) + 2 + len("Q10\nA10")
        return
    assert len(made) <= budget
    *exemplars, last = made.split("||")
    assert last == own.input and 1 <= len(exemplars) <= shots
    group = {one.text for one in POOL if one.split_group == own.split_group}
    assert not group & set(exemplars)


def test_what_does_not_fit_is_left_out_from_the_end():
    whole = prompt(FewShot(3, "|", 1000)).split("|")
    first_two = "|".join([*whole[:2], "Q1"])
    assert prompt(FewShot(3, "|", len(first_two))) == first_two
    assert prompt(FewShot(3, "|", len(first_two) - 1)) == "|".join([whole[0], "Q1"])
    assert prompt(FewShot(3, "|", 3)) is None


def test_a_pool_of_the_row_s_own_group_gives_none():
    assert prompt(pool=[POOL[0], POOL[1]]) is None
    assert prompt(pool=[]) is None
    assert prompt(pool=[Exemplar("other", "Q1", "A1")]) is None  # it asks the very same


def test_the_pool_is_the_same_in_whatever_order_rows_come_and_is_bounded():
    rows = [(number, f"row {number}") for number in range(1, 501)]
    mixed = random.Random(1).sample(rows, len(rows))
    assert pool_of(rows, "s", 20) == pool_of(mixed, "s", 20)
    assert len(pool_of(rows, "s", 20)) == 20 and len(pool_of(rows[:5], "s", 20)) == 5
    assert pool_of(rows, "s", 20) != pool_of(rows, "t", 20)


# --- Whole sets -------------------------------------------------------------------------------------------------------

FIELDS = {"kind": "few_shot", "shots": 2, "separator": r"\n\n", "character_budget": 4000}
JINJA = "Shorten: {{ text }} ||| {{ short }}"


def trained_on(group: str) -> bool:
    salt, share = (Export._meta.get_field(name).default for name in ("salt", "test_share"))
    return not is_held_out(group, salt, float(share))


@pytest.mark.django_db
def test_exemplars_come_from_groups_that_are_trained_on(world):
    data = library.dataset(library.rows(60), group_column="group")
    plain = {row["target"]: row["split_group"] for row in library.rendered(
        library.instances(data, library.template(data, JINJA))
    )}  # fmt: skip
    made = library.rendered(library.instances(data, library.template(data, JINJA, name="few", **FIELDS)))
    assert len(made) == 60
    for row in made:
        *exemplars, own = row["input"].split("\n\n")
        assert own.startswith("Shorten: A long text") and len(exemplars) == 2
        for exemplar in exemplars:
            group = plain[exemplar.split("\n")[1]]
            assert group != row["split_group"] and trained_on(group)


@pytest.mark.django_db
def test_where_a_column_says_the_split_only_its_train_rows_are_exemplars(world):
    rows = [row | {"split": "train" if at % 3 else "test"} for at, row in enumerate(library.rows(60))]
    data = library.dataset(rows)
    of_train = {row["short"] for row in rows if row["split"] == "train"}
    made = library.rendered(library.instances(data, library.template(data, JINJA, **FIELDS)))
    seen = {one.split("\n")[1] for row in made for one in row["input"].split("\n\n")[:-1]}
    assert len(seen) > 10 and seen <= of_train


@pytest.mark.django_db
def test_rows_left_with_no_exemplar_are_dropped_with_the_reason(world):
    data = library.dataset(library.rows(4))
    small = library.template(data, JINJA, **FIELDS | {"character_budget": 40})
    made = library.instances(data, small)
    assert (made.instances, made.dropped) == (0, {"no_exemplar": 4})


@pytest.mark.django_db
def test_a_row_that_the_template_drops_is_neither_instance_nor_exemplar(world):
    data = library.dataset(library.rows(40))
    jinja = "{% if id != 'r7' %}" + JINJA + "{% endif %}"
    made = library.instances(data, library.template(data, jinja, **FIELDS))
    assert made.dropped == {"blank": 1}
    assert not any("number 7." in row["input"] for row in library.rendered(made))


@pytest.mark.django_db
def test_a_preview_says_what_a_row_will_be_like_and_why_it_is_dropped(world):
    data = library.dataset(library.rows(30))
    source = TemplateSource(JINJA)
    settings = FewShot(2, r"\n\n", 4000)
    shown = stretches.preview(dataset=data, source=source, seed="plumbline", start=0, count=3, settings=settings)
    made = library.rendered(library.instances(data, library.template(data, JINJA, **FIELDS)))
    assert [one.input for _row, one in shown] == [row["input"] for row in made[:3]]  # all rows are among the first
    assert all(isinstance(one, Instance) for _row, one in shown)
    tight = stretches.preview(
        dataset=data, source=source, seed="s", start=0, count=1, settings=FewShot(2, "|", 5)
    )  # fmt: skip
    assert tight[0][1] == Dropped(1, "no_exemplar")


@pytest.mark.django_db
def test_the_page_previews_and_keeps_a_few_shot_template(world):
    data = library.dataset(library.rows(30))
    client, new = world.client("mina"), f"/datasets/{data.pk}/templates/new/"
    form = {"name": "few", "task_type": "summarisation", "language": "en", "jinja": JINJA, "kind": "few_shot"}
    assert client.post(new, form | {"save": "1"}).status_code == 422  # how many exemplars?
    shown = client.post(new, form | {"shots": "2"}, headers={"HX-Request": "true"}).text
    assert shown.count("Shorten:") == 9  # three rows, each with two exemplars
    done = client.post(new, form | {"shots": "2", "save": "1"})
    kept = Template.objects.get()
    assert done.status_code == 302 and kept.few_shot == FewShot(2, r"\n\n", 4000)
    assert client.get(f"/templates/{kept.pk}/").text.count("Shorten:") == 10  # and its own text
    refused = client.post(new, form | {"kind": "direct", "shots": "2", "save": "1"})
    assert "Only a few-shot template or one with a chain of thought has exemplars" in refused.text
    thinking = form | {"name": "thinks", "kind": "cot", "save": "1"}
    assert client.post(new, thinking).status_code == client.post(new, thinking | {"shots": "3"}).status_code == 302
    assert [one.few_shot for one in Template.objects.filter(kind="cot").order_by("version")] == [
        None, FewShot(3, r"\n\n", 4000),
    ]  # fmt: skip


@pytest.mark.django_db
def test_exemplars_of_a_chain_of_thought_think_too(world):
    rows = [{"q": f"What is {at} + {at}?", "way": f"Twice {at} is {2 * at}.", "a": str(2 * at)} for at in range(40)]
    data = library.dataset(rows)
    fields = catalogue.BY_KEY["think-by-example"].fields("en", {"question": "q", "rationale": "way", "answer": "a"})
    made = library.rendered(library.instances(data, library.template(data, fields.pop("jinja"), **fields)))
    assert len(made) == 40
    solved = {
        f"Question: {one['q']}\nLet us think step by step.\n{one['way']}\nTherefore, the answer is {one['a']}.": at
        for at, one in enumerate(rows, start=1)
    }
    for row in made:
        *exemplars, own = row["input"].split("\n\n")
        asked = rows[row["row"] - 1]
        assert own == f"Question: {asked['q']}\nLet us think step by step."
        assert row["target"] == f"{asked['way']}\nTherefore, the answer is {asked['a']}."
        assert len(exemplars) == 3 and row["row"] not in {solved[one] for one in exemplars}


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "shots"), [("few_shot", None), ("few_shot", 0), ("cot", 33), ("direct", 2)])
def test_the_database_refuses_exemplars_where_there_are_none_and_none_where_there_must_be(world, kind, shots):
    with pytest.raises(IntegrityError), transaction.atomic():
        Template.objects.create(
            dataset="texts",
            name="n",
            version=1,
            jinja="a ||| b",
            language="en",
            sha256="0" * 64,
            kind=kind,
            shots=shots,
        )
