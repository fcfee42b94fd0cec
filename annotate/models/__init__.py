"""The models of people judging, in the order in which they depend on each other.

people      who may do what: annotators, memberships, API tokens
projects    where: projects, guidelines, enrolments
questions   what is asked: questions and rules, in versions
tasks       what is judged: tasks, their outputs, and which way they go: batches and routes
ledger      who judged what and when: slots, annotations, drafts
answers     and how: answers, ranks, comparisons, marked words
exchange    what people say about it: reviews, questions to the researchers, flags
agreement   how far the judgements agree: snapshots of measures
consensus   what they come to: consensus, and what a reviewer decides where they disagree
"""

from annotate.models.agreement import Agreement, AgreementDetail
from annotate.models.answers import Answer, PairAnswer, RankItem, Span
from annotate.models.consensus import Adjudication, Consensus
from annotate.models.exchange import Flag, HelpRequest, Review
from annotate.models.ledger import Annotation, Draft, Slot
from annotate.models.people import Annotator, ApiToken, Harm, Membership
from annotate.models.projects import Enrolment, Guideline, Project
from annotate.models.questions import Question, Rule
from annotate.models.tasks import Batch, Completion, CompletionSource, Route, Task

__all__ = [
    "Adjudication",
    "Agreement",
    "AgreementDetail",
    "Annotation",
    "Annotator",
    "Answer",
    "ApiToken",
    "Batch",
    "Completion",
    "CompletionSource",
    "Consensus",
    "Draft",
    "Enrolment",
    "Flag",
    "Guideline",
    "Harm",
    "HelpRequest",
    "Membership",
    "PairAnswer",
    "Project",
    "Question",
    "RankItem",
    "Review",
    "Route",
    "Rule",
    "Slot",
    "Span",
    "Task",
]
