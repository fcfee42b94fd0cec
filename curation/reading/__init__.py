"""Reading a dataset's file: rows as they stand in it, and what is wrong with those that cannot be taken.

Pure: a path and a `Reading` in, rows and problems out, no database. A file is read twice, so that memory does not grow
with it: `survey` finds the columns, their kinds and every problem; `batches` then gives the rows that can be taken as
Arrow tables.

A column has one kind: text, integer, number, boolean, list or object. JSON and Parquet say it themselves. In CSV and
TSV all is text, save a column of which every value is a plain whole number: it becomes integers, since that loses
nothing. Lists and objects are kept as JSON text, so that they come back as they were, absent keys included.
"""

from curation.reading.files import Reading, Unreadable
from curation.reading.rows import Problem
from curation.reading.table import LIST, OBJECT, Survey, batches, survey

__all__ = ["LIST", "OBJECT", "Problem", "Reading", "Survey", "Unreadable", "batches", "survey"]
