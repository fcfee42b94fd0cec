"""Make an API token for a user and print it. It is not kept and cannot be shown again."""

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from annotate.models import ApiToken
from annotate.services.tokens import issue_token


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("user")
        parser.add_argument("--name", default="command line")
        parser.add_argument("--scope", action="append", required=True, choices=ApiToken.Scope.values, dest="scopes")

    def handle(self, *args, user, name, scopes, **options):
        found = get_user_model().objects.filter(username=user).first()
        if found is None:
            raise CommandError(f"There is no user “{user}”.")
        try:
            _, token = issue_token(user=found, name=name, scopes=scopes)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        self.stdout.write(token)
