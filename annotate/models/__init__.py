"""The models of people judging, in the order in which they depend on each other.

people      who may do what: annotators, memberships, API tokens
projects    what is asked: projects, guidelines, questions, enrolments
tasks       what is judged: tasks and the outputs of models on them
ledger      who judged what, when, and how: slots, annotations, answers
agreement   how far the judgements agree: snapshots of measures
"""

from annotate.models.agreement import Agreement
from annotate.models.ledger import Annotation, Answer, RankItem, Slot
from annotate.models.people import Annotator, ApiToken, Membership
from annotate.models.projects import Enrolment, Guideline, Project, Question
from annotate.models.tasks import Completion, CompletionSource, Task

__all__ = [
    "Agreement",
    "Annotation",
    "Annotator",
    "Answer",
    "ApiToken",
    "Completion",
    "CompletionSource",
    "Enrolment",
    "Guideline",
    "Membership",
    "Project",
    "Question",
    "RankItem",
    "Slot",
    "Task",
]
