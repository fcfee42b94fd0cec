"""Reports on instances: figures counted by hand, made by a job, never by a GET."""

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from curation.models import Coverage, Dataset
from curation.services import coverage
from curation.services.coverage import mean_difference, shingles
from curation.tasks import report_coverage
from jobs.models import Job
from tests import library

pytestmark = pytest.mark.django_db

ROWS = [
    {"text": "The cat sat down.", "label": "good"},
    {"text": "The cat sat down.", "label": "good"},  # the same again
    {"text": "the CAT sat down", "label": "good"},  # the same words
    {"text": "The cat sat down.", "label": "bad"},  # the same input, another target
    {"text": "Where is Amsterdam?", "label": "Amsterdam"},  # the target is in the input
    {"text": "", "label": "bad"},
]
JINJA = "{% if text %}{{ text }} ||| {{ label }}{% endif %}"


def made(jinja: str = JINJA, choices: str = "good ||| bad", name: str = "one", rows=ROWS, **fields):
    over = Dataset.objects.filter(name="cats").first() or library.dataset(rows, name="cats")
    return library.instances(over, library.template(over, jinja, name=name, answer_choices=choices, **fields))


def report(one, **fields) -> Coverage:
    found = coverage.request_report(instance_set=one, actor=None, send=False)
    report_coverage(str(found.job_id))
    return Coverage.objects.select_related("job").get(pk=found.pk)


def test_the_figures_of_a_set_are_those_counted_by_hand(world):
    figures = report(made()).figures
    assert (figures["rows"], figures["instances"], figures["dropped"]) == (6, 5, {"blank": 1})
    assert figures["labels"] == {"of": 4, "counts": [["good", 3], ["bad", 1]]}
    assert figures["leak"] == {"of": 1, "rows": 1}  # answer choices are no leaks
    assert figures["repeated"] == {"input": 2, "input_and_target": 1, "words": 2}
    lengths = figures["lengths"]
    assert lengths["input"]["quantiles"] == [16, 17, 17, 17, 19] and lengths["input"]["longest"] == 19
    assert lengths["input"]["bins"] == [[16, 31, 5]]
    assert lengths["target"]["bins"] == [[2, 3, 1], [4, 7, 3], [8, 15, 1]]


def test_a_target_of_three_characters_or_fewer_is_no_leak(world):
    rows = [
        {"text": "is it so", "label": "is"},
        {"text": "is it so", "label": "it so"},
        {"text": "no", "label": "else"},
    ]
    figures = report(made(choices="", rows=rows)).figures
    assert figures["leak"] == {"of": 2, "rows": 1}
    assert figures["labels"] == {"of": 0, "counts": []}


def test_a_set_without_instances_has_a_report_of_what_was_lost(world):
    figures = report(made("nothing here")).figures
    assert (figures["instances"], figures["dropped"]) == (0, {"no_separator": 6})
    assert figures["lengths"]["input"] == {"quantiles": None, "longest": None, "bins": []}


def test_all_sets_together_say_task_types_openings_and_how_different_templates_are(world):
    made(task_type="classification")
    made("{{ text }}?! Say. ||| {{ label }}", "", "two", task_type="classification")
    made("写一写：{{ text }} ||| {{ label }}", "", "three", task_type="generation", kind="inverted")
    figures = report(None).figures
    assert (figures["sets"], figures["instances"]) == (3, 5 + 6 + 6)
    assert figures["task_types"]["classification"] == {"sets": 2, "instances": 11, "rows": 12, "dropped": 1}
    assert figures["kinds"] == {"direct": 11, "inverted": 6}
    openings = dict(figures["openings"]["most"])
    assert openings == {"the cat": 8, "写一写：": 6, "where is": 2, "?! say.": 1}
    assert (figures["openings"]["distinct"], figures["openings"]["of"]) == (4, 17)
    [difference] = figures["differences"]
    assert (difference["dataset"], difference["templates"]) == ("cats · 1", 3)
    assert 0 < difference["difference"] < 1


def test_the_difference_of_templates_is_one_minus_the_share_of_shingles():
    assert shingles("abcd") == {"abc", "bcd"} and shingles("ab") == {"ab"}
    assert mean_difference([{1: "abcd"}, {1: "abcd"}]) == 0
    assert mean_difference([{1: "abcd"}, {1: "xyz"}]) == 1
    assert mean_difference([{1: "abcd"}, {1: "bcde", 2: "x"}]) == pytest.approx(2 / 3)
    assert mean_difference([{1: "a"}, {2: "a"}]) is None and mean_difference([{1: "a"}]) is None


def test_nothing_to_report_on_fails_with_words_and_a_set_that_is_not_there_is_refused(world):
    failed = report(None)
    assert (failed.job.state, failed.whole) == (Job.State.FAILED, False)
    assert failed.job.error.startswith("There are no instances yet.")
    broken = made("{{ 1 // 0 }} ||| a")
    with pytest.raises(ValidationError, match="not rendered yet"):
        coverage.request_report(instance_set=broken, actor=None)


def test_a_set_has_one_report_and_all_together_a_new_one_each_time(world):
    one = made()
    first = report(one)
    assert coverage.request_report(instance_set=one, actor=None, send=False).pk == first.pk
    waiting = coverage.request_report(instance_set=None, actor=None, send=False)
    assert coverage.request_report(instance_set=None, actor=None, send=False).pk == waiting.pk
    report_coverage(str(waiting.job_id))
    assert report(None).pk != waiting.pk
    assert Coverage.objects.filter(instance_set=None).count() == 1


def test_pages_show_reports_and_only_a_post_has_one_made(world):
    one = made()
    client = world.client("mina")
    for page in (f"/instances/{one.pk}/report/", "/instances/report/"):
        assert "No report yet" in client.get(page).text
        assert not Coverage.objects.filter(job__state="queued").exists()
        assert client.post(page)["Location"] == page
        assert "Waiting for a worker" in client.get(page).text
        report_coverage(str(Coverage.objects.get(job__state="queued").job_id))
    shown = client.get(f"/instances/{one.pk}/report/").text
    assert "100.0 %" in shown and "75.0 %" in shown and "The template wrote nothing" in shown
    shown = client.get("/instances/report/").text
    assert "the cat" in shown and "summarisation" in shown
    assert "Make it again" in shown
    assert "Make it again" not in world.client("rita").get("/instances/report/").text


def test_a_task_type_of_many_instances_is_marked(world):
    made(rows=library.rows(301), jinja="{{ text }} ||| {{ short }}", choices="")
    report(None)
    assert "over 300" in world.client("mina").get("/instances/report/").text


def test_the_api_has_reports_made_and_gives_their_figures(world):
    one = made()
    mina, rita = ({"headers": world.token(name, "datasets:read", "datasets:write")} for name in ("mina", "rita"))
    for path, instances in ((f"/api/instance-sets/{one.pk}/report/", 5), ("/api/instances/report/", 5)):
        client = Client()
        assert client.get(path, **mina).status_code == 404  # nobody has asked for it yet
        assert client.post(path, **rita).status_code == 403
        assert not Coverage.objects.filter(figures=None).exists()
        begun = client.post(path, **mina)
        assert (begun.status_code, begun.json()["state"], begun.json()["figures"]) == (201, "queued", None)
        assert client.post(path, **mina).json()["id"] == begun.json()["id"]  # it is being made
        report_coverage(str(Coverage.objects.get(pk=begun.json()["id"]).job_id))
        got = client.get(path, **rita).json()
        assert (got["state"], got["figures"]["instances"]) == ("succeeded", instances)
