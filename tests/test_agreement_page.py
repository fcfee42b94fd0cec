"""The page on agreement: what it says of what was measured, to whom, in how many statements; and the geometry of plots."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotate import plots
from annotate.models import Agreement, AgreementDetail, Guideline, Question, Slot
from annotate.questions import Given
from annotate.services import ledger
from annotate.services.adjudication import Waiting
from annotate.services.agreement import measure_and_keep
from annotate.services.judgements import categories, epochs
from annotate.services.projects import publish_guideline
from tests.disagreement import ask, disagree
from tests.world import World

HOSTILE = '</title></svg><script>alert(1)</script>"' + "W" * 90 + "模型" * 40 + "\u202ee"
PAGE = "/projects/kitchen/agreement/"


# --- A snapshot by hand -----------------------------------------------------------------------------------------------


def mean(value: float | None, n: int = 40, half: float = 0.1, because: str = "") -> dict:
    known = value is not None
    return {
        "value": value,
        "low": value - half if known else None,
        "high": value + half if known else None,
        "n": n,
        "groups": n,
        "undefined_because": None if known else because or "there is nothing to compare yet",
        "no_interval_because": None,
    }


def figure(world: World, question: Question, metric: str, value: float | None, **fields: Any) -> Agreement:
    around = {} if value is None else {"low": value - 0.05, "high": value + 0.05}
    because = "" if value is not None else "all values are equal"
    given = {"epoch": 1, "as_of": timezone.now(), "n_units": 1234, "n_groups": 400, "n_values": 2500, "n_dropped": 7}
    fields = given | around | {"undefined_because": because, "code_version": "1"} | fields
    return Agreement(project=world.project, question=question, metric=metric, value=value, **fields)


def detail(question: Question, people: int = 3, names: str = "p-{}", tasks: int = 3) -> dict:
    """The data of an AgreementDetail with so many people and tasks; the last annotator is below the rest."""
    who = [names.format(at) for at in range(people)]
    preference = question.kind in Question.PREFERENCES
    ordered = question.kind in (Question.Kind.RATING, Question.Kind.RULE)
    shown = who[:40]
    return {
        "epoch": 1,
        "n_judgements": 100,
        "categories": categories(question),
        "annotators": [
            {"annotator": one, "kind": "person", "n": 50, "units": 120}
            | {"agreement": mean(0.3 if one == who[-1] else 0.7), "consensus": mean(0.8)}
            | {name: mean(0.6) if preference else None for name in ("ties", "first_shown", "longer")}
            | {"severity": mean(-0.4) if ordered else None}
            for one in who
        ],
        "pairs": {
            "annotators": shown,
            "least": 20,
            "shared": [[0 if a == b else 30 for b in range(len(shown))] for a in range(len(shown))],
            "agreed": [[0 if a == b else 20 + (a + b) % 5 for b in range(len(shown))] for a in range(len(shown))],
        },
        "confusions": [{"a": 0, "b": 1, "n": 57}],
        "models": [
            {"model": names.format(f"m{at}"), "strength": 0.4 - at, "low": 0.2 - at, "high": 0.6 - at, "wins": 10}
            | {"ties": 2, "losses": 4}
            for at in range(3)
        ]
        if preference
        else [],
        "models_note": "",
        "tasks": [{"task": at, "name": names.format(f"t{at}"), "agreement": 0.2, "n": 3} for at in range(1, tasks + 1)],
        "judges": [
            {"annotator": "p-judge", "name": names.format("judge"), "n_units": 300}
            | {"model_person": mean(0.6), "person_person": mean(0.65)}
            | {"model_consensus": mean(0.5, half=0.02), "person_consensus": mean(0.7, half=0.02)}
        ],
    }


def snapshot(world: World, question: Question | None = None, *, when=None, value: float | None = 0.7, **about) -> None:
    """What measuring would have kept of one question."""
    question = question or world.project.preference_question
    as_of = when or timezone.now()
    names = ["pairwise_agreement_count", "krippendorff_alpha_ordinal", "gwet_ac1"]
    if question.kind in Question.PREFERENCES:
        names += ["pairwise_agreement_any_tie_dropped", "fleiss_kappa"]
    rows = [figure(world, question, name, value, as_of=as_of) for name in names]
    Agreement.objects.bulk_create(rows)
    AgreementDetail.objects.filter(question=question).delete()
    AgreementDetail.objects.create(
        project=world.project, question=question, as_of=as_of, data=detail(question, **about)
    )


def rating(world: World, key: str = "helpful", scope: str = "completion") -> Question:
    settings = {"min": 1, "max": 5, "low": "bad", "high": "good"}
    about = {"text": f"How {key} is it?", "settings": settings, "position": 5}
    return Question.objects.create(project=world.project, key=key, kind="rating", scope=scope, **about)


def look(world: World, address: str = PAGE, name: str = "mina", status: int = 200) -> str:
    response = world.client(name).get(address)
    assert response.status_code == status
    return response.text


# --- Access, and what is empty ----------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_it_is_for_those_who_oversee_the_project(world):
    pair = "/projects/kitchen/agreement/overall/pair/?a=p-1&b=p-2"
    for address in (PAGE, pair):
        look(world, address, "ana", 403)
        look(world, address, "otto", 404)
    look(world, PAGE, "rita")
    look(world, PAGE + "?question=nonsense", status=404)


@pytest.mark.django_db
def test_empty_pages_say_what_to_do_next(world):
    assert "Nothing has been measured yet" in look(world)
    world.tasks()
    world.answer(world.claim("ana"), 1, 2, 3)
    measure_and_keep(project=world.project)
    alone = look(world)
    assert "Nothing to compare yet" in alone
    assert "A larger overlap" in alone
    world.project.questions.update(current=False)
    assert "Nothing that can be compared is asked" in look(world)


# --- What was measured ------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_figures_stand_with_n_and_interval_raw_beside_corrected(world):
    snapshot(world)
    page = look(world)
    head = page.split('<section class="figures"')[1].split("</section>")[0]
    for name in ("ties count", "any tie dropped", "Krippendorff α, ordinal", "Gwet AC1"):
        assert name in head
    assert head.count("n = 1,234") == 4
    assert head.count("0.650 – 0.750") == 4
    assert "κ and α fall when nearly all say one thing" in page
    assert "Fleiss κ" in page.split("All figures")[1]


@pytest.mark.django_db
def test_what_is_undefined_says_why_and_needs_a_decision(world):
    snapshot(world)
    question, now = world.project.preference_question, timezone.now()
    Agreement.objects.bulk_create(
        figure(world, question, name, value, as_of=now)
        for name, value in (("pairwise_agreement_count", 1.0), ("fleiss_kappa", None), ("gwet_ac1", None))
    )
    decisions = look(world).split("Needs a decision")[1].split("</section>")[0]
    assert "Fleiss κ, Gwet AC1: all values are equal" in decisions


@pytest.mark.django_db
def test_who_is_below_the_median_needs_a_decision_and_who_may_not_be_does_not(world):
    snapshot(world)
    decisions = look(world).split("Needs a decision")[1].split("</section>")[0]
    assert "1 annotator agrees with the others less than the median of all, 0.70" in decisions
    assert "<code>p-2</code>" in decisions
    assert "<code>p-1</code>" not in decisions
    snapshot(world, people=60)
    shown = world.client("mina").get(PAGE).context["detail"]["annotators"]
    assert (len(shown), shown[0]["annotator"], shown[0]["low"], shown[1]["low"]) == (50, "p-59", True, False)
    snapshot(world)
    found = AgreementDetail.objects.get()
    found.data["annotators"][-1]["agreement"] = mean(0.65)
    found.save()
    assert "Nobody stands out" in look(world)


@pytest.mark.django_db
def test_epochs_stand_apart_the_latest_first_and_all_together_last(world):
    publish_guideline(project=world.project, text="Two.")
    Guideline.objects.create(project=world.project, version=3, text="Three.", material=True)
    assert set(epochs(world.project).values()) == {0, 1, 2}
    question, now = world.project.preference_question, timezone.now()
    Agreement.objects.bulk_create(
        figure(world, question, "pairwise_agreement_count", value, as_of=now, epoch=epoch, population=population)
        for epoch, value, population in (
            (2, 0.52, "people"), (1, 0.41, "people"), (None, 0.48, "people"), (1, 0.93, "simulated"),
        )
    )  # fmt: skip
    page = look(world)
    titles = ["Epoch 2: guideline 3<", "Epoch 1: guidelines 1 to 2<", "All epochs together", "simulated</span>"]
    places = [page.index(title) for title in titles]
    assert places == sorted(places)
    assert "to look at, not to decide by" in page
    assert [page.split(titles[at])[1].split("</section>")[0].count(value) for at, value in enumerate(
        ("<td class=\"num\">0.520", "<td class=\"num\">0.410", "<td class=\"num\">0.480", "<td class=\"num\">0.930")
    )] == [1, 1, 1, 1]  # fmt: skip
    assert "<strong>0.520</strong>" in page
    overview = look(world, "/projects/kitchen/")
    assert "0.410" not in overview and "0.480" not in overview


@pytest.mark.django_db
def test_a_snapshot_from_before_there_were_epochs_is_shown(world):
    question, now = world.project.preference_question, timezone.now()
    Agreement.objects.bulk_create(
        figure(world, question, name, 0.5, epoch=None, as_of=now)
        for name in ("pairwise_agreement_any_tie_dropped", "krippendorff_alpha_ordinal", "pairwise_agreement_count")
    )
    page = look(world)
    assert "Measure now, and they stand here" in page
    assert "not to decide by" not in page
    assert "0.500" in look(world, "/projects/kitchen/").split("<h2>Agreement</h2>")[1]


@pytest.mark.django_db
def test_the_question_asked_for_is_shown_and_else_the_first_with_figures(world):
    helpful = rating(world)
    snapshot(world, value=None)
    Agreement.objects.bulk_create(
        [figure(world, helpful, "pairwise_agreement_count", 0.61, as_of=Agreement.objects.first().as_of)]
    )
    assert look(world).count('aria-current="page">How helpful') == 1
    assert "<strong>0.610</strong>" in look(world)
    other = look(world, PAGE + "?question=overall")
    assert 'aria-current="page">Rank the outputs' in other
    assert "0.610" in other.split("By question")[1]  # where all questions stand


@pytest.mark.django_db
def test_severity_is_of_ratings_and_bias_of_preferences(world):
    helpful = rating(world)
    snapshot(world, helpful)
    page = look(world, PAGE + "?question=helpful")
    assert "How much higher than the others each rates" in page
    assert "Longer wins" not in page and "earlier wins" not in page
    assert '<td dir="auto">1</td><td dir="auto">2</td><td class="num">57</td>' in page
    snapshot(world)
    page = look(world, PAGE + "?question=overall")
    assert "How often the longer output wins" in page and "earlier wins" in page
    assert "Above the others" not in page
    assert '<td dir="auto">first is better</td><td dir="auto">tie</td>' in page


@pytest.mark.django_db
def test_judges_stand_beside_people_like_with_like_in_words(world):
    snapshot(world)
    judges = look(world).split("p-judge as a judge")[1].split("</section>")[0]
    first, second = judges.split("</tr>")[1:3]
    assert "p-judge and a person" in first and "two people" in first and "no difference is shown" in first
    assert "p-judge and most people" in second and "less often than people do" in second
    assert "0.60<small>0.50 – 0.70, n = 40</small>" in first.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.django_db
def test_hostile_names_are_text(world):
    snapshot(world, names=HOSTILE + "{}")
    page = look(world)
    assert "<script>alert(1)" not in page
    assert page.count("&lt;script&gt;alert(1)") > 10
    assert page.count("</svg>") == page.count("<svg")


@pytest.mark.django_db
def test_the_trend_is_thinned_marks_guidelines_and_breaks_between_epochs(world):
    question, now = world.project.preference_question, timezone.now()
    Guideline.objects.filter(version=1).update(created_at=now - timedelta(days=1000))
    Guideline.objects.create(project=world.project, version=2, text="Two.", material=True)
    Guideline.objects.filter(version=2).update(created_at=now - timedelta(days=100))
    rows = []
    for day in range(500):
        when = now - timedelta(days=day)
        for epoch in (1, 2) if day < 100 else (1,):
            rows.append(figure(world, question, "pairwise_agreement_count", 0.3 + epoch / 5, as_of=when, epoch=epoch))
    Agreement.objects.bulk_create(rows)
    (course,) = world.client("mina").get(PAGE).context["trend"]
    assert 40 <= len(course.rows) <= 61
    assert course.rows[0].when == timezone.localtime(now).strftime("%Y-%m-%d %H:%M")
    assert {(row.value, row.guideline) for row in course.rows} == {("0.500", "1"), ("0.700", "2")}
    assert len(course.plot.lines) == len(course.plot.bands) == 2
    assert [(mark.text, mark.change.strong) for mark in course.plot.marks] == [("guideline 2", True)]


@pytest.mark.django_db
def test_what_waits_for_a_reviewer_is_said_and_leads_there(world, monkeypatch):
    monkeypatch.setattr("annotate.services.adjudication.waiting", lambda project: Waiting(12, False))
    decisions = look(world).split("Needs a decision")[1].split("</section>")[0]
    assert "12 answers wait for a reviewer" in decisions


@pytest.mark.django_db
def test_the_number_of_statements_does_not_grow(world):
    """With annotators, tasks, models, snapshots, guidelines and questions."""
    snapshot(world)
    client = world.client("mina")
    client.get(PAGE)

    def statements(address: str) -> int:
        with CaptureQueriesContext(connection) as said:
            assert client.get(address).status_code == 200
        return len(said)

    few, overview = statements(PAGE), statements("/projects/kitchen/")
    for at in range(5):
        publish_guideline(project=world.project, text=f"Version {at}")
        rating(world, f"q{at}")
        snapshot(world, when=timezone.now() - timedelta(hours=at + 1))
    for question in world.project.questions.exclude(key="overall"):
        snapshot(world, question)
    snapshot(world, people=250, tasks=50)
    assert statements(PAGE) == few <= 15
    assert statements("/projects/kitchen/") == overview


# --- Two annotators ---------------------------------------------------------------------------------------------------


def two(world: World, question: str = "overall") -> str:
    names = [world.annotator(name).pseudonym for name in ("ana", "ben")]
    return f"{reverse('agreement_pair', args=['kitchen', question])}?a={names[0]}&b={names[1]}"


def judge(world: World, *answers: tuple[tuple, tuple]) -> None:
    """What ana and ben say of as many tasks of three outputs."""
    world.tasks(len(answers))
    for tiers in answers:
        for name, said in zip(("ana", "ben"), tiers, strict=True):
            world.answer(world.claim(name), *said)


ANSWERS = {  # of three people: the first two differ
    "ranking": ((1, 2), (2, 1), (1, 1)),
    "pairwise": (1, -1, 0),
    "rating": (4, 2, 4),
    "choice": ("yes", "no", "yes"),
    "multi_choice": (["untrue"], [], ["untrue", "long"]),
    "rule": ((0, 3), (0, 1), (0, 3)),
}


@pytest.mark.django_db
@pytest.mark.parametrize("kind", list(ANSWERS))
def test_what_is_really_measured_of_each_kind_is_shown(world, kind):
    question = ask(world, kind)
    for _ in range(21):
        disagree(world, question, *ANSWERS[kind], settle=False)
    measure_and_keep(project=world.project)
    response = world.client("mina").get(PAGE)
    page, shown = response.text, response.context
    assert [one.metric for one in shown["people"].rows] == [one.metric for one in Agreement.objects.order_by("pk")]
    assert all(one.label in page for one in shown["people"].rows)
    assert shown["heads"] and shown["trend"] and shown["detail"]["tasks"]
    assert len(shown["detail"]["annotators"]) == 3
    assert len(shown["detail"]["heat"].pairs) == 3
    assert page.count(reverse("case", args=["kitchen", "asked", shown["detail"]["tasks"][0]["task"]])) == 1
    beside = look(world, two(world, "asked"))
    detail = AgreementDetail.objects.get().data["pairs"]
    at, other = (detail["annotators"].index(world.annotator(name).pseudonym) for name in ("ana", "ben"))
    assert f"{detail['agreed'][at][other]} of {detail['shared'][at][other]}</small>" in beside
    assert "<strong>21</strong><small>below" in beside


@pytest.mark.django_db
def test_what_two_annotators_disagree_about(world):
    judge(world, ((1, 2, 3), (1, 2, 3)), ((1, 2, 3), (2, 1, 3)), ((1, 1, 2), (1, 2, 3)))
    page = look(world, two(world))
    assert "7 of 9" in page
    assert page.count("A &gt; B &gt; C</td>") == 2 and "B &gt; A &gt; C" in page and "A = B &gt; C" in page
    assert page.count('<td dir="auto" class="long"><a href="/projects/kitchen/adjudication/overall/') == 2
    counts = page.split("What they say where they differ")[1].split("</table>")[0]
    assert 'first is better</td><td dir="auto">second is better</td><td class="num">1' in counts
    assert 'tie</td><td dir="auto">first is better</td><td class="num">1' in counts


@pytest.mark.django_db
def test_the_page_of_two_counts_what_the_snapshot_counted(world):
    judge(world, *[((1, 2, 3), (1, 2, 3))] * 8, ((1, 2, 3), (3, 2, 1)))
    measure_and_keep(project=world.project)
    pairs = AgreementDetail.objects.get().data["pairs"]
    assert (pairs["shared"][0][1], pairs["agreed"][0][1]) == (27, 24)
    assert "24 of 27" in look(world, two(world))
    ana, ben = (world.annotator(name).pseudonym for name in ("ana", "ben"))
    leads = [f"/projects/kitchen/agreement/overall/pair/?a={a}&amp;b={b}" for a, b in ((ana, ben), (ben, ana))]
    page = look(world)
    assert sum(page.count(f'href="{address}"') for address in leads) == 2  # the cell, and its line in the table


@pytest.mark.django_db
def test_ratings_and_choices_of_two_are_shown_in_words_where_they_differ(world):
    project = world.project
    helpful = rating(world)
    options = [{"value": "law", "label": "Law & order"}, {"value": "none", "label": "No topic"}]
    topic = Question.objects.create(
        project=project, key="topic", kind="multi_choice", text="Which?", settings={"options": options}, position=6
    )
    world.tasks()
    for name, values, chosen in (("ana", (1, 5, 3), ["law"]), ("ben", (1, 4, 3), [])):
        slot = world.claim(name)
        outputs = slot.task.completions.order_by("position")
        given = [Given(helpful, completion=one.pk, value=value) for one, value in zip(outputs, values, strict=True)]
        given += [Given(topic, value=chosen), world.ranking(slot, 1, 2, 3)]
        ledger.submit(slot=slot, answers=given, idempotency_key=uuid4())
    page = look(world, two(world, "helpful"))
    assert ">B: 5</td>" in page and ">B: 4</td>" in page and "A: 1" not in page
    page = look(world, two(world, "topic"))
    assert ">Law &amp; order</td>" in page and ">none of them</td>" in page
    assert "They agree on everything" in look(world, two(world))


@pytest.mark.django_db
def test_answers_of_different_epochs_are_not_compared(world):
    first = world.project.guidelines.get()
    second = publish_guideline(project=world.project, text="Else.", material=True)
    world.project.enrolments.update(guideline_read=second.version)
    world.tasks(2)

    def answer(name: str, guideline: Guideline, *tiers: int) -> None:
        slot = world.claim(name)
        given = [world.ranking(slot, *tiers)]
        ledger.submit(slot=slot, answers=given, idempotency_key=uuid4(), guideline=guideline)

    answer("ana", first, 1, 2, 3)
    answer("ben", second, 3, 2, 1)
    assert "They share nothing" in look(world, two(world))
    answer("ana", second, 1, 2, 3)
    answer("ben", second, 1, 3, 2)
    page = look(world, two(world))
    assert "epoch 2" in page and "2 of 3" in page


@pytest.mark.django_db
def test_two_who_are_none_or_the_same_are_no_page(world):
    judge(world, ((1, 2, 3), (1, 2, 3)))
    ana = world.annotator("ana").pseudonym
    base = "/projects/kitchen/agreement/overall/pair/"
    for query in ("", f"?a={ana}&b={ana}", f"?a={ana}&b=p-nobody", "?a=&b="):
        look(world, base + query, status=404)
    look(world, two(world, "nonsense"), status=404)


@pytest.mark.django_db
def test_the_tasks_of_two_are_paged_the_newest_first_in_a_fixed_number_of_statements(world):
    judge(world, ((1, 2, 3), (2, 1, 3)))
    client = world.client("mina")
    client.get(two(world))

    def statements() -> int:
        with CaptureQueriesContext(connection) as said:
            client.get(two(world))
        return len(said)

    few = statements()
    judge(world, *[((1, 2, 3), (2, 1, 3))] * 51)
    assert statements() == few <= 18
    first, second = (client.get(two(world) + f"&page={at}").context for at in (1, 2))
    newest = Slot.objects.filter(holder=world.annotator("ana")).order_by("-submitted_at").values_list("task", flat=True)
    assert [row["task"] for one in (first, second) for row in one["rows"]] == list(newest)
    assert len(first["rows"]) == 50


# --- The geometry of plots --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-1, 1, ["-1.0", "-0.5", "0.0", "0.5", "1.0"]),
        (0, 1.2, ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        (-40, 40, ["-40", "-20", "0", "20", "40"]),
    ],
)
def test_ticks_are_round_and_few(low, high, expected):
    scale = plots.Scale(low, high, 10, 110)
    assert [tick.text for tick in scale.ticks()] == expected
    assert all(10 <= tick.at <= 110 for tick in scale.ticks())


@pytest.mark.parametrize("values", [[0.5], [0.71, 0.74], [0, 1], [-0.3, 0.2], [], [0.999, 1.0]])
def test_ends_of_a_scale_hold_the_values(values):
    low, high = plots.around(values, high=1.0)
    assert all(low <= value <= high for value in values)
    assert high <= 1
    assert high - low >= 0.2 - 1e-9


def test_names_are_cut_to_fit_and_nothing_in_them_is_unseen():
    assert plots.fit("p-ab12", 80) == "p-ab12"
    for name in ("W" * 90, "模型" * 40, "x" * 300, "👩‍👩‍👧" * 20, HOSTILE):
        cut = plots.fit(name, 120)
        assert cut.endswith("…")
        assert len(cut) < 28
        assert "\u202e" not in cut and "\u200d" not in cut
    assert plots.fit("z" + "\u0301" * 50, 80) == "z\u0301\u0301"
    assert plots.fit("", 80) == ""


def test_dots_and_intervals_lie_within_the_plot_and_an_undefined_one_has_none():
    points = [plots.Point("a", 0.5, 0.4, 0.6, 10), plots.Point("b", None, because="all equal"), plots.Point("c", 1.0)]
    plot = plots.shares(points, reference=0.5)
    a, b, c = plot.rows
    low, high = float(a.line[1:].split()[0]), float(a.line.split("H")[1])
    assert plot.left <= low < float(a.x) < high <= plot.right
    assert float(a.x) == plot.reference
    assert (b.x, b.line, plot.table[1].because) == ("", "", "all equal")
    assert (c.line, float(c.x) <= plot.right) == ("", True)
    assert float(a.y) < float(b.y) < float(c.y) < plot.floor < plot.height
    assert plot.table[0] == ("a", "0.500", "0.400 – 0.600", "", "10")
    below = plots.coefficients([plots.Point("a", -0.15, -0.31, 0.1)])
    assert float(below.ticks[0].text) <= -0.31
    both = plots.both_ways([plots.Point("a", 2.3, 1.0, 3.7)])
    assert float(both.ticks[0].text) == -float(both.ticks[-1].text)
    assert both.reference == both.middle
    assert plots.shares([]).rows == []


def moments(*values: float | None, series: int = 1) -> list[plots.Moment]:
    start = timezone.now()
    return [
        plots.Moment(
            start + timedelta(days=at), series, value, *((value - 0.1, value + 0.1) if value else (None, None))
        )
        for at, value in enumerate(values)
    ]


def test_a_trend_breaks_where_it_is_undefined_and_alone_a_figure_is_a_dot_with_its_interval():
    plot = plots.trend(moments(0.5, 0.6, None, 0.7))
    assert [line.count(",") for line in plot.lines] == [2]
    assert len(plot.bands) == len(plot.whiskers) == len(plot.dots) == 1
    (alone,) = moments(0.5)
    plot = plots.trend([alone])
    assert (plot.lines, plot.bands, len(plot.dots), len(plot.dates)) == ([], [], 1, 1)
    assert plot.by_hour
    without = [plots.Moment(one.when, 1, one.value) for one in moments(0.5, 0.6)]
    assert plots.trend(without).bands == []
    undefined = plots.trend(moments(None, None))
    assert (undefined.lines, undefined.dots) == ([], [])


def test_texts_of_marks_do_not_overlap_and_those_of_material_changes_come_first():
    course = moments(*[0.5] * 30)
    changes = [plots.Change(one.when, f"guideline {at}", strong=at == 3) for at, one in enumerate(course)]
    marks = plots.trend(course, changes).marks
    assert len(marks) == 30
    said = [mark for mark in marks if mark.text]
    assert "guideline 3" in [mark.text for mark in said]
    assert 2 <= len(said) <= 9
    outside = plots.Change(course[0].when - timedelta(days=9), "before")
    assert plots.trend(course, [outside]).marks == []


def test_the_heat_map_leaves_out_who_shares_too_little_and_puts_the_odd_one_last():
    shared = [[0, 30, 25, 5], [30, 0, 40, 20], [25, 40, 0, 20], [5, 20, 20, 0]]
    agreed = [[0, 5, 5, 5], [5, 0, 36, 16], [5, 36, 0, 16], [5, 16, 16, 0]]
    found = plots.heat(["odd", "b", "c", "d"], shared, agreed, least=20)
    assert [name for _at, _cut, name in found.names][-1] == "odd"
    cells = [cell for _shade, some in found.shades for cell in some]
    assert len(cells) == len(found.pairs) == 5
    assert found.blank == 1
    least = found.pairs[0]
    assert (set(least.two.split(", ")), least.of, least.share) == ({"b", "odd"}, "5 / 30", "0.17")
    assert (found.low, found.high) == (0.1, 0.9)
    assert [float(shade) for shade, _some in found.shades] == sorted(float(shade) for shade, _some in found.shades)
    assert found.shades[-1][0] == f"{plots.MOST_SHADE:.3f}"
    assert all(float(cell.x) + found.size <= found.side and float(cell.y) + found.size <= found.side for cell in cells)
    nobody = plots.heat([], [], [], least=20)
    assert (nobody.shades, nobody.pairs, nobody.blank) == ([], [], 0)
    assert plots.heat(["a"] * 20, [[0] * 20] * 20, [[0] * 20] * 20, 20).numbered is False
