"""The request that every page gets: signed in, and knowing whether htmx asks."""

from django.contrib.auth.models import User
from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class PageRequest(HttpRequest):
    htmx: HtmxDetails
    user: User  # LoginRequiredMiddleware lets nobody else through
