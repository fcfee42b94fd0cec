"""All addresses. Signing in is needed for each that does not say `login_not_required`."""

from typing import NoReturn

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest
from django.urls import include, path
from django.views.generic import RedirectView
from django.views.i18n import set_language
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config.display import set_theme
from config.health import healthz

admin.autodiscover()
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = "Plumbline"


def no_such_page(request: HttpRequest, **kwargs: str) -> NoReturn:
    raise Http404


docs = SpectacularSwaggerSplitView.as_view(url_name="api_schema", http_method_names=["get", "head"])  # OPTIONS: 500

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="projects"), name="home"),
    path("healthz/", login_not_required(healthz), name="healthz"),
    path("i18n/", login_not_required(set_language), name="set_language"),
    path("theme/", set_theme, name="set_theme"),
    path("accounts/", include("allauth.account.urls")),
    path("admin/r/<path:rest>", no_such_page),  # Django's "view on site": it answers 500 for a row whose key is a UUID
    path("admin/", admin.site.urls),
    path("", include("jobs.urls")),
    path("", include("annotate.urls")),
    path("", include("curation.urls")),
    path("api/", include("annotate.api.urls")),
    path("api/", include("curation.api.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="api_schema"),
    path("api/docs/", docs, name="api_docs"),
]
