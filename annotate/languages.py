"""Codes of languages (BCP 47), such as en, zh-Hans, pt-BR."""

import re

from django.utils.translation import get_language_info
from django.utils.translation import gettext as _

LANGUAGE = re.compile("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def as_written(code: str) -> str:
    """The code in its usual spelling: zh-hans → zh-Hans, PT-br → pt-BR."""
    first, *rest = code.split("-")
    return "-".join([first.lower(), *(_part(part) for part in rest)])


def _part(part: str) -> str:
    if len(part) == 4 and part.isalpha():
        return part.title()
    return part.upper() if len(part) == 2 and part.isalpha() else part.lower()


def language_name(code: str) -> str:
    """Its name in the language of the page; the code itself where there is none."""
    if code.lower() == "zh":  # Django knows it only as written in one script or the other
        return _("Chinese")
    try:
        return str(get_language_info(code.lower())["name_translated"])
    except KeyError:
        return code
