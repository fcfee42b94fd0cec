"""Print how often a rule of vetting approves and rejects people of known ability, and after how many items.

Each figure is worked out, and beside it is what a simulation gives. Needs no database.
"""

import json

from django.core.management.base import BaseCommand, CommandError

from annotate.vetting.characteristic import Characteristic, exact, simulated
from annotate.vetting.rules import RuleError, from_settings, to_settings

ABILITIES = [percent / 100 for percent in range(60, 100, 5)]
RULES = ("sprt", "posterior", "fixed")


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--rule", choices=RULES, help="of this rule only (default of each, as it is by default)")
        for name in ("p0", "p1", "alpha", "beta"):
            parser.add_argument(f"--{name}", type=float, help="of the rule sprt")
        for name in ("target", "sure"):
            parser.add_argument(f"--{name}", type=float, help="of the rule posterior")
        parser.add_argument("--least", type=int, help="of the rule posterior: items before which it does not decide")
        parser.add_argument("--cap", type=int, help="of the rules sprt and posterior: items after which they give up")
        for name in ("n", "right"):
            parser.add_argument(f"--{name}", type=int, help="of the rule fixed")
        parser.add_argument("--times", type=int, default=20_000, help="people that are simulated (default 20000)")
        parser.add_argument("--seed", type=int, default=0, help="of the simulation (default 0)")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args, rule, times, seed, **options):
        names = ("p0", "p1", "alpha", "beta", "target", "sure", "least", "cap", "n", "right")
        given = {name: options[name] for name in names if options[name] is not None}
        if given and not rule:
            raise CommandError(f"--{next(iter(given))} is of one rule: say which one with --rule.")
        if times < 1 or seed < 0:
            raise CommandError("--times must be at least 1 and --seed at least 0.")
        try:
            rules = [from_settings({"kind": kind, **given}) for kind in ([rule] if rule else RULES)]
        except RuleError as error:
            if error.code == "unknown":
                raise CommandError(f"--{error.field} is no setting of the rule {rule}: see --help.") from None
            raise CommandError(f"--{error}.") from None
        tables = [
            (to_settings(one), [(exact(one, p), simulated(one, p, times, seed)) for p in ABILITIES]) for one in rules
        ]
        if options["json"]:
            self.stdout.write(json.dumps(as_json(tables, times, seed)))
            return
        for settings, rows in tables:
            words = ", ".join(f"{name} {value}" for name, value in settings.items() if name != "kind")
            self.stdout.write(f"{settings['kind']}: {words}")
            self.stdout.write(f"{'':9}{'worked out':40}simulated, {times} people")
            self.stdout.write("ability" + "  approve   reject  undecided  items" * 2)
            for row in rows:
                self.stdout.write(f"{row[0].p:7.2f}" + "".join(in_words(one) for one in row))
            self.stdout.write("")


def in_words(one: Characteristic) -> str:
    return f"  {one.approve:7.3f}  {one.reject:7.3f}  {one.undecided:9.3f}  {one.items:5.1f}"


def as_json(tables: list, times: int, seed: int) -> dict:
    return {
        "times": times,
        "seed": seed,
        "rules": [
            {
                "rule": settings,
                "abilities": [{"exact": one._asdict(), "simulated": other._asdict()} for one, other in rows],
            }
            for settings, rows in tables
        ],
    }
