"""Put a small project to try things in, and people to sign in as. Again: nothing is made twice.

Passwords derive from SECRET_KEY, so they are the same at each run and not guessable.
"""

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils.crypto import salted_hmac

from annotate.models import Membership, Project
from annotate.sample import GUIDELINE, TASKS
from annotate.services.projects import create_project, enrol, publish_guideline
from annotate.services.tasks import NewCompletion, NewTask, add_tasks

SLUG = "everyday-answers"
PEOPLE = {"admin": "signs in to everything", "mina": "manages the sample project", "ana": "ranks", "ben": "ranks"}


def password_of(username: str) -> str:
    return "try-" + salted_hmac("plumbline.sample", username, secret=settings.SECRET_KEY).hexdigest()[:10]


class Command(BaseCommand):
    help = __doc__

    @transaction.atomic
    def handle(self, *args, **options):
        users = {name: self._user(name) for name in PEOPLE}
        project = Project.objects.filter(slug=SLUG).first() or self._project()
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

    def _project(self) -> Project:
        project = create_project(slug=SLUG, name="Everyday answers", overlap=2)
        publish_guideline(project=project, text=GUIDELINE)
        add_tasks(
            project=project,
            tasks=[
                NewTask(
                    name=f"sample-{number}",
                    conversation=[{"role": "user", "content": prompt}],
                    completions=[NewCompletion(f"output-{at}", text) for at, text in enumerate(outputs, 1)],
                    language="en",
                )
                for number, (prompt, outputs) in enumerate(TASKS, 1)
            ],
        )
        return project
