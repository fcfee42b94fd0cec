"""The models of people judging, in the order in which they depend on each other.

people      who may do what: annotators, memberships, API tokens
projects    where: projects, guidelines, enrolments
questions   what is asked: questions and rules, in versions
tasks       what is judged: tasks, their outputs, and which way they go: batches and routes
split_groups  which of their prompts say nearly the same
ledger      who judged what and when: slots, annotations, drafts
answers     and how: answers, ranks, comparisons, marked words
exchange    what people say about it: reviews, questions to the researchers, flags
agreement   how far the judgements agree: snapshots of measures
consensus   what they come to: consensus, and what a reviewer decides where they disagree
gold        tasks whose answer the researchers know, and what people's answers to them are worth
vetting     the way into a project, and what is decided on it
"""

from annotate.models.agreement import Agreement, AgreementDetail
from annotate.models.answers import Answer, PairAnswer, RankItem, Span
from annotate.models.consensus import Adjudication, Consensus
from annotate.models.exchange import Flag, HelpRequest, Review
from annotate.models.gold import LEAST_RESEARCHERS, DemonstrationRating, GoldAnswer, GoldResult, ResearcherAnswer
from annotate.models.ledger import Annotation, Draft, Slot
from annotate.models.people import Annotator, ApiToken, Education, Harm, Level, Membership
from annotate.models.projects import Enrolment, Guideline, Project
from annotate.models.questions import Question, Rule
from annotate.models.split_groups import PromptKey, SplitGroupTouch
from annotate.models.tasks import Batch, Completion, CompletionSource, Route, Task
from annotate.models.vetting import (
    Acknowledgement,
    Appeal,
    Attempt,
    Decision,
    Feedback,
    Invitation,
    LanguageTest,
    VettingStep,
)

__all__ = [
    "LEAST_RESEARCHERS",
    "Acknowledgement",
    "Adjudication",
    "Agreement",
    "AgreementDetail",
    "Annotation",
    "Annotator",
    "Answer",
    "ApiToken",
    "Appeal",
    "Attempt",
    "Batch",
    "Completion",
    "CompletionSource",
    "Consensus",
    "Decision",
    "DemonstrationRating",
    "Draft",
    "Education",
    "Enrolment",
    "Feedback",
    "Flag",
    "GoldAnswer",
    "GoldResult",
    "Guideline",
    "Harm",
    "HelpRequest",
    "Invitation",
    "LanguageTest",
    "Level",
    "Membership",
    "PairAnswer",
    "Project",
    "PromptKey",
    "Question",
    "RankItem",
    "ResearcherAnswer",
    "Review",
    "Route",
    "Rule",
    "Slot",
    "Span",
    "SplitGroupTouch",
    "Task",
    "VettingStep",
]
