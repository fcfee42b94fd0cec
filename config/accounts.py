"""How people get an account: an admin makes it, or they make it themselves on the way to an invitation that they have."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.urls import Resolver404, resolve

from annotate.services.way_in import usable_invitation


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether the page that follows (`next`) is an invitation that can still be used."""
        try:
            follows = resolve(request.POST.get("next") or request.GET.get("next") or "")
        except Resolver404:
            return False
        return follows.url_name == "invitation" and usable_invitation(follows.kwargs["code"]) is not None
