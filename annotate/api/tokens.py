"""Who an API request is from, and what its token may do."""

from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from annotate.models import ApiToken
from annotate.services.tokens import hashed

NOTE_USE_EVERY = timedelta(minutes=5)  # so that a busy token does not write a row at each request


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer plb_…`"""

    def authenticate(self, request: Request):
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        if len(words) != 2:
            raise AuthenticationFailed(_("The header must read “Authorization: Bearer <token>”."))
        now = timezone.now()
        token = ApiToken.objects.filter(sha256=hashed(words[1].decode("latin-1"))).select_related("user").first()
        if (
            token is None
            or token.revoked_at
            or not token.user.is_active
            or (token.expires_at and token.expires_at <= now)
        ):
            raise AuthenticationFailed(_("This token is unknown, revoked or expired. Make a new one in the admin."))
        if not token.last_used_at or now - token.last_used_at > NOTE_USE_EVERY:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class HasScope(BasePermission):
    """Signed in, and a token holds the scope that the view asks for.

    A view says `scopes = {"GET": "projects:read", …}`; a method it does not name is closed to tokens. Somebody signed
    in to the website has no token and may do what their roles allow.
    """

    message = _("This token lacks the scope that this takes.")

    def has_permission(self, request: Request, view) -> bool:
        if not request.user.is_authenticated:
            return False
        if not isinstance(request.auth, ApiToken):
            return True
        method = "GET" if request.method in ("HEAD", "OPTIONS") else request.method
        return getattr(view, "scopes", {}).get(method) in request.auth.scopes


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema):
        return {"type": "http", "scheme": "bearer"}
