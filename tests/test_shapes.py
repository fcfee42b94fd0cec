"""Shapes: each is recognised by its own rows alone, makes of them what it says, and names what it cannot use."""

import json
from typing import Any

import pytest

from curation.reading import PLAIN, Problem, Reading, Unreadable, find, preview, survey
from curation.reading.shapes import known, recognised, threads

TURNS = [{"from": "human", "value": "Hello?"}, {"from": "gpt", "value": "Hello."}]
MESSAGES = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hello."}]
ASKED = MESSAGES[:1]
QUESTION = "Would a stone that fell into a lake come up again by itself?"
THOUGHTS = "A stone is denser than water.\\nWhat is denser sinks."
NI = {
    "Contributors": ["somebody"],
    "Definition": ["Name the colour."],
    "Positive Examples": [{"input": "grass", "output": "green", "explanation": "Leaves are."}],
    "Negative Examples": [],
}

# name: (what a file of it holds, what the first of its rows become)
SHAPES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "alpaca": (
        [{"instruction": "Add.", "input": "1, 2", "output": "3"}, {"instruction": "Greet.", "output": "Hi"}],
        [
            {"instruction": "Add.", "input": "1, 2", "output": "3"},
            {"instruction": "Greet.", "input": "", "output": "Hi"},
        ],
    ),
    "dolly": (
        [{"instruction": "Who?", "context": None, "response": "She.", "category": "open_qa"}],
        [{"instruction": "Who?", "context": "", "response": "She.", "category": "open_qa"}],
    ),
    "self_instruct": (
        [
            {
                "id": "seed_0",
                "instruction": "Add.",
                "instances": [{"input": "1 1", "output": "2"}, {"input": "", "output": "0"}],
                "is_classification": False,
            }
        ],
        [
            {"id": "seed_0", "instruction": "Add.", "is_classification": False, "input": "1 1", "output": "2"},
            {"id": "seed_0", "instruction": "Add.", "is_classification": False, "input": "", "output": "0"},
        ],
    ),
    "natural_instructions": (
        [NI | {"id": "t-1", "input": "snow", "output": ["white", "pale"]}],
        [
            {
                "definition": "Name the colour.",
                "input": "snow",
                "output": "white",
                "outputs": ["white", "pale"],
                "positive_examples": NI["Positive Examples"],
                "negative_examples": [],
                "contributors": ["somebody"],
                "id": "t-1",
            }
        ],
    ),
    "promptsource_rendered": (
        [{"inputs": "Is it good?", "targets": "yes", "answer_choices": ["yes", "no"]}],
        [{"inputs": "Is it good?", "targets": "yes", "answer_choices": ["yes", "no"]}],
    ),
    "flan_cot": (
        [{"question": QUESTION, "answer": "no", "chain_of_thought": THOUGHTS}],
        [{"question": QUESTION, "answer": "no", "chain_of_thought": THOUGHTS.replace("\\n", "\n")}],
    ),
    "sharegpt": (
        [{"id": "a", "conversations": TURNS, "system": "Be kind."}],
        [{"messages": [{"role": "system", "content": "Be kind."}, *MESSAGES], "id": "a"}],
    ),
    "openai_messages": (
        [{"messages": MESSAGES, "source": "x"}],
        [{"messages": MESSAGES, "source": "x"}],
    ),
    "oasst_threads": (
        [
            {
                "thread_id": "u",
                "thread": [
                    {"message_id": "t", "text": "Hello?", "role": "prompter", "lang": "en"},
                    {"message_id": "u", "text": "Hello.", "role": "assistant", "lang": "en", "rank": 0},
                ],
            }
        ],
        [
            {
                "thread_id": "u", "language": "en",
                "messages": [ASKED[0], {"role": "assistant", "content": "Hello."}],
                "ranks": [None, 0], "message_ids": ["t", "u"],
            }
        ],
    ),
    "oasst_trees": (
        [
            {
                "message_tree_id": "t",
                "tree_state": "ready",
                "prompt": {
                    "message_id": "t",
                    "text": "Hello?",
                    "role": "prompter",
                    "lang": "en",
                    "replies": [
                        {"message_id": "u", "text": "Hello.", "role": "assistant", "rank": 0, "replies": []},
                        {"message_id": "v", "text": "What?", "role": "assistant", "rank": 1, "replies": []},
                    ],
                },
            }
        ],
        [
            {
                "message_tree_id": "t", "tree_state": "ready", "language": "en",
                "messages": [ASKED[0], {"role": "assistant", "content": said}],
                "ranks": [None, rank], "message_ids": ["t", key],
            }
            for said, rank, key in (("Hello.", 0, "u"), ("What?", 1, "v"))
        ],
    ),
    "hh": (
        [{"chosen": "\n\nHuman: Hello?\n\nAssistant: Hello.", "rejected": "\n\nHuman: Hello?\n\nAssistant: Go."}],
        [{"prompt": ASKED, "chosen": "Hello.", "rejected": "Go."}],
    ),
    "preference": (
        [{"conversations": TURNS[:1], "chosen": TURNS[1], "rejected": {"from": "gpt", "value": "Go."}, "score": 1.5}],
        [{"prompt": ASKED, "chosen": "Hello.", "rejected": "Go.", "score": 1.5}],
    ),
    "kto": (
        [{"messages": MESSAGES, "label": True}],
        [{"prompt": ASKED, "completion": "Hello.", "label": True}],
    ),
    "mt_bench": (
        [{"question_id": 81, "category": "writing", "turns": ["Write.", "Again."]}],
        [
            {
                "question_id": 81, "category": "writing", "question": "Write.", "follow_up": "Again.",
                "turns": ["Write.", "Again."],
            }
        ],
    ),
    "threads": (
        [
            {"conversation_id": "c", "id": "1", "reply_to": None, "speaker": "ann", "text": "Who has it?"},
            {"conversation_id": "c", "id": "2", "reply_to": "1", "speaker": "bo", "text": "I do."},
        ],
        [
            {
                "conversation": "c", "message_id": "2",
                "messages": [
                    {"role": "user", "content": "Who has it?", "name": "ann"},
                    {"role": "assistant", "content": "I do.", "name": "bo"},
                ],
            }
        ],
    ),
}  # fmt: skip


@pytest.fixture
def read(tmp_path):
    """Rows in, as JSONL; what a shape makes of them out."""

    def made(rows: list[dict[str, Any]], shape: str, **options: str) -> list[Any]:
        path = tmp_path / "file"
        path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        found = preview(path, Reading("jsonl", shape=shape, options=options), 1000)
        return [one if isinstance(one, Problem) else one.values for one in found]

    return made


def test_every_shape_has_an_example_here():
    assert set(SHAPES) == set(known())


@pytest.mark.parametrize("name", SHAPES)
def test_rows_are_claimed_by_their_own_shape_alone(name):
    assert [shape.name for shape in recognised(SHAPES[name][0], "file.jsonl")] == [name]


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_makes_of_rows_what_it_says(read, name):
    rows, expected = SHAPES[name]
    assert read(rows, name) == expected


@pytest.mark.parametrize("name", SHAPES)
def test_what_a_shape_cannot_use_is_named_by_its_row_and_stops_nothing(read, name):
    rows, expected = SHAPES[name]
    problem, *others = read([{"nothing": 1}, *rows], name)
    assert isinstance(problem, Problem) and problem.row == 1 and problem.message.endswith((".", "?")), problem
    assert others == expected


@pytest.mark.parametrize(
    "rows",
    [
        [{"text": "a", "label": 1}],
        [{"question": "What?", "answer": "That."}],
        [{"prompt": "a", "completion": "b"}],
        [{"premise": "a", "hypothesis": "b", "label": "neutral"}],
        [{"id": 1, "parent": 0, "text": "no such row"}],
        [{"messages": "a text"}, {"messages": "another"}],
        [{"column_1": "World", "column_2": "A title of some words", "column_3": "A text of rather more words."}],
    ],
)
def test_a_plain_table_is_nobodys(rows):
    assert recognised(rows, "file.jsonl") == []


def test_one_row_that_is_otherwise_is_enough_to_take_none(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [*SHAPES["alpaca"][0], {"instruction": "Count.", "output": ["1", "2"]}]
    path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    assert find(path, "rows.jsonl", Reading("jsonl", shape="")).reading.shape == PLAIN


# --- Where spellings differ -------------------------------------------------------------------------------------------


def test_rows_that_t0_rendered_lose_the_marks_at_their_ends_and_nothing_else(read):
    rows = [{"prompt": "Is it?\n\n", "completion": "yes <|endoftext|>"}, {"prompt": "x", "completion": "<|endoftext|>"}]
    assert [shape.name for shape in recognised(rows, "a.jsonl")] == ["promptsource_rendered"]
    assert read(rows, "promptsource_rendered") == [
        {"inputs": "Is it?\n", "targets": "yes "},
        {"inputs": "x", "targets": ""},
    ]


def test_an_old_task_has_its_definition_as_a_text(read):
    row = NI | {"Definition": "Name the colour.", "input": "snow", "output": ["white"]}
    assert [shape.name for shape in recognised([row], "a.json")] == ["natural_instructions"]
    assert read([row], "natural_instructions")[0]["definition"] == "Name the colour."


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hello?", "chosen": "Hello.", "rejected": "Go."},
        {"prompt": ASKED, "chosen": MESSAGES[1:], "rejected": [{"role": "assistant", "content": "Go."}]},
        {"prompt": "Hello?", "chosen": MESSAGES, "rejected": [*ASKED, {"role": "assistant", "content": "Go."}]},
        {"chosen": MESSAGES, "rejected": [*ASKED, {"role": "assistant", "content": "Go."}]},
        {"instruction": "Hello?", "input": "", "chosen": "Hello.", "rejected": "Go."},
    ],
)
def test_preferences_in_any_spelling_become_the_same(read, row):
    assert [shape.name for shape in recognised([row], "a.jsonl")] == ["preference"]
    assert read([row], "preference") == [{"prompt": ASKED, "chosen": "Hello.", "rejected": "Go."}]


def test_a_preference_whose_answers_begin_with_other_prompts_is_refused(read):
    row = {"prompt": "Hello?", "chosen": MESSAGES, "rejected": [{"role": "user", "content": "Hey?"}, MESSAGES[1]]}
    [problem] = read([row], "preference")
    assert problem.column == "rejected" and "another one" in problem.message


def test_kto_rows_in_the_spelling_of_trl_become_the_same(read):
    row = {"prompt": "Hello?", "completion": "Hello.", "label": True}
    assert [shape.name for shape in recognised([row], "a.jsonl")] == ["kto"]
    assert read([row], "kto") == SHAPES["kto"][1]


@pytest.mark.parametrize(
    ("chosen", "rejected", "column", "says"),
    [
        ("\n\nHuman: A\n\nAssistant: B", "\n\nHuman: C\n\nAssistant: D", "rejected", "differs from the chosen one"),
        ("\n\nHuman: A\n\nAssistant:", "\n\nHuman: A\n\nAssistant: D", "chosen", "last turn is empty"),
        ("\n\nHuman: A\n\nHuman: B\n\nAssistant: C", "\n\nHuman: A\n\nAssistant: D", "chosen", "Two turns of one role"),
        ("\n\nHuman: A\n\nAssistant: B\n\nHuman: C", "\n\nHuman: A\n\nAssistant: D", "chosen", "not the assistant's"),
        ("Human: A\n\nAssistant: B", "\n\nHuman: A\n\nAssistant: D", "chosen", "begins with two line ends"),
    ],
)
def test_a_transcript_of_hh_that_is_none_is_refused_with_the_reason(read, chosen, rejected, column, says):
    [problem] = read([{"chosen": chosen, "rejected": rejected}], "hh")
    assert (problem.column, says in problem.message) == (column, True), problem


@pytest.mark.parametrize(
    ("turns", "says"),
    [
        ([], "has no turn"),
        ([{"from": "human"}], "no role or no content"),
        ([{"from": "wizard", "value": "x"}], "by “wizard”"),
        ([{"from": "gpt", "value": None}], "says nothing"),
    ],
)
def test_a_turn_that_cannot_be_read_is_named(read, turns, says):
    [problem] = read([{"conversations": turns}], "sharegpt")
    assert problem.column == "conversations" and says in problem.message


def test_what_a_turn_says_beside_role_and_content_is_kept(read):
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    assert read([{"messages": [*ASKED, call]}], "openai_messages") == [{"messages": [*ASKED, call]}]


# --- Threads ----------------------------------------------------------------------------------------------------------


def message(key: str, parent: str | None, speaker: str, conversation: str = "c", **more: Any) -> dict[str, Any]:
    row = {"conversation_id": conversation, "id": key, "reply_to": parent, "speaker": speaker, "text": f"Text {key}"}
    return row | more


def said(rows: list[Any]) -> list[list[str]]:
    """Of each dialogue who says what, shortly."""
    return [[f"{one['role'][0]} {one['content'][5:]}" for one in row["messages"]] for row in rows]


TREE = [
    message("1", None, "ann"),
    message("2", "1", "bo"),
    message("3", "1", "cy"),
    message("4", "2", "ann"),
    message("5", "4", "bo", likes=3),
]


def test_a_tree_becomes_a_dialogue_for_each_answer_and_who_answers_is_the_assistant(read):
    rows = read(TREE, "threads")
    assert said(rows) == [["u 1", "a 2"], ["u 1", "a 3"], ["a 1", "u 2", "a 4"], ["u 1", "a 2", "u 4", "a 5"]]
    assert [row["message_id"] for row in rows] == ["2", "3", "4", "5"]
    assert (rows[3]["likes"], rows[3]["messages"][2]["name"]) == (3, "ann")


def test_with_a_chosen_role_only_paths_that_end_in_it_are_dialogues(read):
    assert said(read(TREE, "threads", role="bo")) == [["u 1", "a 2"], ["u 1", "a 2", "u 4", "a 5"]]


def test_speakers_that_are_roles_are_taken_as_such(read):
    rows = [message("1", None, "prompter"), message("2", "1", "assistant"), message("3", "2", "prompter")]
    assert [shape.name for shape in recognised(rows, "a.jsonl")] == ["threads"]
    assert read(rows, "threads")[0]["messages"] == [
        {"role": "user", "content": "Text 1"},
        {"role": "assistant", "content": "Text 2"},
    ]
    assert len(read(rows, "threads")) == 1


def test_columns_may_be_called_otherwise_when_they_are_named(read):
    rows = [{"nr": 1, "on": None, "who": "a", "says": "x"}, {"nr": 2, "on": 1, "who": "b", "says": "y"}]
    made = read(rows, "threads", id="nr", reply_to="on", speaker="who", text="says")
    assert [one["content"] for one in made[0]["messages"]] == ["x", "y"]


def test_messages_that_hang_nowhere_stand_apart_or_come_twice_are_refused(read):
    rows = [
        *TREE[:2],
        message("2", "1", "dan"),
        message("6", "9", "dan"),
        message("7", "6", "ann"),
        message("8", "8", "ann"),
        message("1", None, "ann", "d"),
        message("9", "1", "ann"),
    ]
    problems = [one for one in read(rows, "threads") if isinstance(one, Problem)]
    assert [(one.row, one.column) for one in problems] == [
        (3, "id"), (4, "reply_to"), (5, "reply_to"), (6, "reply_to"), (8, "reply_to"),
    ]  # fmt: skip
    assert "is the id of row 2 too" in problems[0].message
    assert "“9”, which is not in its conversation. Rows of a conversation must stand together" in problems[1].message
    assert "a message is missing, or is in a circle" in problems[3].message
    assert "not in its conversation" in problems[4].message


def test_a_row_that_cannot_be_read_does_not_tear_its_conversation_apart(tmp_path):
    path = tmp_path / "file"
    lines = [json.dumps(row).encode() for row in TREE]
    path.write_bytes(b"\n".join([*lines[:3], b"{broken", *lines[3:]]))
    made = preview(path, Reading("jsonl", shape="threads"), 99)
    assert [one.row for one in made if isinstance(one, Problem)] == [4]
    assert len(made) == 5


def test_a_conversation_is_held_up_to_a_limit_that_is_told(read, monkeypatch):
    monkeypatch.setattr(threads, "MOST_IN_THREAD", 3)
    monkeypatch.setattr(threads, "MOST_IN_FILE", 4)
    short = [message(f"{name}{at}", None, "a", name) for name in "xyz" for at in range(3)]
    assert read(short, "threads") == []
    with pytest.raises(Unreadable, match="Conversation “x” has over 3 messages"):
        read([*short[:3], message("x4", "x1", "a", "x")], "threads")
    nameless = [{name: value for name, value in row.items() if name != "conversation_id"} for row in short]
    assert read(nameless[:4], "threads") == []
    with pytest.raises(Unreadable, match="over 4 of them"):
        read(nameless, "threads")


# --- Numbers ----------------------------------------------------------------------------------------------------------


def test_rows_are_numbered_anew_and_problems_by_the_rows_of_the_file(tmp_path):
    path = tmp_path / "file"
    seeds = [{"instruction": "x", "instances": [{"input": "", "output": str(n)}] * n} for n in (2, 0, 1)]
    path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in seeds))
    found = survey(path, Reading("jsonl", shape="self_instruct"))
    assert (found.rows, found.taken, [one.row for one in found.problems]) == (4, 3, [2])
    made = preview(path, Reading("jsonl", shape="self_instruct"), 9)
    assert [(one.number, one.source) for one in made if not isinstance(one, Problem)] == [(1, 1), (2, 1), (3, 3)]


def test_a_kind_that_differs_is_told_by_the_row_of_the_file(tmp_path):
    path = tmp_path / "file"
    one = {"input": "", "output": "x"}
    rows = [
        {"instruction": "x", "instances": [one, one], "n": 1},
        {"instruction": "x", "instances": [one, one], "n": "text"},
    ]
    path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    found = survey(path, Reading("jsonl", shape="self_instruct"))
    assert [(problem.row, "in row 1" in problem.message) for problem in found.problems] == [(2, True), (2, True)]
    assert not found.refuses(1) and not found.refuses(2) and found.refuses(3) and found.refuses(4)
