"""Ready-made templates: over the columns that one names they are ordinary templates, to change as one likes.

Pure. `[[text]]` in a source stands for the column that plays the part `text`. Each is there in English and Chinese.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def gettext_noop(text: str) -> str:
    """Marks a text for translation; whoever shows it translates."""
    return text


PARTS = {
    "text": gettext_noop("text"),
    "title": gettext_noop("title"),
    "label": gettext_noop("label"),
    "question": gettext_noop("question"),
    "answer": gettext_noop("answer"),
    "rationale": gettext_noop("rationale"),
    "solution": gettext_noop("solution that ends with #### and the answer"),
}
LANGUAGES = {"en": "English", "zh": "中文"}


@dataclass(frozen=True)
class Entry:
    key: str
    name: str
    kind: str
    task_type: str
    parts: tuple[str, ...]
    jinja: Mapping[str, str]  # by language
    shots: int | None = None

    def fields(self, language: str, columns: Mapping[str, str]) -> dict[str, Any]:
        """The fields of a template over these columns, by part."""
        jinja = self.jinja[language]
        for part in self.parts:
            jinja = jinja.replace(f"[[{part}]]", columns[part].replace("-", "_"))
        fields = {"name": self.key, "kind": self.kind, "task_type": self.task_type, "language": language}
        return fields | {"jinja": jinja} | ({"shots": self.shots} if self.shots else {})


def _entry(
    key: str, name: str, kind: str, task_type: str, parts: str, en: str, zh: str, shots: int | None = None
) -> Entry:
    return Entry(key, name, kind, task_type, tuple(parts.split()), {"en": en, "zh": zh}, shots)


_NEXT = (
    "{% set parts = [[text]] | paragraphs %}\n{% if parts | length > 1 %}\n"
    "{% set at = range(parts | length - 1) | choice %}\n%ASK%\n\n{{ parts[at] }}\n|||\n{{ parts[at + 1] }}\n{% endif %}"
)
_CONTINUE = (
    "{% set parts = [[text]] | sentences %}\n{% if parts | length > 1 %}\n"
    "{% set cut = range(1, parts | length) | choice %}\n%ASK%\n\n{{ parts[:cut] | join('%GAP%') }}\n|||\n"
    "{{ parts[cut:] | join('%GAP%') }}\n{% endif %}"
)
_MASKED = "{% set masked = [[text]] | mask_sentence %}\n{% if masked %}\n%ASK%\n\n{{ masked.text }}\n|||\n{{ masked.sentence }}\n{% endif %}"
_SOLUTION = (
    "{% set halves = [[solution]].split('####') %}\n{% if halves | length == 2 %}\n%ASK%\n\n{{ [[question]] }}\n|||\n"
    "{{ halves[0] | trim }}\n%SO%\n{% endif %}"
)

ENTRIES = (
    _entry(
        "text-for-a-label", gettext_noop("Write a text for a label"), "inverted", "generation", "text label",
        "Write a text that would be labelled “{{ [[label]] }}”.\n|||\n{{ [[text]] }}",
        "请写一段文字，使它的标签是“{{ [[label]] }}”。\n|||\n{{ [[text]] }}",
    ),
    _entry(
        "question-for-an-answer", gettext_noop("Ask the question to an answer"), "inverted", "generation",
        "question answer",
        "{% if [[answer]] %}Write a question to which this is the answer: {{ [[answer]] }}\n|||\n{{ [[question]] }}{% endif %}",
        "{% if [[answer]] %}请提一个问题，使它的答案是：{{ [[answer]] }}\n|||\n{{ [[question]] }}{% endif %}",
    ),
    _entry(
        "question-about-a-text", gettext_noop("Ask a question about a text"), "inverted", "generation",
        "text question answer",
        "{% if [[answer]] %}Read the text. Write a question about it to which “{{ [[answer]] }}” is the answer.\n\n"
        "{{ [[text]] }}\n|||\n{{ [[question]] }}{% endif %}",
        "{% if [[answer]] %}读下面的文字，提一个问题，使它的答案是“{{ [[answer]] }}”。\n\n{{ [[text]] }}\n|||\n"
        "{{ [[question]] }}{% endif %}",
    ),
    _entry(
        "think-then-answer", gettext_noop("Think step by step, then answer"), "cot", "reasoning",
        "question rationale answer",
        "{{ [[question]] }}\n\nThink step by step, then give the answer.\n|||\n"
        "{{ [[rationale]] }}\nTherefore, the answer is {{ [[answer]] }}.",
        "{{ [[question]] }}\n\n请一步一步地想，再给出答案。\n|||\n{{ [[rationale]] }}\n所以，答案是{{ [[answer]] }}。",
    ),
    _entry(
        "think-then-answer-marked", gettext_noop("Think step by step, then answer (one column, divided by ####)"),
        "cot", "reasoning", "question solution",
        _SOLUTION.replace("%ASK%", "Solve the problem step by step, then give the answer.").replace(
            "%SO%", "Therefore, the answer is {{ halves[1] | trim }}."
        ),
        _SOLUTION.replace("%ASK%", "请一步一步地解答下面的问题，再给出答案。").replace(
            "%SO%", "所以，答案是{{ halves[1] | trim }}。"
        ),
    ),
    _entry(
        "explain-an-answer", gettext_noop("Explain an answer"), "inverted", "reasoning", "question rationale answer",
        "{{ [[question]] }}\n\nThe answer is {{ [[answer]] }}. Explain why.\n|||\n{{ [[rationale]] }}",
        "{{ [[question]] }}\n\n答案是{{ [[answer]] }}。请说明理由。\n|||\n{{ [[rationale]] }}",
    ),
    _entry(
        "label-by-example", gettext_noop("Label a text after some examples"), "few_shot", "classification", "text label",
        "Text: {{ [[text]] }}\nLabel:\n|||\n{{ [[label]] }}",
        "文字：{{ [[text]] }}\n标签：\n|||\n{{ [[label]] }}",
        shots=3,
    ),
    _entry(
        "answer-by-example", gettext_noop("Answer a question after some examples"), "few_shot", "question-answering",
        "question answer",
        "{% if [[answer]] %}Question: {{ [[question]] }}\nAnswer:\n|||\n{{ [[answer]] }}{% endif %}",
        "{% if [[answer]] %}问题：{{ [[question]] }}\n答案：\n|||\n{{ [[answer]] }}{% endif %}",
        shots=3,
    ),
    _entry(
        "think-by-example", gettext_noop("Think step by step after some examples"), "cot", "reasoning",
        "question rationale answer",
        "Question: {{ [[question]] }}\nLet us think step by step.\n|||\n{{ [[rationale]] }}\nTherefore, the answer is {{ [[answer]] }}.",
        "问题：{{ [[question]] }}\n我们一步一步地想。\n|||\n{{ [[rationale]] }}\n所以，答案是{{ [[answer]] }}。",
        shots=3,
    ),
    _entry(
        "title-of-a-text", gettext_noop("Find a title"), "unlabelled", "summarisation", "text title",
        "Find a title for this text.\n\n{{ [[text]] }}\n|||\n{{ [[title]] }}",
        "请给下面的文字拟一个标题。\n\n{{ [[text]] }}\n|||\n{{ [[title]] }}",
    ),
    _entry(
        "masked-sentence", gettext_noop("Fill in a sentence that is left out"), "unlabelled", "generation", "text",
        _MASKED.replace("%ASK%", "A sentence is missing in this text, at ____. Write it."),
        _MASKED.replace("%ASK%", "下面的文字在 ____ 处少了一句话。请把它补上。"),
    ),
    _entry(
        "next-paragraph", gettext_noop("Write the next paragraph"), "unlabelled", "generation", "text",
        _NEXT.replace("%ASK%", "Write the paragraph that comes after this one."),
        _NEXT.replace("%ASK%", "请写出紧接着这一段的下一段。"),
    ),
    _entry(
        "continue-a-text", gettext_noop("Write on"), "unlabelled", "generation", "text",
        _CONTINUE.replace("%ASK%", "Write how this text goes on.").replace("%GAP%", " "),
        _CONTINUE.replace("%ASK%", "请接着往下写。").replace("%GAP%", ""),
    ),
)  # fmt: skip
BY_KEY = {entry.key: entry for entry in ENTRIES}
