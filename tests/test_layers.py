"""`config → curation → annotate → jobs`, and `trainers → export files`: who may know of whom.

A lower app never names an upper one: not by import, not by a foreign key's string, a migration, a reverse accessor or
an address. The checks read source text, so the last tests plant violations and see that each is found.
"""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db import models
from django.test.utils import isolate_apps

ROOT = Path(settings.BASE_DIR)
PARTS = ("jobs", "annotate", "curation", "config")  # from the lowest to the highest
APPS = PARTS[:3]
MAY_NAME = {part: set(PARTS[: at + 1]) for at, part in enumerate(PARTS)} | {"trainers": {"trainers"}}
OURS = {*PARTS, "trainers", "tests", "benchmarks", "manage"}

# Inside an app: views, api, admin, tasks, commands → services → models.
ABOVE_SERVICES = {"views", "api", "admin", "forms", "urls", "tasks", "management"}
ABOVE_MODELS = ABOVE_SERVICES | {"services", "access"}
PURE = {
    "annotate.answer_words",
    "annotate.comparing",
    "annotate.consensus",
    "annotate.differences",
    "annotate.drawing",
    "annotate.judgement_rows",
    "annotate.languages",
    "annotate.measures",
    "annotate.oasst",
    "annotate.plots",
    "annotate.presets",
    "annotate.question_settings",
    "annotate.questions",
    "annotate.rendering",
    "annotate.vetting",
    "curation.catalogue",
    "curation.exporting",
    "curation.queries",
    "curation.reading",
    "curation.rendering",
    "curation.shots",
    "curation.tables",
    "curation.template_files",
}

MADE_AT_RUN_TIME = "a name made at run time"
DOTTED = re.compile(rf"({'|'.join(PARTS)})(\.\w+)+", re.IGNORECASE)
TEMPLATE_TAG = re.compile(r"\{%-?\s*(?P<tag>url|include|extends)\s+(?P<what>\S+)")


def module_of(path: str) -> str:
    """`annotate/api/__init__.py` → `annotate.api`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def is_pure(name: str) -> bool:
    """Whether a dotted name is of a pure module, or of something in a pure package, however deep."""
    words = name.split(".")
    return any(".".join(words[:depth]) in PURE for depth in range(1, len(words) + 1))


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def imports(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of all that a file imports, wherever in it and however; `from a import b` gives `a.b`."""
    package = module_of(path).split(".")
    if not path.endswith("/__init__.py"):
        package.pop()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{start}.{alias.name}".lstrip(".")) for alias in node.names)
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__", "import_string"):
            name = node.args[0] if node.args else None
            if isinstance(name, ast.JoinedStr):  # f"trainers.{command}" says enough, f"{anything}" does not
                name = name.values[0]
            yield node.lineno, name.value if isinstance(name, ast.Constant) else MADE_AT_RUN_TIME


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, part) of strings that name something in a part: foreign keys, dotted paths, migrations' dependencies."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (found := DOTTED.fullmatch(node.value)):
            yield node.lineno, found[1].lower()
        elif isinstance(node, (ast.Tuple, ast.Call)):  # ("curation", "0001_initial"), get_model("curation", "Export")
            items = node.elts if isinstance(node, ast.Tuple) else node.args if called(node) == "get_model" else []
            if len(items) == 2 and isinstance(items[0], ast.Constant) and items[0].value in PARTS:
                yield node.lineno, items[0].value


def violations(path: str, source: str, addresses: dict[str, str]) -> list[str]:
    """What a Python file names and must not. `addresses` gives the part of each URL name."""
    tree, part, module = ast.parse(source), path.split("/")[0], module_of(path)
    allowed = MAY_NAME[part]
    found = []
    for line, name in imports(path, tree):
        first, *rest = name.split(".")
        below = rest[0] if rest else ""
        in_app = first in APPS
        wrong = (
            (first in OURS and first not in allowed)
            or name == MADE_AT_RUN_TIME
            or (part == "trainers" and first in ("django", "rest_framework", "celery"))
            or (".models" in module and in_app and below in ABOVE_MODELS)
            or (".models" in module and first == "rest_framework")
            or (".services" in module and in_app and below in ABOVE_SERVICES)
            or (is_pure(module) and name.startswith("django.db"))
            or (is_pure(module) and first in OURS and not is_pure(name))
        )
        if wrong:
            found.append(f"{path}:{line} imports {name}")
    if part in APPS:
        found += [f"{path}:{line} names {other}" for line, other in strings(tree) if other not in allowed]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node) in ("reverse", "reverse_lazy", "redirect") and node.args:
                name = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
                if addresses.get(name, part) not in allowed:
                    found.append(f"{path}:{node.lineno} goes to “{name}”")
    return found


def template_violations(path: str, source: str, addresses: dict[str, str]) -> list[str]:
    """What a template of an app (`templates/<app>/…`) names and must not: addresses and other apps' templates."""
    allowed, found = MAY_NAME[path.split("/")[1]], []
    for match in TEMPLATE_TAG.finditer(source):
        name = match["what"].strip("'\"")
        if match["tag"] == "url":
            right = name != match["what"] and addresses.get(name) in allowed
        else:
            right = "/" not in name or name.split("/")[0] in allowed
        if not right:
            found.append(f"{path}: {match[0]}")
    return found


def accessor_violations(all_models: list[type[models.Model]]) -> list[str]:
    """Models that can be reached from, or that point to, a model of an upper app."""
    found = []
    for model in all_models:
        allowed = MAY_NAME.get(model._meta.app_label)
        if allowed is None:
            continue  # somebody else's
        for field in model._meta.get_fields():
            other = getattr(field, "related_model", None)
            if other is not None and other._meta.app_label in OURS - allowed:
                found.append(f"{model._meta.label}.{field.name} leads to {other._meta.label}")
    return found


@pytest.fixture(scope="module")
def addresses() -> dict[str, str]:
    """The part of each URL name of ours."""
    modules = [f"{app}.{kind}" for app in APPS for kind in ("urls", "api.urls") if app != "jobs" or kind == "urls"]
    names = {}
    for module in [*modules, "config.urls"]:
        for pattern in import_module(module).urlpatterns:
            if name := getattr(pattern, "name", None):
                names[name] = module.split(".")[0]
    return names


def is_there(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def sources(part: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / part).rglob("*.py"))


# --- The code as it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [*PARTS, "trainers"])
def test_no_file_names_what_is_above_it(part, addresses):
    paths = sources(part)
    assert len(paths) > 5
    assert [wrong for path in paths for wrong in violations(path, (ROOT / path).read_text(), addresses)] == []


def test_the_pure_modules_are_where_this_test_looks_for_them():
    assert {module for module in PURE if not is_there(module)} == set()
    assert not is_there("curation.nowhere") and not is_there("templates")  # a folder without Python is no package


@pytest.mark.parametrize("app", APPS)
def test_the_templates_of_an_app_name_addresses_of_it_and_of_lower_ones_only(app, addresses):
    paths = [path.relative_to(ROOT).as_posix() for path in (ROOT / "templates" / app).rglob("*.html")]
    assert paths
    assert [wrong for path in paths for wrong in template_violations(path, (ROOT / path).read_text(), addresses)] == []


def test_no_model_has_an_accessor_that_an_upper_app_put_there():
    ours = [model for model in apps.get_models() if model._meta.app_label in APPS]
    labels = {model._meta.label for model in ours}
    assert {"annotate.Project", "annotate.ProjectEvent", "curation.ExportEvent", "jobs.Job"} <= labels
    assert accessor_violations(ours) == []


# --- The checks themselves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("jobs/services.py", "import annotate"),
        ("jobs/services.py", "import annotate.models as models"),
        ("jobs/tasks.py", "def late():\n    from curation.models import Export"),
        ("jobs/tasks.py", "from importlib import import_module\nimport_module('annotate.models')"),
        ("jobs/tasks.py", "import importlib\nimportlib.import_module(name)"),
        ("jobs/tasks.py", "import importlib\nimportlib.import_module(f'annotate.{name}')"),
        ("jobs/tasks.py", "import importlib\nimportlib.import_module(f'{name}.models')"),
        ("jobs/tasks.py", "__import__('config.settings')"),
        ("jobs/tasks.py", "from .. import curation"),
        ("annotate/views.py", "if TYPE_CHECKING:\n    from curation.models import Export"),
        ("annotate/views.py", "from tests.world import World"),
        ("annotate/api/views.py", "from ...curation import models"),
        ("curation/views.py", "from config import settings"),
        ("curation/views.py", "from trainers.export import read"),
        ("config/urls.py", "import tests.world"),
        ("annotate/models/tasks.py", "export = models.ForeignKey('curation.Export', models.PROTECT)"),
        ("annotate/models/tasks.py", "Export = apps.get_model('curation', 'Export')"),
        ("annotate/services/tasks.py", "current_app.send_task('curation.build_export')"),
        ("annotate/migrations/0002_x.py", "class Migration:\n    dependencies = [('curation', '0001_initial')]"),
        ("annotate/migrations/0002_x.py", "models.ForeignKey(to='curation.export')"),
        ("annotate/views.py", "redirect('export', 1)"),
        ("jobs/views.py", "reverse('projects')"),
        ("annotate/models/tasks.py", "from annotate.services import ledger"),
        ("annotate/models/tasks.py", "from ..services import ledger"),
        ("annotate/models/tasks.py", "from annotate import access"),
        ("curation/models/exports.py", "from annotate.services.tasks import add_tasks"),
        ("jobs/models.py", "from rest_framework import serializers"),
        ("jobs/services.py", "from jobs.views import progress"),
        ("annotate/services/tasks.py", "def f():\n    from annotate.forms import RankingForm"),
        ("curation/services/exports.py", "from annotate.api import tokens"),
        ("annotate/measures/__init__.py", "from django.db import models"),
        ("annotate/measures/alpha.py", "from django import db\nimport django.db"),
        ("annotate/judgement_rows.py", "from annotate.models import Task"),
        ("curation/exporting/splits.py", "from annotate import models"),
        ("curation/reading/__init__.py", "from curation.models import Dataset"),
        ("curation/reading/rows.py", "from django.db import connection"),
        ("curation/reading/rows.py", "from curation.services import blobs"),
        ("curation/rendering/child.py", "from ..models import Template"),
        ("curation/rendering/child.py", "from curation import models"),
        ("curation/rendering/deep/down.py", "def f():\n    import jobs"),
        ("curation/views/datasets.py", "from config import settings"),
        ("curation/models/datasets.py", "from curation.services.templates import JOB"),
        ("curation/services/templates.py", "from curation.views.datasets import PAGE"),
        ("curation/services/handover.py", "from curation.forms import HandoverForm"),
        ("trainers/reward.py", "import django"),
        ("trainers/reward.py", "def f():\n    from curation.folder import SCHEMA"),
    ],
)
def test_a_planted_violation_is_found(path, source, addresses):
    assert violations(path, source, addresses)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("curation/views.py", "from annotate.access import projects_of\nfrom jobs.models import Job"),
        ("annotate/models/tasks.py", "project = models.ForeignKey('annotate.Project', models.PROTECT)"),
        ("annotate/models/people.py", "user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)"),
        ("annotate/services/imports.py", "from annotate.services.tasks import add_tasks\nfrom ..models import Task"),
        ("annotate/judgement_rows.py", "from django.utils.translation import gettext"),
        ("curation/reading/rows.py", "from curation.reading.files import lines\nfrom .table import Survey"),
        ("curation/reading/rows.py", "from curation import reading\nfrom curation.tables import RowWriter"),
        ("curation/rendering/__init__.py", "from curation.rendering.errors import MESSAGES\nimport jinja2"),
        ("curation/readingroom.py", "from curation.models import Dataset"),
        ("annotate/views.py", "redirect('project', slug)\n'curation builds exports.'"),
        ("config/urls.py", "from curation.api import views"),
        ("trainers/reward.py", "from trainers.export import read\nopen('config.json')"),
    ],
)
def test_what_is_allowed_is_not_taken_for_a_violation(path, source, addresses):
    assert violations(path, source, addresses) == []


@pytest.mark.parametrize(
    ("path", "source", "wrong"),
    [
        ("templates/annotate/x.html", "{% url 'exports' %}", True),
        ("templates/annotate/x.html", '<a href="{%  url "api_export" 1 as x %}">', True),
        ("templates/annotate/x.html", "{% url 'account_login' %}", True),
        ("templates/annotate/x.html", "{% url some_variable %}", True),
        ("templates/annotate/x.html", "{% include 'curation/_curve.html' %}", True),
        ("templates/jobs/x.html", "{% url 'project' slug %}", True),
        ("templates/jobs/x.html", "{% url 'no_such_name' %}", True),
        (
            "templates/annotate/x.html",
            "{% extends 'base.html' %}{% url 'job_progress' 1 %}{% url 'project' 1 %}",
            False,
        ),
        ("templates/curation/x.html", "{% include 'jobs/_progress.html' %}{% url 'project' 1 %}", False),
    ],
)
def test_a_planted_violation_in_a_template_is_found(path, source, wrong, addresses):
    assert bool(template_violations(path, source, addresses)) is wrong


def planted(name: str, app: str, **fields: models.Field) -> type[models.Model]:
    meta = type("Meta", (), {"app_label": app})
    return type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **fields})


@isolate_apps("annotate", "curation")
@pytest.mark.parametrize(("related_name", "found"), [("planted", 1), (None, 1), ("+", 0)])
def test_a_planted_reverse_accessor_is_found(related_name, found):
    lower = planted("Lower", "annotate")
    upper = planted("Upper", "curation", lower=models.ForeignKey(lower, models.PROTECT, related_name=related_name))
    assert len(accessor_violations([lower, upper])) == found


@isolate_apps("jobs", "annotate")
def test_a_planted_foreign_key_upward_is_found():
    upper = planted("Upper", "annotate")
    lower = planted("Lower", "jobs", upper=models.ForeignKey(upper, models.PROTECT, related_name="+"))
    assert accessor_violations([lower, upper]) == ["jobs.Lower.upper leads to annotate.Upper"]
