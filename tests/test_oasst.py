"""Trees of ranked replies: which rows they become, what is counted instead, and what is refused by line and field."""

import gzip
import io
import json
import zlib

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from annotate import oasst
from annotate.judgement_rows import Row, RowError, read_rows
from annotate.models import Annotation, Annotator, Project, RankItem, Task
from annotate.oasst import Counts

# --- Trees made by hand -----------------------------------------------------------------------------------------------


def said(name, *replies, role="assistant", **fields):
    """A message; its replies are by the other side."""
    return {
        "message_id": name,
        "text": f"Text of {name}",
        "role": role,
        "lang": "en",
        "replies": list(replies),
    } | fields


def asked(name, *replies, **fields):
    return said(name, *replies, role="prompter", **fields)


def tree(prompt, name="t"):
    return {"message_tree_id": name, "tree_state": "ready_for_export", "prompt": prompt}


def two(name="", **fields):
    """Two ranked replies; the better one comes second."""
    return said(f"{name}a", rank=1, **fields), said(f"{name}b", rank=0, **fields)


def file_of(*lines):
    return io.BytesIO(b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines))


def read(*lines):
    return list(oasst.trees(file_of(*lines)))


def rows_of(prompt, lang=None, counts=None):
    """The rows of one tree, each of which the import must be able to take."""
    (found,) = read(tree(prompt))
    assert not isinstance(found, RowError), found
    rows = list(oasst.rows(found, lang, counts))
    taken = list(read_rows(file_of(*rows)))
    assert [type(one) for one in taken] == [Row] * len(rows), taken
    return rows


def counted(prompt, lang=None):
    counts = Counts()
    rows = rows_of(prompt, lang, counts)
    assert counts.rows == len(rows) == sum(counts.languages.values())
    return rows, counts


def ranking(row):
    (judgement,) = row["judgements"]
    return judgement["ranking"]


def parents_come_first(row):
    nodes, there = row["tree"]["nodes"], set()
    for node in nodes:
        assert node["parent"] in there or (node is nodes[0] and node["parent"] is None)
        there.add(node["id"])
    return there


# --- Rows -------------------------------------------------------------------------------------------------------------


def test_ranked_replies_become_a_row():
    assert rows_of(asked("p", *two())) == [
        {
            "id": "p",
            "group": "t",
            "language": "en",
            "prompt": [{"role": "user", "content": "Text of p"}],
            "completions": [
                {"id": "a", "text": "Text of a", "models": []},
                {"id": "b", "text": "Text of b", "models": []},
            ],
            "judgements": [{"annotator": "oasst-consensus", "ranking": [["b"], ["a"]]}],
            "tree": {
                "at": "p",
                "nodes": [
                    {"id": "p", "parent": None, "role": "user", "content": "Text of p"},
                    {"id": "a", "parent": "p", "role": "assistant", "content": "Text of a"},
                    {"id": "b", "parent": "p", "role": "assistant", "content": "Text of b"},
                ],
            },
        }
    ]


def test_each_node_with_ranked_replies_is_a_row_with_the_turns_that_lead_to_it():
    later = asked("q", *two("q"))
    first, second = rows_of(asked("p", said("a", later, rank=0), said("b", rank=1)))
    assert (first["id"], second["id"]) == ("p", "q")
    assert first["group"] == second["group"] == "t"
    assert [(turn["role"], turn["content"]) for turn in second["prompt"]] == [
        ("user", "Text of p"),
        ("assistant", "Text of a"),
        ("user", "Text of q"),
    ]
    assert parents_come_first(second) == {"p", "a", "b", "q", "qa", "qb"}
    assert second["tree"]["at"] == "q"


def test_equal_ranks_share_a_place():
    replies = [said("a", rank=2), said("b", rank=0), said("c", rank=2), said("d", rank=1)]
    (row,) = rows_of(asked("p", *replies))
    assert ranking(row) == [["b"], ["d"], ["a", "c"]]


def test_the_order_of_the_outputs_and_nodes_does_not_tell_the_ranks():
    best_first, worst_first = [said("z", rank=0), said("a", rank=1)], [said("a", rank=1), said("z", rank=0)]
    (one,), (other,) = rows_of(asked("p", *best_first)), rows_of(asked("p", *worst_first))
    assert one == other
    assert [output["id"] for output in one["completions"]] == ["a", "z"]
    assert [node["id"] for node in one["tree"]["nodes"]] == ["p", "a", "z"]


def test_of_more_than_nine_the_best_nine_are_kept():
    replies = [said(f"r{rank:02}", rank=rank) for rank in reversed(range(12))]
    (row,), counts = counted(asked("p", *replies))
    assert ranking(row) == [[f"r{rank:02}"] for rank in range(9)]
    assert {output["id"] for output in row["completions"]} == {f"r{rank:02}" for rank in range(9)}
    assert counts.left_out == {"over_nine": 3}
    assert len(row["tree"]["nodes"]) == 13


def test_of_two_replies_with_the_same_text_the_better_one_is_kept():
    replies = [said("a", rank=3, text="Yes"), said("b", rank=1, text="No"), said("c", rank=0, text="Yes")]
    (row,), counts = counted(asked("p", *replies))
    assert ranking(row) == [["c"], ["b"]]
    assert counts.left_out == {"same_text": 1}


def test_a_reply_without_a_rank_is_not_in_the_row_but_in_its_tree():
    (row,), counts = counted(asked("p", *two(), said("c", rank=None), said("d")))
    assert {output["id"] for output in row["completions"]} == {"a", "b"}
    assert parents_come_first(row) == {"p", "a", "b", "c", "d"}
    assert counts.left_out == {"unranked": 2}


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        (asked("p", said("a", rank=0)), "single"),
        (asked("p", said("a"), said("b")), "few_ranked"),
        (asked("p", said("a", rank=0), said("b", rank=None)), "few_ranked"),
        (asked("p", said("a", rank=0, text="Yes"), said("b", rank=1, text="Yes")), "same_text"),
    ],
)
def test_replies_that_leave_nothing_to_rank_give_no_row(prompt, reason):
    rows, counts = counted(prompt)
    assert (rows, counts.no_row, counts.left_out) == ([], {reason: 1}, {})


def test_ranked_replies_of_the_prompter_give_no_row():
    """An output of ours answers the user. What hangs further down does so again."""
    users = asked("q", *two("q"), rank=0), asked("r", rank=1)
    rows, counts = counted(asked("p", said("a", *users)))
    assert [row["id"] for row in rows] == ["q"]
    assert counts.no_row == {"single": 1, "user_turn": 1}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"deleted": True}, "deleted"),
        ({"deleted": True, "text": None}, "deleted"),
        ({"review_result": False}, "rejected"),
        ({"synthetic": True, "model_name": "m"}, "synthetic"),
        ({"deleted": True, "synthetic": True}, "deleted"),
    ],
)
def test_messages_that_are_left_out_take_along_what_hangs_from_them(fields, reason):
    gone = said("c", asked("q", *two("q")), rank=2, **fields)
    (row,), counts = counted(asked("p", *two(), gone))
    assert ranking(row) == [["b"], ["a"]]
    assert parents_come_first(row) == {"p", "a", "b"}
    assert (counts.messages, counts.left_out) == (7, {reason: 1, "below": 3})

    rows, counts = counted(asked("p", *two(), **fields))
    assert (rows, counts.messages, counts.left_out) == ([], 3, {reason: 1, "below": 2})


def test_a_message_that_is_not_reviewed_yet_is_kept():
    assert rows_of(asked("p", *two(review_result=None, deleted=None, synthetic=None)))


def test_every_set_of_replies_is_a_row_or_counted():
    deep = asked("s", *two("s"), lang="zh")
    prompt = asked("p", said("a", asked("q", said("qa", deep)), asked("r", *two("r")), rank=0), said("b", rank=1))
    rows, counts = counted(prompt, lang="en")
    assert [row["id"] for row in rows] == ["p", "r"]
    # a has two replies without ranks, q and qa have one reply each, those to s are in Chinese
    assert counts.no_row == {"few_ranked": 1, "single": 2, "language": 1}
    assert counts.as_dict() == {
        "trees": 1,
        "messages": 11,
        "rows": 2,
        "languages": {"en": 2},
        "left_out": {},
        "no_row": {"few_ranked": 1, "language": 1, "single": 2},
    }


@pytest.mark.parametrize(
    ("lang", "written"),
    [("en", "en"), ("zh", "zh"), ("pt-BR", "pt-BR"), ("uk_UA", "uk-UA"), ("ZH-hans-cn", "zh-Hans-CN"), (None, None)],
)
def test_the_language_is_bcp_47(lang, written):
    (row,), counts = counted(asked("p", *two(), lang=lang))
    assert row.get("language") == written
    assert counts.languages == {written or "": 1}


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [(None, 1), ("pt-BR", 1), ("pt", 1), ("pt_br", 1), ("p", 0), ("pt-PT", 0), ("en", 0), (("en", "pt"), 1), ((), 0)],
)
def test_rows_of_some_languages(wanted, kept):
    assert len(rows_of(asked("p", *two(), lang="pt-BR"), wanted)) == kept


def test_a_long_text_is_cut_in_the_tree_only():
    (row,) = rows_of(asked("p", *two(), text="é" * 301))
    assert row["prompt"][0]["content"] == "é" * 301
    assert row["tree"]["nodes"][0]["content"] == "é" * 299 + "…"
    (row,) = rows_of(asked("p", *two(), text="é" * 300))
    assert row["tree"]["nodes"][0]["content"] == "é" * 300


def test_of_a_big_tree_the_path_and_its_siblings_are_shown_first():
    far = [said(f"1far{at:03}", *(asked(f"1far{at:03}-{number}") for number in range(3))) for at in range(90)]
    near = asked("z", *two("z"), said("zz"))
    prompt = asked("p", *far, said("y", *(asked(f"y{at}") for at in range(9)), near))
    (row,) = rows_of(prompt)
    assert row["id"] == "z"
    shown = parents_come_first(row)
    assert len(shown) == len(row["tree"]["nodes"]) == 200
    siblings = {f"1far{at:03}" for at in range(90)} | {f"y{at}" for at in range(9)} | {"zz"}
    assert shown > {"p", "y", "z", "za", "zb"} | siblings
    depth = {None: 0}
    for node in row["tree"]["nodes"]:
        depth[node["id"]] = depth[node["parent"]] + 1
    assert list(depth.values()) == sorted(depth.values()), "a tree of any size comes level by level"


def test_what_is_judged_is_shown_even_among_hundreds_of_siblings():
    """The best two come last by id, after more unranked replies than a tree shows."""
    (row,) = rows_of(asked("p", *two("z"), *(said(f"b{at:03}") for at in range(300))))
    shown = parents_come_first(row)
    assert len(shown) == 200 and shown > {"p", "za", "zb"}


# --- Files ------------------------------------------------------------------------------------------------------------


def test_packed_or_not_whatever_the_name(tmp_path):
    lines = file_of(tree(asked("p", *two()), "t1"), b"", tree(asked("q", *two()), "t2")).getvalue()
    for name, content in (("plain.gz", b"\xef\xbb\xbf" + lines), ("packed.jsonl", gzip.compress(lines))):
        (tmp_path / name).write_bytes(content)
        with (tmp_path / name).open("rb") as file:
            assert [found["message_tree_id"] for found in oasst.trees(file)] == ["t1", "t2"], name
        assert len(list(oasst.trees(io.BytesIO(content)))) == 2, name
    assert read() == []


def test_a_damaged_archive_gives_what_could_be_read_and_an_error():
    lines = b"\n".join(json.dumps(tree(asked("p"), f"t{at}")).encode() for at in range(3))
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(lines) + packer.flush(zlib.Z_SYNC_FLUSH)  # whole lines are there, the end is not
    *found, last = oasst.trees(io.BytesIO(packed))
    assert [one["message_tree_id"] for one in found] == ["t0", "t1"]
    assert (last.line, last.message) == (
        3,
        "The gzip file ends in the middle: it was cut off. Download or pack it again.",
    )
    whole = gzip.compress(lines)
    *_found, last = oasst.trees(io.BytesIO(whole[:-8] + b"\x00" * 8))
    assert "The gzip file is damaged (CRC check failed" in last.message


@pytest.mark.parametrize(
    ("line", "field", "message"),
    [
        (b"{", "", "It is not JSON"),
        (b'{"prompt": "\xff"}', "", "It is not JSON"),
        (b"[" * 5000, "", "It is not JSON"),
        (b"[]", "", "It is no tree"),
        ({"message_id": "m", "text": "A message alone"}, "prompt", "Take the file of trees, not of messages"),
        ({"prompt": asked("p")}, "message_tree_id", "A text that is not empty"),
        (tree(asked("p"), "x" * 201), "message_tree_id", "200 characters at most"),
        (tree(None), "prompt", "An object is needed"),
        (tree(asked("p", None)), "prompt.replies[0]", "An object is needed"),
        (tree(asked("p", replies={})), "prompt.replies", "A list is needed"),
        (tree(asked("p", message_id=7)), "prompt.message_id", "A text that is not empty"),
        (tree(asked("p", *two(), said("a"))), "prompt.replies[2].message_id", "Another message of this tree has it"),
        (tree(asked("p", said("a", text=" "))), "prompt.replies[0].text", "A text that is not empty"),
        (tree(asked("p", said("a", text=None))), "prompt.replies[0].text", "A text that is not empty"),
        (tree(asked("p", said("a", text="\0"))), "prompt.replies[0].text", "NUL"),
        (tree(said("p", role="system")), "prompt.role", "It must be one of: prompter, assistant."),
        (tree(said("p", role=["prompter"])), "prompt.role", "It must be one of"),
        (tree(said("p")), "prompt.role", "it must be “prompter” here"),
        (tree(asked("p", asked("q"))), "prompt.replies[0].role", "it must be “assistant” here"),
        (tree(asked("p", said("a", rank="0"))), "prompt.replies[0].rank", "It must be a whole number"),
        (tree(asked("p", said("a", rank=True))), "prompt.replies[0].rank", "It must be a whole number"),
        (tree(asked("p", deleted="false")), "prompt.deleted", "It must be true, false or null"),
        (tree(asked("p", review_result=0)), "prompt.review_result", "It must be true, false or null"),
        (tree(asked("p", synthetic=1)), "prompt.synthetic", "It must be true, false or null"),
        (tree(asked("p", lang="English!")), "prompt.lang", "such as en, zh or pt-BR"),
    ],
)
def test_a_bad_tree_is_named_and_reading_goes_on(line, field, message):
    good = tree(asked("p", *two()), "good")
    error, found = read(line, good)
    assert (error.line, error.field) == (1, field)
    assert message in error.message
    assert found == good


def test_a_tree_that_comes_twice_is_named():
    _first, error, _third = read(tree(asked("p")), tree(asked("q")), tree(asked("r"), "u"))
    assert (error.line, error.field) == (2, "message_tree_id")
    assert "stands on line 1 already" in error.message


def test_a_conversation_is_at_most_100_messages_deep():
    def chain(length):
        message = None
        for at in range(length, 0, -1):
            message = (asked if at % 2 else said)(f"m{at}", *([message] if message else []))
        return message

    (found,) = read(tree(chain(100)))
    assert not isinstance(found, RowError)
    (error,) = read(tree(chain(101)))
    assert "100 deep" in error.message and error.field.count("replies") == 100


def test_a_line_over_the_limit_is_not_read_whole(monkeypatch):
    monkeypatch.setattr(oasst, "MAX_TREE_BYTES", 1000)
    good = tree(asked("p", *two()), "good")
    error, found = read(tree(asked("q", text="x" * 5000)), good)
    assert (error.line, error.field, found) == (1, "", good)
    assert "Each line must be one tree" in error.message


ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "p", "prompter", "en"]))
ANYTHING = st.one_of(ANYTHING, st.lists(ANYTHING, max_size=2), st.dictionaries(st.just("message_id"), ANYTHING))
FIELDS = ("message_id", "text", "role", "lang", "rank", "deleted", "review_result", "synthetic", "replies")


@given(at=st.integers(0, 5), field=st.sampled_from(FIELDS), value=ANYTHING)
def test_whatever_stands_in_a_field_it_is_refused_or_can_be_imported(at, field, value):
    prompt = asked("p", said("a", asked("q", *two("q")), rank=0), said("b", rank=1))
    messages = [prompt, *prompt["replies"], prompt["replies"][0]["replies"][0]]
    messages += messages[-1]["replies"]
    messages[at][field] = value
    (found,) = read(tree(prompt))
    if not isinstance(found, RowError):
        rows = list(oasst.rows(found))
        assert [one for one in read_rows(file_of(*rows)) if not isinstance(one, Row)] == []


# --- The command ------------------------------------------------------------------------------------------------------


def run(path, *options):
    out = io.StringIO()
    given = ["--project", "trees", "--create", "--source", "oasst", "--format", "oasst", *options]
    call_command("import_judgements", str(path), *given, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_the_command_imports_the_rows_of_trees(tmp_path):
    english = asked("p", said("a", rank=1), said("b", rank=0), said("c", rank=1), said("d"))
    chinese = asked("q", *two("q"), lang="zh")
    path = tmp_path / "trees.jsonl.gz"
    path.write_bytes(gzip.compress(file_of(tree(english, "t1"), tree(chinese, "t2")).getvalue()))
    assert run(path, "--lang", "en").splitlines() == [
        "Trees: 2, messages 8, rows 1. Languages: en 1.",
        "Messages left out: unranked 1. Replies that make no row: language 1.",
        "Tasks: 1 new, 0 known. Judgements: 1 new, 0 known.",
    ]
    task = Task.objects.get(project__slug="trees")
    assert (task.name, task.language, task.conversation) == ("p", "en", [{"role": "user", "content": "Text of p"}])
    tiers = RankItem.objects.filter(answer__annotation__slot__task=task).values_list("completion__name", "tier")
    assert dict(tiers) == {"a": 2, "b": 1, "c": 2}
    assert Annotator.objects.get(source="oasst").kind == Annotator.Kind.AGGREGATE

    assert "Tasks: 1 new, 1 known. Judgements: 1 new, 1 known." in run(path)
    assert Annotation.objects.count() == 2


@pytest.mark.django_db
def test_the_command_imports_nothing_when_a_tree_is_bad(tmp_path):
    path = tmp_path / "trees.jsonl"
    path.write_bytes(file_of(tree(asked("p", *two())), b"{", tree(said("q"), "u")).getvalue())
    with pytest.raises(CommandError) as refused:
        run(path)
    *lines, last = str(refused.value).splitlines()
    assert lines[0].startswith("Line 2: It is not JSON")
    assert lines[1].startswith("Line 3, prompt.role: ")
    assert last == "Nothing was imported: 2 problem(s)."
    assert not Project.objects.filter(slug="trees").exists()


@pytest.mark.django_db
def test_a_language_is_chosen_of_trees_only(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("")
    with pytest.raises(CommandError, match="--format oasst"):
        run(path, "--format", "judgements", "--lang", "en")
