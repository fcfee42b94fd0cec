"""Invite people to a project: by e-mail, each for himself, or with one link for so many people. Prints the links."""

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from annotate.models import Project
from annotate.services import invitations


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("--project", required=True, help="the project's slug")
        parser.add_argument("--by", required=True, metavar="USER", help="who invites")
        parser.add_argument("--email", nargs="+", default=[], help="who is invited; without it a link is made")
        parser.add_argument("--people", type=int, default=1, help="for how many the link is (default 1)")
        parser.add_argument("--days", type=int, default=invitations.DAYS, help="how long it holds (default 14)")

    def handle(self, *args, project, by, email, people, days, **options):
        found = Project.objects.filter(slug=project).first()
        actor = get_user_model().objects.filter(username=by).first()
        if found is None or actor is None:
            raise CommandError(f"There is no project {project}." if found is None else f"There is no user {by}.")
        try:
            made = invitations.invite(project=found, actor=actor, emails=email, most_uses=people, days=days)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        failed = dict(invitations.send(invitations=made))
        for one in made:
            said = f"  not sent: {failed[one.email]}" if one.email in failed else ""
            self.stdout.write(f"{one.email or f'for {one.most_uses}'}  {invitations.link_of(one)}{said}")
