"""`manage.py measure`: a table of one's own, without a database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

ROOT = Path(__file__).resolve().parents[1]
WIDE = """item,A,B,C,D
1,1,1,*,1
2,2,2,3,2
3,3,3,3,3
4,3,3,3,3
5,2,2,2,2
6,1,2,3,4
7,4,4,4,4
8,1,1,2,1
9,2,2,2,2
10,,5,5,5
11,*,*,1,1
12,,3,,
"""


@pytest.fixture
def measure(tmp_path):
    def run(text, *arguments, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        out = StringIO()
        call_command("measure", str(path), *arguments, stdout=out)
        return out.getvalue()

    return run


@pytest.fixture
def figures(measure):
    """The measures of a table, by name."""

    def run(text, *arguments):
        found = json.loads(measure(text, *arguments, "--json"))
        return {one["name"]: one for one in found["measures"]}

    return run


def long_of(wide):
    head, *rows = [line.split(",") for line in wide.splitlines()]
    cells = [(row[0], rater, value) for row in rows for rater, value in zip(head[1:], row[1:], strict=True)]
    return "rater,value,item\n" + "".join(f"{rater},{value},{item}\n" for item, rater, value in reversed(cells))


def test_a_published_table(figures):
    found = figures(WIDE)
    for name, expected in [
        ("krippendorff_alpha_nominal", 0.743421),
        ("krippendorff_alpha_ordinal", 0.815388),
        ("krippendorff_alpha_interval", 0.849107),
        ("krippendorff_alpha_ratio", 0.797403),
        ("pairwise_agreement_count", 0.818182),
        ("gwet_ac1", 0.775444),
        ("gwet_ac2_quadratic", 0.914001),
        ("brennan_prediger", 0.772727),
    ]:
        one = found[name]
        assert one["value"] == pytest.approx(expected, abs=1e-6)
        assert one["low"] < one["value"] < one["high"]
        assert (one["n_units"], one["n_values"], one["n_dropped"]) == (11, 40, 1)
    assert found["fleiss_kappa"]["value"] is None
    assert "different numbers of values" in found["fleiss_kappa"]["undefined_because"]
    assert found["icc_2"]["n_units"] == 8
    assert "cohen_kappa" not in found  # of two raters only


def test_the_same_in_other_forms(figures):
    expected = figures(WIDE)
    in_long = figures(long_of(WIDE))
    assert {name: one["value"] for name, one in in_long.items()} == pytest.approx(
        {name: one["value"] for name, one in expected.items()}
    )
    assert figures(WIDE.replace(",", "\t")) == expected
    assert figures(WIDE.replace(",", ";")) == expected
    assert figures("\ufeff" + WIDE.replace("item", "Subject").replace("\n", "\r\n")) == expected
    bare = "\n".join(line.partition(",")[2] for line in WIDE.splitlines()[1:])
    assert figures(bare, "--no-header") == expected
    assert figures(f"A,B,C,D\n{bare}") == expected


def test_in_words(measure):
    said = measure(WIDE, "--measure", "krippendorff_alpha_nominal", "fleiss_kappa", "kendall_w").splitlines()
    assert said[0] == (
        "12 items of 12 prompts, 4 raters, 41 values, 7 missing; ratio; categories (those that occur): 1, 2, 3, 4, 5"
    )
    assert said[1].startswith("krippendorff_alpha_nominal       0.743421 (0.")
    assert said[1].endswith("); 11 items of 11 prompts, 40 values, 1 left out")
    assert "undefined: units have different numbers of values" in said[2]
    assert "; chi2 22.240803, df 7, p 0.002309" in said[3]
    assert len(said) == 4


def test_two_raters(figures):
    found = figures(WIDE, "--raters", "B", "A")
    assert {"cohen_kappa", "cohen_kappa_linear", "scott_pi", "tau_b", "tau_c", "spearman"} <= set(found)
    assert found["cohen_kappa"]["value"] == pytest.approx(0.844828, abs=1e-6)
    assert (found["cohen_kappa"]["n_units"], found["cohen_kappa"]["n_dropped"]) == (9, 3)


def test_what_does_not_apply_says_so_where_it_was_asked_for(measure):
    said = measure(WIDE, "--level", "nominal", "--measure", "cohen_kappa", "icc_2", "gwet_ac1")
    assert "needs two raters, not 4: choose them with --raters" in said
    assert "needs level interval, the values are nominal" in said
    assert "does not apply" not in measure(WIDE, "--level", "nominal")


def test_a_family_of_measures(figures):
    assert list(figures(WIDE, "--measure", "icc")) == ["icc_1", "icc_2", "icc_3", "icc_1k", "icc_2k", "icc_3k"]
    assert list(figures(WIDE, "--measure", "gwet_ac1")) == ["gwet_ac1"]


def test_levels(figures):
    words = "a,b\nbad,good\ngood,good\nfine,bad\n"
    assert not {"krippendorff_alpha_ordinal", "tau_b", "icc_1"} & set(figures(words))
    ordered = figures(words, "--categories", "bad,fine,good")
    assert {"krippendorff_alpha_ordinal", "tau_b"} <= set(ordered)
    assert not {"krippendorff_alpha_interval", "icc_1"} & set(ordered)
    below = figures("a,b\n-1,1\n1,1\n")
    assert "krippendorff_alpha_interval" in below and "krippendorff_alpha_ratio" not in below
    assert "krippendorff_alpha_interval" not in figures(WIDE, "--level", "ordinal")


def test_ordinal_numbers_are_sorted_as_numbers(figures):
    table = "a,b\n2,2\n10,10\n2,10\n1,1\n1,2\n"
    renamed = table.replace("10", "3")
    name = "krippendorff_alpha_ordinal"
    assert figures(table)[name] == figures(renamed)[name]


def test_offered_categories_matter(figures):
    # The anxiety of twenty people: nobody of these two gave a 5, and weights run on places
    rows = "32 61 44 64 23 42 21 46 31 31 21 32 33 33 21 21 13 33 32 42"
    table = "second,third\n" + "".join(f"{second},{third}\n" for second, third in rows.split())
    assert figures(table)["cohen_kappa_linear"]["value"] == pytest.approx(0.145907, abs=5e-7)
    offered = figures(table, "--categories", "1,2,3,4,5,6")
    assert offered["cohen_kappa_linear"]["value"] == pytest.approx(0.1262, abs=5e-5)


def test_intervals_resample_prompts(figures):
    rows = [f"{at},p{at // 4},{at // 4 % 2},{at // 4 % 2 if at % 3 else 1 - at // 4 % 2}" for at in range(24)]
    by_item = figures("item,a,b\n" + "\n".join(f"{i},{a},{b}" for i, _, a, b in (row.split(",") for row in rows)))
    by_prompt = figures("item,prompt,a,b\n" + "\n".join(rows))
    one, other = by_item["gwet_ac1"], by_prompt["gwet_ac1"]
    assert one["value"] == pytest.approx(other["value"])
    assert (one["n_groups"], other["n_groups"]) == (24, 6)
    assert (one["low"], one["high"]) != (other["low"], other["high"])
    in_long = "item,rater,value,prompt\n" + "".join(
        f"{i},{who},{value},{p}\n"
        for i, p, a, b in (row.split(",") for row in rows)
        for who, value in (("a", a), ("b", b))
    )
    assert figures(in_long) == by_prompt
    again = figures("item,prompt,a,b\n" + "\n".join(rows), "--seed", "1", "--confidence", "0.5")["gwet_ac1"]
    assert again["high"] - again["low"] < other["high"] - other["low"]


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("", [], "The file is empty"),
        ("\n\n", [], "The file is empty"),
        ("item,A,B\n1,1\n", [], "row 2 has 2 cells, the first has 3"),
        ("item,A,B\n1,1,2\n\n2,1,2,3\n", [], "row 4 has 4 cells"),
        ("item,A,A\n1,1,2\n", [], "row 1: two columns are called “A”"),
        ("item,A,\n1,1,2\n", [], "row 1: column 3 has no name"),
        ("item\n1\n", [], "row 1 names no rater"),
        ("item,A,B\nx,1,2\nx,1,1\n", [], "row 3, column “item”: “x” stands in row 2 already"),
        ("item,rater,value\n1,A,1\n1,B,1\n1,A,2\n", [], "row 4: rater “A” gave item “1” a value in row 2 already"),
        ("item,rater,value\n1,A,1\n,B,1\n", [], "row 3, column “item”: empty"),
        ("item,rater,value\n1,A,1\n2,,1\n", [], "row 3, column “rater”: empty"),
        ("item,rater,value\n1,A\n", [], "row 2 has 2 cells"),
        (
            "item,rater,value,prompt\n1,A,1,p\n1,B,1,q\n",
            [],
            "row 3, column “prompt”: item “1” had the prompt “p” before",
        ),
        ("A,B\n1,2\n1,x\n", ["--level", "interval"], "row 3, column “B”: “x” is not a number"),
        ("A,B\n1,nan\n", ["--level", "ratio"], "row 2, column “B”: “nan” is not a number"),
        ("A,B\n1,-2\n", ["--level", "ratio"], "not below 0"),
        ("A,B\n1,2\n3,1\n", ["--categories", "1,2"], "row 3, column “A”: “3” is not one of the categories"),
        ("A,B\n1,2\n", ["--categories", "1,2,1.0"], "must be different"),
        ("A,B\nx,y\n", ["--level", "ordinal"], "give --categories, from the lowest to the highest"),
        ("A,B\n1,2\n", ["--raters", "A", "C"], "There is no rater “C”; there are A, B."),
        ("A,B\n1,2\n", ["--raters", "A", "A"], "“A” was named twice"),
        ("A,B\n1,2\n", ["--measure", "kappa"], "There is no measure “kappa”"),
        ("A,B\n1,2\n", ["--replicates", "0"], "at least 1"),
        (b"A,B\n1,\xff\n", [], "is not UTF-8"),
        ('A,B\n1,"2\n', [], "row 2: unexpected end of data"),
        ("\n\nA,\n1,2\n", [], "row 3: column 2 has no name"),
    ],
)
def test_what_cannot_be_measured_says_where(measure, text, arguments, message):
    with pytest.raises(CommandError, match=message):
        measure(text, *arguments)


def test_a_table_of_missing_values_has_undefined_measures(figures):
    found = figures("A,B\n*,\n,*\n")
    assert found["gwet_ac1"]["value"] is None
    assert found["krippendorff_alpha_nominal"]["undefined_because"] == "no unit has two or more usable values"
    assert found["krippendorff_alpha_nominal"]["n_dropped"] == 2


def test_a_file_that_is_not_there():
    with pytest.raises(CommandError, match=r"nowhere\.csv cannot be read: No such file"):
        call_command("measure", "nowhere.csv")


def test_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", StringIO(WIDE))
    out = StringIO()
    call_command("measure", "-", "--measure", "gwet_ac1", stdout=out)
    assert "0.775444" in out.getvalue()


def test_it_needs_no_server_and_no_demo_before_it(tmp_path):
    """As in a fresh clone: no settings in the environment, and nothing in var/ yet."""
    table, var = tmp_path / "table.csv", tmp_path / "var"
    table.write_text("a,b\n1,1\n2,2\n1,2\n", encoding="utf-8")
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {"PLUMBLINE_VAR": str(var)}
    command = [sys.executable, "manage.py", "measure", str(table), "--measure", "pairwise_agreement"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "0.666667" in done.stdout
    assert [path.name for path in var.iterdir()] == ["secret_key"]
