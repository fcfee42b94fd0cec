"""Making a project of a preset, in two clicks: the first chooses it, the second makes the project."""

from collections import Counter
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods

from annotate import presets
from annotate.models import Question
from annotate.presets import Preset
from annotate.rendering import markdown_html
from annotate.services.presets import create_from_preset, free_slug
from jobs.requests import PageRequest


class NewProjectForm(forms.Form):
    name = forms.CharField(label=_lazy("Name"), max_length=200)
    slug = forms.SlugField(label=_lazy("Slug"), max_length=60, help_text=_lazy("In addresses and in exports."))
    language = forms.ChoiceField(
        label=_lazy("Language of its own words"),
        choices=settings.LANGUAGES,
        help_text=_lazy("Questions and guideline are there in both; readers of the other language get theirs."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def project_new(request: PageRequest) -> HttpResponse:
    """Choose a preset, then make a project of it. For admins."""
    if not request.user.has_perm("annotate.add_project"):
        raise PermissionDenied(_("Admins make projects. Ask one of them."))
    language = get_language() or "en"
    chosen = (request.POST or request.GET).get("preset", "")
    if not chosen:
        cards = [{"preset": one, "asks": _asks(one)} for one in presets.every(language)]
        posted = request.method == "POST"
        return render(request, "annotate/project_new.html", {"cards": cards}, status=422 if posted else 200)
    try:
        preset = presets.load(chosen, language)
    except KeyError:
        raise Http404(_("There is no such preset.")) from None
    if request.method != "POST":
        form = NewProjectForm(initial={"name": preset.name, "slug": free_slug(preset.slug), "language": language})
        return render(request, "annotate/project_new.html", _about(preset, form))
    form = NewProjectForm(request.POST)
    if form.is_valid():
        try:
            made = create_from_preset(preset=chosen, actor=request.user, **form.cleaned_data)
        except ValidationError as error:
            for field, said in error.message_dict.items():
                form.add_error(field if field in form.fields else None, said)
        else:
            text = _(
                "“%(name)s” is there, and you manage it. Next: import tasks into it, and enrol people in the admin."
            )
            messages.success(request, text % {"name": made.name})
            return redirect("project", made.slug)
    return render(request, "annotate/project_new.html", _about(preset, form), status=422)


def _about(preset: Preset, form: NewProjectForm) -> dict[str, Any]:
    """What the second page shows: the form, and what the project is going to ask."""
    questions = [
        {"text": one.text, "kind": Question.Kind(one.kind).label, "each": one.scope == Question.Scope.COMPLETION}
        for one in preset.questions
    ]
    guideline = markdown_html(preset.guideline.text)
    return {"preset": preset, "form": form, "questions": questions, "guideline_html": guideline}


def _asks(preset: Preset) -> list[dict[str, Any]]:
    """The kinds of question that it asks, and how many of each. Of rules the page says how many there are."""
    counted = Counter(one.kind for one in preset.questions if one.kind != Question.Kind.RULE)
    return [{"kind": Question.Kind(kind).label, "count": count} for kind, count in counted.items()]
