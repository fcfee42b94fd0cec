"""Put the sample content in, and people to sign in as. Again: nothing is made twice.

Passwords derive from SECRET_KEY, so they are the same at each run and not guessable.
"""

import json

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.utils.crypto import salted_hmac

from annotate.models import Membership
from annotate.services.enrolments import enrol
from curation.models import TrainingRun
from curation.sample.loading import load, recorded

PEOPLE = {
    "admin": "signs in to everything",
    "mina": "manages the sample project, imports and exports",
    "ana": "ranks",
    "ben": "ranks",
}


def password_of(username: str) -> str:
    return "try-" + salted_hmac("plumbline.sample", username, secret=settings.SECRET_KEY).hexdigest()[:10]


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("--record", metavar="RUN", help="only print this training run as training-run.json has it")

    def handle(self, *args, record, **options):
        if record:
            run = TrainingRun.objects.get(pk=record)
            self.stdout.write(json.dumps(recorded(run), ensure_ascii=False, indent=1, sort_keys=True))
            return
        users = {name: self._user(name) for name in PEOPLE}
        project = load(actor=users["mina"])
        Membership.objects.get_or_create(user=users["mina"], project=project, role=Membership.Role.MANAGER)
        for name in ("ana", "ben"):
            enrol(project=project, user=users[name])
        for name, what in PEOPLE.items():
            shown = password_of(name) if users[name].check_password(password_of(name)) else "(as you changed it)"
            self.stdout.write(f"{name:6} {shown}  {what}")

    def _user(self, name: str):
        admin = name == "admin"
        user, made = get_user_model().objects.get_or_create(
            username=name, defaults={"is_staff": admin, "is_superuser": admin}
        )
        if made:
            user.set_password(password_of(name))
            user.save(update_fields=["password"])
        return user
