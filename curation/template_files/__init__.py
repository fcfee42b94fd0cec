"""Files of templates: promptsource's YAML, FLAN's patterns, and a JSON list of our own.

Pure: the bytes of a file in, the fields of templates out. Whether a template compiles, and whether a dataset has its
columns, is asked by `curation.services.templates`, which keeps all templates of a file or none.

    written.py        a template as its file has it, and what is wrong with a file
    promptsource.py   templates.yaml, unchanged
    flan.py           {"input": "{premise} …", "target": "{answer}"} as Jinja that gives the same text
    ours.py           a list of objects with the fields of a template
"""

from pathlib import PurePath

from curation.template_files import flan, ours, promptsource
from curation.template_files.written import FIELDS, MESSAGES, BadFile, Written

__all__ = ["FIELDS", "MESSAGES", "MOST_BYTES", "BadFile", "Written", "read"]

MOST_BYTES = 2 * 2**20  # the largest of promptsource's 279 has 17 thousand


def read(file_name: str, content: bytes) -> list[Written]:
    """The templates of a file, whose name says what it is. Raises BadFile: what is wrong with it as a whole."""
    if len(content) > MOST_BYTES:
        raise BadFile("too_large", megabytes=MOST_BYTES // 2**20)
    suffix = PurePath(file_name).suffix.lower()
    if suffix in (".yaml", ".yml"):
        found = promptsource.templates(content)
    elif suffix == ".json":
        rows = ours.rows(content)
        found = flan.templates(rows, PurePath(file_name).stem) if flan.are_patterns(rows) else ours.templates(rows)
    else:
        raise BadFile("unknown_file")
    if not found:
        raise BadFile("no_templates")
    names = [template.name for template in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadFile("name_twice", name=twice)
    return found
