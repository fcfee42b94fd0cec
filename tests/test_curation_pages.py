"""The pages of datasets, templates, instances and exports: what they show, what they ask of the database, what they refuse."""

from html import escape
from io import BytesIO
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from curation.admin import DatasetAdmin
from curation.forms import AboutForm
from curation.models import Blob, Dataset, Export, InstanceSet, Template
from curation.services import templates, training
from curation.services.datasets import request_import
from curation.services.exports import request_sft_export
from curation.tasks import import_dataset
from curation.views.datasets import PAGE
from jobs.models import Job
from tests import library

pytestmark = pytest.mark.django_db


def upload(content: bytes, name: str = "texts.jsonl") -> BytesIO:
    file = BytesIO(content)
    file.name = name
    return file


def unbuilt(start: int = 1, **fields) -> Dataset:
    """A dataset whose import is asked for and has not begun."""
    content = library.jsonl(library.rows(3, start))
    fields = {"name": "texts", "licence": "CC0-1.0", "language": "en", "file_name": "texts.jsonl"} | fields
    return request_import(stream=BytesIO(content), actor=None, send=False, **fields)


# --- From a file to instructions --------------------------------------------------------------------------------------


def test_a_file_becomes_instructions_by_pages_alone(world):
    page = world.client("mina")
    form = {"name": "texts", "licence": "MIT", "language": "en", "encoding": "utf-8", "id_column": "id"}
    last = f"A long text, number {PAGE}."
    done = page.post("/datasets/import/", form | {"upload": upload(library.jsonl(library.rows(PAGE + 1)))})
    over = Dataset.objects.get()
    assert (done.status_code, done.url, over.actor) == (302, f"/datasets/{over.pk}/", world.users["mina"])
    assert "Waiting for a worker" in page.get(done.url).text
    import_dataset(str(over.job_id))
    shown = page.get(done.url)
    assert last in shown.text and f"number {PAGE + 1}." not in shown.text
    assert "No template yet" in shown.text
    assert f"A long text, number {PAGE + 1}." in page.get(f"{done.url}?page=2").text

    new = f"/datasets/{over.pk}/templates/new/"
    assert page.get(new).context["preview"]["made"][0]["number"] == 1
    form = {"name": "shorter", "task_type": "summarisation", "language": "en", "jinja": library.JINJA}
    done = page.post(new, form | {"save": "1", "answer_choices": ""})
    by = Template.objects.get()
    assert (done.status_code, done.url) == (302, f"/templates/{by.pk}/?dataset={over.pk}")
    assert "Say it shorter: A long text, number 3." in page.get(done.url).text
    done = page.post(f"/templates/{by.pk}/over/{over.pk}/", {"seed": "plumbline"})
    made = InstanceSet.objects.get()
    assert (done.status_code, done.url) == (302, f"/instances/{made.pk}/")
    assert "Waiting for a worker" in page.get(done.url).text
    library.build_instances(str(made.job_id))
    assert f"Say it shorter: {last}" in page.get(done.url).text
    assert f"Say it shorter: A long text, number {PAGE + 1}." in page.get(f"{done.url}?page=2").text

    done = page.post("/exports/instructions/", {"instance_sets": [made.pk], "test_share": "0.2", "salt": "s"})
    export = Export.objects.get()
    assert (done.status_code, done.url) == (302, f"/exports/{export.pk}/")
    library.build_export(str(export.job_id))
    shown = page.get(done.url).text
    assert "python -m trainers sft" in shown and "texts/shorter@1" in shown


def test_a_file_that_is_refused_says_what_is_wrong_with_which_row(world):
    failed = library.dataset([*library.rows(2), {"id": "r1", "text": "twice"}], id_column="id", name="refused")
    page = world.client("mina")
    shown = page.get(f"/datasets/{failed.pk}/").text
    assert "Remove this failed import" in shown and '<td class="num">3</td><td>id</td>' in shown
    assert "Remove this failed import" not in world.client("rita").get(f"/datasets/{failed.pk}/").text
    done = page.post(f"/datasets/{failed.pk}/remove/", follow=True)
    assert "The failed import is gone" in done.text and not Dataset.objects.exists()


def test_an_import_that_did_not_fail_is_not_removed(world):
    page = world.client("mina")
    for one in (library.dataset(library.rows(2)), unbuilt()):
        done = page.post(f"/datasets/{one.pk}/remove/", follow=True)
        assert done.redirect_chain == [(f"/datasets/{one.pk}/", 302)]
        assert "Only an import that failed can be removed." in done.text
    assert Dataset.objects.count() == 2


def test_a_file_that_is_there_leads_to_its_dataset(world):
    over = library.dataset(library.rows(3))
    form = {"name": "again", "licence": "MIT", "language": "en", "encoding": "utf-8"}
    done = world.client("mina").post(
        "/datasets/import/", form | {"upload": upload(library.jsonl(library.rows(3)))}, follow=True
    )
    assert done.redirect_chain == [(f"/datasets/{over.pk}/", 302)]
    assert "This file is there already, as texts · 1." in done.text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"upload": None}, "upload"),
        ({"upload": upload(b"")}, "upload"),
        ({"name": "no slug!"}, "name"),
        ({"licence": "none of them"}, "licence"),
        ({"language": "english, mostly"}, "language"),
        ({"encoding": "utf-7"}, "encoding"),
        ({"column_names": "a, b"}, "column_names"),
        ({"column_names": "a, a", "format": "csv"}, "column_names"),
        ({"column_names": "a,, b", "format": "csv"}, "column_names"),
        ({"upload": upload(b"x", "texts.doc")}, "format"),
        ({"source": "x" * 501}, "source"),
    ],
)
def test_an_import_that_cannot_be_comes_back_with_why_and_keeps_no_file(world, fields, field):
    form = {"name": "n", "licence": "MIT", "language": "en", "encoding": "utf-8", "upload": upload(b"{}\n")} | fields
    if form["upload"] is None:
        del form["upload"]
    page = world.client("mina").post("/datasets/import/", form)
    assert (page.status_code, list(page.context["form"].errors)) == (422, [field])
    assert not Dataset.objects.exists() and not Blob.objects.exists() and not Job.objects.exists()


def test_an_upload_over_the_limit_names_the_command(world, settings):
    settings.DATASET_UPLOAD_MAX_BYTES = 10
    form = {"name": "n", "licence": "MIT", "language": "en", "encoding": "utf-8"}
    page = world.client("mina").post("/datasets/import/", form | {"upload": upload(b'{"a": "bcd"}\n')})
    assert page.status_code == 422 and "import_dataset" in page.text
    assert not Blob.objects.exists()


def test_what_is_known_of_a_dataset_is_put_right_and_what_it_said_is_kept(world):
    over = library.dataset(library.rows(3))
    page = world.client("mina")
    about = f"/datasets/{over.pk}/about/"
    assert page.post(about, {"licence": "nonsense!", "language": "en"}).status_code == 422
    assert page.post(about, {"licence": "MIT", "language": "de", "source": "x"}).status_code == 302
    over.refresh_from_db()
    assert (over.licence, over.language, over.source, over.rows) == ("MIT", "de", "x", 3)
    history = over.events.order_by("pgh_id").values_list("licence", flat=True)
    assert (history.first(), history.last()) == ("CC0-1.0", "MIT")


def test_what_is_put_right_while_the_import_ends_does_not_undo_it(world, monkeypatch):
    def while_it_ends(over: Dataset):
        def deed(real):
            def late(*args, **options):
                import_dataset(str(over.job_id))
                return real(*args, **options)

            return late

        return deed

    form = {"licence": "MIT", "language": "de", "source": ""}
    first = unbuilt()
    with monkeypatch.context() as patched:
        patched.setattr(AboutForm, "is_valid", while_it_ends(first)(AboutForm.is_valid))
        assert world.client("mina").post(f"/datasets/{first.pk}/about/", form).status_code == 302
    second = unbuilt(name="others", id_column="id")
    with monkeypatch.context() as patched:
        patched.setattr(DatasetAdmin, "save_model", while_it_ends(second)(DatasetAdmin.save_model))
        assert world.client("ada").post(f"/admin/curation/dataset/{second.pk}/change/", form).status_code == 302
    for one in (first, second):
        one.refresh_from_db()
        assert (one.whole, one.version, one.rows, one.licence) == (True, 1, 3, "MIT")


# --- Queries ----------------------------------------------------------------------------------------------------------


def grow(world, over: Dataset, at: int) -> None:
    """One more of everything: a dataset, a template with instances, an export of all that there is, a run."""
    library.dataset(library.rows(2, start=10 * at), name=f"more-{at}", actor=world.users["mina"], id_column="id")
    by = library.template(over, name=f"t{at}", jinja=f"{at} {library.JINJA}", actor=world.users["mina"])
    library.instances(over, by, actor=world.users["mina"])
    other = Dataset.objects.get(name=f"more-{at}")
    library.instances(other, library.template(other, name="own"), actor=world.users["mina"])
    export = library.sft_export(*InstanceSet.objects.all(), actor=world.users["mina"])
    training.start_run(export=export, actor=world.users["mina"], trainer="sft", name=f"run {at}", configuration={})


def test_no_page_asks_more_of_the_database_where_there_is_more(world):
    over = library.dataset(library.rows(3 * PAGE), actor=world.users["mina"], id_column="id")
    grow(world, over, 0)
    latest = InstanceSet.objects.filter(dataset=over)
    mina = [
        "/datasets/",
        f"/datasets/{over.pk}/",
        f"/datasets/{over.pk}/templates/new/",
        "/exports/",
        "/exports/instructions/",
    ]
    ada = [f"/admin/curation/{name}/" for name in ("dataset", "template", "instanceset", "export", "trainingrun")]
    api = [f"/api/{name}/" for name in ("datasets", "templates", "instance-sets", "exports")]
    clients = {**dict.fromkeys([*mina, *api], world.client("mina")), **dict.fromkeys(ada, world.client("ada"))}
    moving = {
        "template": lambda: f"/templates/{latest.first().template_id}/",
        "instances": lambda: f"/instances/{latest.first().pk}/",
        "export": lambda: f"/exports/{Export.objects.first().pk}/",
        "run": lambda: f"/training-runs/{training.TrainingRun.objects.latest('created_at').pk}/",
        "an export of the API": lambda: f"/api/exports/{Export.objects.first().pk}/",
        "a run in the admin": lambda: (
            f"/admin/curation/trainingrun/{training.TrainingRun.objects.latest('created_at').pk}/change/"
        ),
    }

    def counted() -> dict[str, int]:
        found = {}
        addresses = {address: address for address in clients} | {name: of() for name, of in moving.items()}
        for name, address in addresses.items():
            client = clients.get(name) or world.client("ada" if "admin" in address else "mina")
            assert client.get(address).status_code == 200, address  # once to fill what processes keep
            with CaptureQueriesContext(connection) as queries:
                assert client.get(address).status_code == 200
            found[name] = len(queries)
        return found

    few = counted()
    for at in range(1, 5):
        grow(world, over, at)
    assert {name: (few[name], count) for name, count in counted().items() if count != few[name]} == {}
    assert max(few.values()) < 25


def test_a_page_of_rows_costs_the_same_wherever_it_is(world):
    over = library.dataset(library.rows(4 * PAGE + 1), id_column="id")
    made = library.instances(over, library.template(over))
    client = world.client("mina")
    for path in (f"/datasets/{over.pk}/", f"/instances/{made.pk}/"):
        counts = set()
        for number in (1, 1, 3, 5):
            with CaptureQueriesContext(connection) as queries:
                page = client.get(f"{path}?page={number}")
            assert f"A long text, number {(number - 1) * PAGE + 1}." in page.text
            counts.add(len(queries))
        assert len(counts) == 1


# --- Other people's text ----------------------------------------------------------------------------------------------

EVIL = "<script>alert(1)</script><img src=x>\"'"
EVIL_NAME = "<script>alert(1)<img src=x>"


def test_text_of_data_templates_and_trainers_is_shown_as_text(world):
    rows = [{"text": EVIL, EVIL_NAME: EVIL, "list": [EVIL]} for _ in range(3)] + [
        {"text": "", EVIL_NAME: "x", "list": []}
    ]
    over = library.dataset(rows, source=EVIL, file_name=f"{EVIL_NAME}.jsonl", actor=world.users["mina"])
    assert over.whole, over.job.error
    jinja = f"{EVIL} {{{{ text }}}} ||| {EVIL}"
    by = library.template(over, jinja, name=EVIL, answer_choices=f"{EVIL} ||| b")
    failing = library.template(over, f"{{{{ text }}}} ||| {{{{ {{}}['{EVIL_NAME}'].x }}}}", name="failing")
    made = library.instances(over, by, seed=EVIL_NAME)
    failed = library.instances(over, failing)
    assert made.instances == 4 and failed.job.state == Job.State.FAILED
    refused = library.dataset([{"id": EVIL}, {"id": EVIL}], id_column="id", name="refused")
    assert "script" in refused.refusals[0]["message"]
    export = library.sft_export(made, salt=EVIL_NAME, test_share=0)
    run = training.start_run(
        export=export, actor=world.users["mina"], trainer="sft", name=EVIL, configuration={"a": EVIL}
    )
    training.add_metrics(run=run, points=[{"step": 1, "name": EVIL_NAME, "value": 0.5}])
    training.finish_run(run=run, status="failed", results={"r": EVIL}, error=EVIL, model_card=f"# {EVIL}\n\n{EVIL}")
    world.project.name = EVIL
    world.project.save()

    pages = {
        "mina": [
            f"/datasets/{over.pk}/", f"/datasets/{refused.pk}/", f"/datasets/{over.pk}/about/", f"/datasets/{over.pk}/templates/new/",
            f"/datasets/{over.pk}/templates/new/?from={by.pk}", f"/templates/{by.pk}/", f"/templates/{failing.pk}/",
            f"/instances/{made.pk}/", f"/instances/{failed.pk}/", "/exports/judgements/", "/exports/instructions/",
            f"/exports/instructions/?salt={EVIL_NAME}&set={EVIL_NAME}", f"/exports/{export.pk}/", f"/training-runs/{run.pk}/",
        ],
        "ada": [
            *(f"/admin/curation/{model}/" for model in ("template", "instanceset", "trainingrun")),
            *(f"/admin/curation/{row._meta.model_name}/{row.pk}/change/" for row in (over, by, made, export, run)),
        ],
    }  # fmt: skip
    for name, addresses in pages.items():
        client = world.client(name)
        for address in addresses:
            shown = client.get(address)
            assert shown.status_code == 200, address
            check_escaped(shown.text, address)
    assert escape(EVIL) in world.client("mina").get(f"/instances/{made.pk}/").text

    client = world.client("mina")
    posts = [
        (f"/datasets/{over.pk}/templates/new/", {"jinja": f"{EVIL} ||| a"}),
        (f"/datasets/{over.pk}/templates/new/", {"jinja": jinja, "save": "1", "name": EVIL * 9, "language": EVIL}),
        (f"/datasets/{over.pk}/about/", {"licence": EVIL, "language": EVIL}),
        ("/datasets/import/", {"name": EVIL, "licence": EVIL, "language": EVIL, "column_names": EVIL}),
        (f"/instances/{made.pk}/tasks/", {"project": EVIL, "rows": EVIL, "output_columns": EVIL}),
        ("/exports/instructions/", {"instance_sets": EVIL, "salt": EVIL * 9, "test_share": EVIL}),
    ]
    for address, form in posts:
        for headers in ({}, {"HX-Request": "true"}):
            shown = client.post(address, form, headers=headers)
            assert shown.status_code in (200, 422), address
            check_escaped(shown.text, address)


def check_escaped(text: str, address: str) -> None:
    assert "alert(1)" in text, address  # it is there, so there is something to escape
    assert "<script>alert" not in text and "<img src=x" not in text, address


def test_the_text_of_a_template_cannot_leave_its_field(world):
    over = library.dataset(library.rows(2))
    evil = "</textarea><script>alert(1)</script> {{ text }} ||| </pre><b>x</b>"
    shown = world.client("mina").post(f"/datasets/{over.pk}/templates/new/", {"jinja": evil})
    assert "&lt;/textarea&gt;&lt;script&gt;alert(1)" in shown.text
    check_escaped(shown.text, "template_new")
    assert "</pre><b>x" not in shown.text


# --- Rubbish in addresses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "number"),
    [("2", 2), ("99", 2), ("9" * 50, 2), ("0", 2), ("-1", 2), ("x", 1), ("", 1), ("1.5", 1), ("%00", 1), ("٢", 2)],
)
def test_a_page_that_is_not_there_is_the_last_and_one_that_is_none_the_first(world, asked, number):
    over = library.dataset(library.rows(PAGE + 1), id_column="id")
    made = library.instances(over, library.template(over))
    client = world.client("mina")
    for path in (f"/datasets/{over.pk}/", f"/instances/{made.pk}/"):
        shown = client.get(f"{path}?page={asked}")
        assert (shown.status_code, shown.context["page"].number) == (200, number)
        assert (f"number {PAGE + 1}." in shown.text) is (number == 2)
    for path in ("/datasets/", "/exports/"):
        assert client.get(f"{path}?page={asked}").status_code == 200


def test_lists_are_newest_first_and_paged(world):
    for at in range(PAGE + 1):
        unbuilt(name=f"d{at}", start=at)
    page = world.client("mina").get("/datasets/")
    assert [one.name for one in page.context["page"]] == [f"d{at}" for at in range(PAGE, 0, -1)]
    assert [one.name for one in world.client("mina").get("/datasets/?page=2").context["page"]] == ["d0"]


def test_a_template_to_start_from_that_is_none_gives_an_empty_form_or_404(world):
    over = library.dataset(library.rows(3))
    by = library.template(over, "{{ text }} from here ||| b", answer_choices="a ||| b")
    client = world.client("mina")
    new = f"/datasets/{over.pk}/templates/new/"
    assert "from here" in client.get(f"{new}?from={by.pk}").text
    for rubbish in ("x", "%00", "1", f"{by.pk}0", "<script>", "ü"):
        assert client.get(f"{new}?from={rubbish}").status_code == 200, rubbish
    assert client.get(f"{new}?from={uuid4()}").status_code == 404


@pytest.mark.parametrize("start", ["x", "-1", "%00", "9" * 18, "9" * 40, "1.5", "", "²", "٣"])
def test_a_preview_begins_where_there_are_rows(world, start):
    over = library.dataset(library.rows(5))
    by = library.template(over)
    client = world.client("mina")
    for path in (
        f"/datasets/{over.pk}/templates/new/?start={start}",
        f"/templates/{by.pk}/?start={start}&dataset={start}",
    ):
        shown = client.get(path)
        assert shown.status_code == 200
        assert 1 <= shown.context["preview"]["made"][0]["number"] <= 5


def test_rubbish_in_the_address_of_a_new_export_is_no_error(world):
    client = world.client("mina")
    for path in ("judgements", "instructions"):
        for query in (
            "project=x",
            "project=%00",
            "set=x",
            "set=%00&set=1",
            "instance_sets=x",
            "test_share=x",
            "salt=%00",
        ):
            assert client.get(f"/exports/{path}/?{query}").status_code == 200, query


@pytest.mark.parametrize("path", ["/exports/judgements/", "/exports/instructions/"])
def test_an_export_that_cannot_be_comes_back_with_why(world, path):
    library.template(library.dataset(library.rows(3)))
    client = world.client("mina")
    for form in (
        {},
        {"test_share": "2"},
        {"project": "x", "instance_sets": ["x"], "test_share": "NaN", "salt": "\x00"},
    ):
        page = client.post(path, form)
        assert page.status_code == 422 and page.context["form"].errors
    assert not Export.objects.exists()


# --- The preview as one types -----------------------------------------------------------------------------------------


def test_htmx_gets_the_preview_alone(world):
    over = library.dataset(library.rows(5))
    client, new = world.client("mina"), f"/datasets/{over.pk}/templates/new/"
    form = {"name": "", "jinja": "{{ text }}!\r\n||| {{ short }}", "answer_choices": "", "start": "3"}
    part = client.post(new, form, headers={"HX-Request": "true"})
    whole = client.post(new, form)
    assert (part.status_code, whole.status_code) == (200, 200)
    assert "A long text, number 4.!" in part.text and "A long text, number 3.!" not in part.text
    assert "<html" not in part.text and "<form" not in part.text and "csrfmiddlewaretoken" not in part.text
    assert "<html" in whole.text and part.text.strip() in whole.text
    assert not whole.context["form"].errors  # it is still being written
    broken = client.post(new, form | {"jinja": "{{ text"}, headers={"HX-Request": "true"})
    assert broken.status_code == 200 and 'role="alert"' in broken.text and "Line 1" in broken.text
    dropped = client.post(new, form | {"jinja": "only this"}, headers={"HX-Request": "true"})
    assert "no ||| between input and target" in dropped.text
    assert not Template.objects.exists()


def test_a_preview_draws_what_the_saved_template_will(world):
    over = library.dataset(library.rows(5))
    client, new = world.client("mina"), f"/datasets/{over.pk}/templates/new/"
    form = {"name": "n", "task_type": "other", "language": "en", "answer_choices": ""}
    form["jinja"] = "{{ range(1000) | random }}\r\n{{ text }} ||| {{ short }}"
    written = [one["made"].input for one in client.post(new, form).context["preview"]["made"]]
    saved = client.post(new, form | {"save": "1"}, follow=True)
    assert [one["made"].input for one in saved.context["preview"]["made"]] == written
    assert len({one.split("\n")[0] for one in written}) > 1


def test_a_template_over_a_dataset_that_is_not_imported_is_not_written(world):
    waiting, failed = unbuilt(), library.dataset(b"{broken", name="failed")
    client = world.client("mina")
    for over in (waiting, failed):
        assert client.get(f"/datasets/{over.pk}/templates/new/").status_code == 404
        assert client.post(f"/datasets/{over.pk}/templates/new/", {"jinja": "a ||| b"}).status_code == 404
        body = {"dataset": str(over.pk), "name": "n", "task_type": "other", "language": "en", "jinja": "a ||| b"}
        answer = client.post("/api/templates/", body, content_type="application/json")
        assert (answer.status_code, answer.json()) == (400, {"detail": ["The dataset is not imported yet."]})
        assert client.get(f"/api/datasets/{over.pk}/rows/").json() == []


def test_instances_that_cannot_be_asked_for_say_why(world):
    over, other = library.dataset(library.rows(3)), library.dataset(library.rows(3), name="other", id_column="id")
    by = library.template(over)
    client = world.client("mina")
    for address, form, said in (
        (f"/templates/{by.pk}/over/{over.pk}/", {"seed": ""}, "The seed is missing or over 60 characters."),
        (f"/templates/{by.pk}/over/{over.pk}/", {"seed": "x" * 61}, "The seed is missing or over 60 characters."),
        (f"/templates/{by.pk}/over/{other.pk}/", {"seed": "s"}, "The template is written for the dataset “texts”."),
        (f"/templates/{by.pk}/over/{unbuilt(id_column='text').pk}/", {"seed": "s"}, "The dataset is not imported yet."),
    ):
        shown = client.post(address, form, follow=True)
        assert (shown.status_code, shown.redirect_chain[0][0]) == (200, f"/templates/{by.pk}/")
        assert said in shown.text
    assert not InstanceSet.objects.exists()


# --- Nothing there ----------------------------------------------------------------------------------------------------


def test_where_there_is_nothing_a_page_says_what_to_do(world):
    mina, rita = world.client("mina"), world.client("rita")
    for client, makes in ((mina, True), (rita, False)):
        shown = client.get("/datasets/").text
        assert "No datasets yet" in shown and (reverse("dataset_import") in shown) is makes
        shown = client.get("/exports/").text
        assert "No exports yet" in shown and (reverse("sft_export_new") in shown) is makes
    over = library.dataset(library.rows(2))
    shown = mina.get(f"/datasets/{over.pk}/").text
    assert "No template yet" in shown
    by = library.template(over, "{% if false %}a ||| b{% endif %}")
    made = library.instances(over, by)
    shown = mina.get(f"/instances/{made.pk}/")
    assert (shown.status_code, made.instances, len(shown.context["page"])) == (200, 0, 0)
    assert "it skips this row" in shown.text and "1, 2" in shown.text
    assert "No training run yet" in mina.get(f"/exports/{library.sft_export(made).pk}/").text


def test_a_failed_export_and_failed_instances_say_why_on_their_page(world):
    over = library.dataset(library.rows(2))
    nothing = library.instances(over, library.template(over, "{% if false %}a ||| b{% endif %}"))
    failed = library.instances(over, library.template(over, "{{ 1 // 0 }} ||| b", name="failing"))
    client = world.client("rita")
    assert "No instance is left to export" in client.get(f"/exports/{library.sft_export(nothing).pk}/").text
    assert "ZeroDivisionError" in client.get(f"/instances/{failed.pk}/").text
    unready = request_sft_export(instance_sets=[nothing], actor=None, send=False)
    assert client.get(f"/exports/{unready.pk}/archive/").status_code == 404


def test_a_template_whose_dataset_is_gone_is_still_shown(world):
    over = library.dataset(library.rows(2))
    by = library.template(over)
    InstanceSet.objects.all().delete()
    Dataset.objects.all().delete()
    shown = world.client("mina").get(f"/templates/{by.pk}/")
    assert shown.status_code == 200 and "nothing to preview" in shown.text


def test_who_only_looks_is_offered_nothing_to_change(world):
    over = library.dataset(library.rows(2))
    by = library.template(over)
    made = library.instances(over, by)
    pages = ["/datasets/", f"/datasets/{over.pk}/", f"/templates/{by.pk}/", f"/instances/{made.pk}/", "/exports/"]
    for name, offered in (("mina", True), ("rita", False)):
        shown = "".join(world.client(name).get(address).text for address in pages)
        for address in (
            reverse("dataset_import"),
            reverse("template_new", args=[over.pk]),
            reverse("dataset_about", args=[over.pk]),
            reverse("instances_new", args=[by.pk, over.pk]),
            reverse("project_export_new"),
            reverse("sft_export_new"),
        ):
            assert (address in shown) is offered, (name, address)


# --- The admin --------------------------------------------------------------------------------------------------------

IMPORT = {"name": "texts", "licence": "MIT", "language": "en", "encoding": "utf-8", "source": ""}


def test_the_admin_imports_a_file(world):
    client = world.client("ada")
    assert client.get("/admin/curation/dataset/add/").status_code == 200
    assert not Job.objects.exists()
    form = IMPORT | {"upload": upload(library.jsonl(library.rows(3))), "id_column": "id"}
    done = client.post("/admin/curation/dataset/add/", form, follow=True)
    made = Dataset.objects.get()
    assert done.redirect_chain == [("/admin/curation/dataset/", 302)]
    assert "The import has been started" in done.text
    assert (made.format, made.id_column, made.actor, made.job.state) == ("jsonl", "id", world.users["ada"], "queued")
    import_dataset(str(made.job_id))
    made.refresh_from_db()
    assert (made.title, made.rows) == ("texts@1", 3)
    again = client.post("/admin/curation/dataset/add/", form | {"upload": upload(library.jsonl(library.rows(3)))})
    assert (again.status_code, Dataset.objects.count()) == (200, 1)
    assert again.context["adminform"].form.errors["upload"] == ["This file is there already, as texts · 1."]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"licence": "nonsense!"}, "licence"),
        ({"upload": upload(b"x", "texts.doc")}, "format"),
        ({"column_names": "a, a", "format": "csv"}, "column_names"),
        ({"name": ""}, "name"),
    ],
)
def test_the_admin_shows_a_field_that_is_wrong_and_keeps_no_file(world, fields, field):
    form = IMPORT | {"upload": upload(b"{}\n")} | fields
    page = world.client("ada").post("/admin/curation/dataset/add/", form)
    assert (page.status_code, list(page.context["adminform"].form.errors)) == (200, [field])
    assert not Dataset.objects.exists() and not Blob.objects.exists() and not Job.objects.exists()


def test_the_admin_puts_right_what_is_known_and_nothing_else(world):
    over = library.dataset(library.rows(3))
    by = library.template(over)
    made = library.instances(over, by)
    client = world.client("ada")
    done = client.post(
        f"/admin/curation/dataset/{over.pk}/change/",
        {"licence": "MIT", "language": "de", "source": "x", "name": "other", "id_column": "id"},
    )
    over.refresh_from_db()
    assert (done.status_code, over.licence, over.name, over.id_column, over.rows) == (302, "MIT", "texts", "", 3)
    for model, row in (("dataset", over), ("template", by), ("instanceset", made)):
        assert client.post(f"/admin/curation/{model}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    for model, row in (("template", by), ("instanceset", made)):
        assert client.post(f"/admin/curation/{model}/{row.pk}/change/", {"seed": "x", "name": "x"}).status_code == 403
        assert client.get(f"/admin/curation/{model}/{row.pk}/change/").status_code == 200
    assert templates.latest_templates("texts").get() == by
