"""What stands around every page: where one is, where one may go, and in which theme it is shown."""

from functools import cache

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from curation.access import sees_datasets

THEMES = {"system": _("As the system"), "light": _("Light"), "dark": _("Dark")}
SECTIONS = {"templates": "datasets", "instances": "datasets", "training-runs": "exports"}
"""Which part of the navigation an address belongs to, where its first word does not say so."""
COOKIE, A_YEAR = "theme", 365 * 24 * 60 * 60


def around(request: HttpRequest) -> dict:
    """For the templates of every page. The one query is made only where `oversees_any` is asked."""
    theme, first = request.COOKIES.get(COOKIE), request.path.split("/")[1]
    return {
        "section": SECTIONS.get(first, first),
        "themes": THEMES,
        "theme": theme if theme in THEMES else "system",
        "oversees_any": cache(lambda: _oversees_any(getattr(request, "user", None))),
    }


def _oversees_any(user) -> bool:
    return user is not None and user.is_authenticated and sees_datasets(user)


@login_not_required
@require_POST
def set_theme(request: HttpRequest) -> HttpResponseRedirect:
    """Keep the theme in a cookie, and go back to the page. With script `site.js` does it without leaving the page."""
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = reverse("projects")
    response = HttpResponseRedirect(back)
    theme = request.POST.get("theme")
    if theme in THEMES:
        response.set_cookie(COOKIE, theme, max_age=A_YEAR, samesite="Lax", secure=request.is_secure())
    return response
