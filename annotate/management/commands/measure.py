"""Measure how far the values of a table agree, each measure with its interval. Needs no database.

The file is CSV or TSV, with a row an item and a column a rater; the first line names the raters. Its first column names
the items where it is called item (or id, unit, subject, task) or has no name; a column "prompt" says which items belong
together when intervals are made. Or it has columns item, rater and value, a row a value. Empty cells and * are missing.
"""

import json
import sys

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from annotate.measures import CODE_VERSION, Concordance, Measure
from annotate.measures.catalogue import MEASURES, chosen, measure, why_not
from annotate.measures.tables import LEVELS, Scale, Table, read_table, scaled


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("file", help="a CSV or TSV file, or - for standard input")
        parser.add_argument(
            "--measure",
            nargs="+",
            metavar="NAME",
            help="of these only, or of a family such as icc (default all that apply)",
        )
        parser.add_argument("--level", choices=LEVELS, help="of measurement (default the highest the values allow)")
        parser.add_argument(
            "--categories",
            help="all that were offered, from the lowest to the highest, with commas (default those seen)",
        )
        parser.add_argument("--raters", nargs="+", metavar="NAME", help="of these raters only (default all)")
        parser.add_argument("--no-header", action="store_true", help="the first line has values; raters are numbered")
        parser.add_argument("--replicates", type=int, default=1000, help="resamples for each interval (default 1000)")
        parser.add_argument("--seed", type=int, default=0, help="of the resamples (default 0)")
        parser.add_argument("--confidence", type=float, default=0.95, help="of the intervals (default 0.95)")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args, file, level, categories, raters, **options):
        resampling = {name: options[name] for name in ("replicates", "seed", "confidence")}
        try:
            names = chosen(options["measure"] or MEASURES)
            table = self.table(file, header=not options["no_header"])
            table = table.only(raters) if raters else table
            scale = scaled(
                table, level=level, categories=[c.strip() for c in categories.split(",")] if categories else None
            )
            reasons = {name: reason for name in names if (reason := why_not(name, scale))}
            found = measure([name for name in names if name not in reasons], scale, **resampling)
        except ValueError as error:
            raise CommandError(str(error)) from None
        if not options["measure"]:
            reasons = {}  # of all measures, those that do not apply are no news
        if options["json"]:
            self.stdout.write(json.dumps(as_json(table, scale, found, reasons)))
            return
        self.stdout.write(heading(table, scale))
        for one in found:
            self.stdout.write(f"{one.name:32} {in_words(one)}")
        for name, reason in reasons.items():
            self.stdout.write(f"{name:32} does not apply: {reason}")

    def table(self, file: str, *, header: bool) -> Table:
        """The file's table. Raises TableError, and CommandError where it cannot be read at all."""
        try:
            if file == "-":
                return read_table(sys.stdin, header=header)
            with open(file, encoding="utf-8-sig", newline="") as lines:
                return read_table(lines, header=header)
        except UnicodeDecodeError as error:
            raise CommandError(f"{file} is not UTF-8: byte {error.object[error.start]:#04x} cannot be read.") from None
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from None


def heading(table: Table, scale: Scale) -> str:
    missing = len(table.items) * len(table.raters) - len(table.cells)
    names = ", ".join(f"{one:g}" if isinstance(one, float) else one for one in scale.categories[:20])
    more = f" … ({len(scale.categories)} in all)" if len(scale.categories) > 20 else ""
    seen = "offered" if scale.offered else "those that occur"
    return (
        f"{len(table.items)} items of {len(set(table.prompts))} prompts, {len(table.raters)} raters, "
        f"{len(table.cells)} values, {missing} missing; {scale.level}; categories ({seen}): {names}{more}"
    )


def in_words(one: Measure) -> str:
    rests_on = f"{one.n_units} items of {one.n_groups} prompts, {one.n_values} values, {one.n_dropped} left out"
    if one.value is None:
        return f"undefined: {one.undefined_because and _(one.undefined_because)}; {rests_on}"
    because = one.no_interval_because
    interval = _(because) if because else f"{one.low:.6f} – {one.high:.6f}"
    test = f"; chi2 {one.chi2:.6f}, df {one.df}, p {one.p:.6f}" if isinstance(one, Concordance) else ""
    return f"{one.value:.6f} ({interval}); {rests_on}{test}"


def as_json(table: Table, scale: Scale, found: list[Measure], reasons: dict[str, str]) -> dict:
    return {
        "code": CODE_VERSION,
        "items": len(table.items),
        "prompts": len(set(table.prompts)),
        "raters": table.raters,
        "values": len(table.cells),
        "level": scale.level,
        "categories": scale.categories,
        "categories_offered": scale.offered,
        "measures": [one.as_dict() for one in found],
        "does_not_apply": reasons,
    }
