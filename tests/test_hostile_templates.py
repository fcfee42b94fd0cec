"""Hostile templates: each is stopped in time, with a word for its author, and harms nobody else."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from curation.rendering import (
    DEFAULT,
    MESSAGES,
    Checked,
    Instance,
    Limits,
    Renderer,
    TemplateError,
    TemplateSource,
    check_all,
    compile_check,
)
from tests.hostile import ACCEPTANCE, TEMPLATES

SECONDS, MEGABYTES = 2.0, 256
GOOD = TemplateSource("{{ text }} ||| {{ text | upper }}")


def render(jinja, row=None, **limits):
    with Renderer(TemplateSource(jinja), seed="0", limits=Limits(**limits)) as renderer:
        return renderer.render([(1, row or {"text": "some text"})])


def renders_well():
    with Renderer(GOOD, seed="0") as renderer:
        return renderer.render([(7, {"text": "a"})]) == [Instance(7, "a", "A", ())]


def gone(pid):
    """No such process, not even a zombie."""
    return not Path(f"/proc/{pid}").exists()


@pytest.fixture
def pids(monkeypatch):
    """The processes that were started for rendering."""
    from curation.rendering import process

    started = []

    class Popen(process.subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self.pid)

    monkeypatch.setattr(process.subprocess, "Popen", Popen)
    return started


def test_there_are_the_eight_of_acceptance():
    assert len(ACCEPTANCE) == 8


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_is_stopped_in_time_with_a_clear_error_and_the_next_template_renders(name, pids):
    jinja, code = TEMPLATES[name]
    began = time.monotonic()
    with pytest.raises(TemplateError) as caught:
        # Half the memory is full in half the time: a busy machine is then not too slow to show that it was memory.
        render(jinja, **({"memory_bytes": DEFAULT.memory_bytes // 2} if code == "too_much_memory" else {}))
    took = time.monotonic() - began
    assert caught.value.code == code, str(caught.value)
    assert took < SECONDS
    assert caught.value.message == MESSAGES[code] % caught.value.values
    assert len(caught.value.message) < 1000
    assert len(pids) == 1 and gone(pids[0])
    assert renders_well()


def test_checking_them_is_safe_too():
    """Jinja works out constants when it compiles. What needs no row to be seen is said then; the rest is not wrong yet."""
    results = check_all(TemplateSource(jinja) for jinja, _ in TEMPLATES.values())
    for name, (_, code) in TEMPLATES.items():
        began = time.monotonic()
        result = next(results)
        assert time.monotonic() - began < SECONDS, name
        assert isinstance(result, Checked) or result.code == code, (name, result)
    assert list(results) == []
    assert compile_check(GOOD) == Checked(frozenset({"text"}), None)


def test_hostile_answer_choices_are_stopped_when_they_are_checked():
    with pytest.raises(TemplateError) as caught:
        compile_check(TemplateSource("{{ text }} ||| a", "a ||| {{ 'x' * 10**10 }}"))
    assert (caught.value.code, caught.value.field, caught.value.line) == ("too_large", "answer_choices", 1)


def test_the_error_says_where_it_was():
    with pytest.raises(TemplateError) as caught, Renderer(TemplateSource("a\n\n{{ 'x' * n }}"), seed="") as renderer:
        renderer.render([(5, {"n": 1}), (6, {"n": 10**10}), (7, {"n": 1})])
    error = caught.value
    assert (error.row, error.line, error.field) == (6, 3, "jinja")
    assert error.values == {"operation": "*", "limit": 2_000_000}
    assert str(error).startswith("row 6, line 3 of jinja: “*” would make a text or a list of more than 2000000")


def test_after_an_error_the_renderer_says_that_it_has_ended():
    with Renderer(TemplateSource("{{ 1 // n }} ||| b"), seed="") as renderer:
        with pytest.raises(TemplateError, match="ZeroDivisionError"):
            renderer.render([(1, {"n": 0})])
        with pytest.raises(RuntimeError, match="not running"):
            renderer.render([(1, {"n": 1})])


def test_a_time_that_is_spent_in_one_operation_of_c_ends_all_the_same():
    jinja = "{{ ([[1, 2, 3]] * 500000) | sum(start=[]) | length }}"
    began = time.monotonic()
    with pytest.raises(TemplateError) as caught:
        render(jinja, row_seconds=0.2)
    assert (caught.value.code, caught.value.row) == ("too_slow", 1)
    assert time.monotonic() - began < 1.5


def test_a_child_that_does_nothing_any_more_is_ended(pids):
    with Renderer(GOOD, seed="", limits=Limits(row_seconds=0.2)) as renderer:
        os.kill(pids[0], signal.SIGSTOP)
        with pytest.raises(TemplateError) as caught:
            renderer.render([(1, {"text": "a"})])
    assert (caught.value.code, caught.value.row) == ("too_slow", 1)
    assert gone(pids[0])


def test_a_child_that_is_killed_is_an_error_and_no_hang(pids):
    with Renderer(GOOD, seed="") as renderer:
        os.kill(pids[0], signal.SIGKILL)
        with pytest.raises(TemplateError) as caught:
            renderer.render([(1, {"text": "a"})])
    assert caught.value.code == "crashed"
    assert gone(pids[0])


def test_a_template_that_is_a_little_slow_for_every_row_ends_too():
    rows = [(number, {"n": 100_000}) for number in range(1000)]
    limits = Limits(free_seconds=0.2, mean_seconds=0.0001)
    with (
        pytest.raises(TemplateError) as caught,
        Renderer(TemplateSource("{% for x in range(n) %}{% endfor %} a ||| b"), seed="", limits=limits) as renderer,
    ):
        renderer.render(rows)
    assert caught.value.code == "too_slow_overall"
    assert 0 < caught.value.row < 999


def test_the_child_has_no_files_no_children_and_little_memory(pids):
    with Renderer(GOOD, seed="") as renderer:
        renderer.render([(1, {"text": "a"})])
        limits = Path(f"/proc/{pids[0]}/limits").read_text().splitlines()
        hard = {line[:26].strip(): line[26:].split()[1] for line in limits[1:]}
        environment = Path(f"/proc/{pids[0]}/environ").read_bytes()
        assert os.readlink(f"/proc/{pids[0]}/cwd") == "/"
        assert os.getsid(pids[0]) == pids[0]
        open_files = len(os.listdir(f"/proc/{pids[0]}/fd"))
    names = ("Max open files", "Max file size", "Max processes", "Max core file size")
    assert [hard[name] for name in names] == ["0"] * 4
    assert DEFAULT.memory_bytes < int(hard["Max address space"]) < DEFAULT.memory_bytes + 200 * 2**20
    assert sorted(each.split(b"=")[0] for each in environment.split(b"\0") if each) == [
        b"PYTHONHASHSEED",
        b"PYTHONUTF8",
    ]
    assert open_files == 4  # two pipes, one into nothing, and the memory with the number of the row at work
    assert gone(pids[0])


def test_leaving_early_leaves_no_process(pids):
    with pytest.raises(KeyError), Renderer(GOOD, seed=""):
        raise KeyError
    with Renderer(GOOD, seed="") as renderer, pytest.raises(ZeroDivisionError):
        renderer.render((number, {"text": str(1 // number)}) for number in (1, 0))
    assert len(pids) == 2 and all(gone(pid) for pid in pids)


def test_a_daemonic_process_may_render():
    """Celery's are; they may have no children of multiprocessing."""
    process = multiprocessing.get_context("fork").Process(
        target=lambda: os._exit(0 if renders_well() else 1), daemon=True
    )
    process.start()
    process.join(20)
    assert process.exitcode == 0


def test_none_takes_two_seconds_or_256_megabytes_and_at_least_25_kinds_are_tried(record_property):
    """Measured: the whole resident memory of each child, as the kernel tells it when the child has ended."""
    done = subprocess.run([sys.executable, "-m", "tests.hostile_peaks"], capture_output=True, text=True, check=True)
    costs = {cost.pop("name"): cost for cost in map(json.loads, done.stdout.splitlines())}
    assert {name: cost["code"] for name, cost in costs.items()} == {name: code for name, (_, code) in TEMPLATES.items()}
    assert len(costs) >= 25
    assert {name: cost for name, cost in costs.items() if cost["megabytes"] >= MEGABYTES} == {}
    assert {name: cost for name, cost in costs.items() if cost["seconds"] >= SECONDS} == {}
    assert max(cost["megabytes"] for cost in costs.values()) > 100  # some do grow until they are stopped
    slowest, largest = (max(costs, key=lambda name: costs[name][unit]) for unit in ("seconds", "megabytes"))
    record_property(
        "figure",
        f"{len(costs)} stopped; slowest {costs[slowest]['seconds']:.2f} s ({slowest}), "
        f"largest {costs[largest]['megabytes']:.0f} MB ({largest})",
    )
