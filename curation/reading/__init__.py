"""Reading a dataset's file: rows as they stand in it, and what is wrong with those that cannot be taken.

Pure: a path and a `Reading` in, rows and problems out, no database. A file is read twice, so that memory does not grow
with it: `survey` finds the columns, their kinds and every problem; `batches` then gives the rows that can be taken as
Arrow tables.

A column has one kind: text, integer, number, boolean, list or object. JSON and Parquet say it themselves. In CSV and
TSV all is text, save a column of which every value is a plain whole number: it becomes integers, since that loses
nothing. Lists and objects are kept as JSON text, so that they come back as they were, absent keys included.

What a person need not say, `find` finds in the beginning of a file: how CSV is written, which shape the rows have
(`shapes`, one small module each). Several files stand in one tar (`bundle`), so that a dataset always has one file.
"""

from curation.reading.files import PLAIN, Reading, Unreadable
from curation.reading.finding import Found, find, preview
from curation.reading.rows import Problem, Row
from curation.reading.table import LIST, OBJECT, Survey, batches, survey

__all__ = [
    "LIST", "OBJECT", "PLAIN", "Found", "Problem", "Reading", "Row", "Survey", "Unreadable", "batches", "find",
    "preview", "survey",
]  # fmt: skip
