"""What reaches the server of a training run, and what happens when it does not."""

import hashlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from trainers import report
from trainers.export import Refused, open_export
from trainers.report import TrainingRun, finite_numbers

QUICK = ("--epochs", "0.4", "--learning-rate", "1e-3")
TOKEN = "secret-token-123"


class Server(HTTPServer):
    """Answers as the real one; `answers` are statuses for the next requests, or (path ending, status) for all such."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests, self.next_statuses, self.always = [], [], {}
        self.url = f"http://127.0.0.1:{self.server_port}"

    def bodies(self, ending):
        return [body for path, body, _ in self.requests if path.endswith(ending)]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, body, dict(self.headers)))
        ending = self.path.rstrip("/").rsplit("/", 1)[1]
        status = self.server.next_statuses.pop(0) if self.server.next_statuses else self.server.always.get(ending)
        answer = b""
        if status is None:
            status = 201 if ending == "training-runs" else 204
            answer = json.dumps({"id": "run-1", "url": "http://host/run-1"}).encode() if status == 201 else b""
        elif status >= 400:
            answer = b'{"detail": "no"}'
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"{self.server.url}/elsewhere/")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def run(server, monkeypatch):
    monkeypatch.setattr(report, "PAUSES", (0.0, 0.0))
    return make_run(server.url)


def make_run(url):
    return TrainingRun(
        url, TOKEN, trainer="reward", manifest_sha256="0" * 64, name="a run", configuration={"epochs": 1.0}
    )


def points(count):
    return [{"step": step, "name": "train/loss", "value": 0.5} for step in range(count)]


def test_a_whole_training_is_reported(server, toy, train, monkeypatch):
    monkeypatch.setenv("OTHER_TOKEN", TOKEN)
    monkeypatch.setenv("PLUMBLINE_TOKEN", "not this one")
    status, said, warned, out = train(toy, *QUICK, "--report", server.url + "/", "--token-env", "OTHER_TOKEN")
    assert status == 0 and warned == ""
    assert "Reported: http://host/run-1" in said
    assert [path for path, _, _ in server.requests][:2] == ["/api/training-runs/", "/api/training-runs/run-1/metrics/"]
    (creation,) = server.bodies("/training-runs/")
    assert creation["manifest_sha256"] == hashlib.sha256((toy / "manifest.json").read_bytes()).hexdigest()
    assert (creation["trainer"], creation["name"]) == ("reward", "trained")
    assert creation["configuration"]["learning_rate"] == 1e-3 and creation["configuration"]["model"] == "model"
    sent = [point for body in server.bodies("/metrics/") for point in body["points"]]
    assert sent == [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]
    (ending,) = server.bodies("/finish/")
    metrics = json.loads((out / "metrics.json").read_text())
    assert ending["status"] == "succeeded" and ending["error"] == ""
    assert ending["model_card"] == (out / "README.md").read_text()
    assert ending["results"]["held_out"]["accuracy"] == metrics["held_out"]["accuracy"]
    assert ending["results"]["rows"]["train"]["used"] == 288
    assert all(headers["Authorization"] == f"Bearer {TOKEN}" for _, _, headers in server.requests)
    everything = [json.dumps(body) for _, body, _ in server.requests]
    everything += [file.read_text(errors="replace") for file in out.iterdir()]
    assert not any(TOKEN in text or str(out.parent) in text for text in everything) and TOKEN not in said


def test_fine_tuning_is_reported_too_and_sends_texts_only_with_the_answers_that_were_asked_for(server, towns, tune):
    texts = [row["prompt"][0]["content"] for row in open_export(towns, "sft").sft_rows("test").to_pylist()]
    for options, quoted in (((), 0), (("--generate", 9), 3)):
        server.requests.clear()
        out_name = f"tuned{quoted}"
        reporting = ("--report", server.url, "--token", TOKEN)
        status, said, warned, out = tune(towns, *QUICK, *options, *reporting, output=out_name)
        assert status == 0 and warned == "" and "Reported: http://host/run-1" in said
        (creation,), (ending,) = server.bodies("/training-runs/"), server.bodies("/finish/")
        assert (creation["trainer"], creation["name"]) == ("sft", out_name)
        assert creation["manifest_sha256"] == hashlib.sha256((towns / "manifest.json").read_bytes()).hexdigest()
        sent = [point for body in server.bodies("/metrics/") for point in body["points"]]
        assert sent == [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]
        held_out = json.loads((out / "metrics.json").read_text())["held_out"]
        assert ending["status"] == "succeeded" and ending["results"]["held_out"] == held_out
        assert ending["results"]["rows"]["train"]["used"] == 96
        assert ending["model_card"] == (out / "README.md").read_text()
        everything = json.dumps([body for _, body, _ in server.requests])
        assert sum(json.dumps(text)[1:-1] in everything for text in texts) == quoted


def test_a_server_that_fails_costs_two_lines_and_no_training(server, toy, train):
    server.always = dict.fromkeys(["training-runs", "metrics", "finish"], 500)
    status, said, warned, out = train(toy, *QUICK, "--report", server.url, "--token", TOKEN)
    assert status == 0 and (out / "metrics.json").exists() and "Not reported." in said
    count = len((out / "curve.jsonl").read_text().splitlines())
    first, last = warned.splitlines()
    assert "warning: reporting to" in first and 'HTTP 500: {"detail": "no"}' in first
    assert f"not delivered to {server.url}/api/training-runs/: the run itself, {count} points, how it ended" in last
    assert {path for path, _, _ in server.requests} == {"/api/training-runs/"}


def test_a_server_that_is_down_costs_two_lines_and_no_training(toy, train):
    with Server() as closed:
        url = closed.url
    status, _, warned, out = train(toy, *QUICK, "--report", url, "--token", TOKEN)
    assert status == 0 and (out / "metrics.json").exists()
    assert len(warned.splitlines()) == 2
    assert "Connection refused" in warned and "the run itself" in warned


def test_a_training_that_fails_is_reported_as_failed(server, tmp_path, tiny, toy, train):
    strict = shutil.copytree(tiny, tmp_path / "strict")
    (strict / "chat_template.jinja").write_text("{{ raise_exception('no such role') }}")
    status, _, _, _ = train(toy, *QUICK, "--report", server.url, "--token", TOKEN, model=strict)
    assert status == 2
    (ending,) = server.bodies("/finish/")
    assert ending["status"] == "failed"
    assert ending["error"].startswith("Refused: ") and "no such role" in ending["error"]


def test_an_interrupted_training_is_reported_as_failed(server, toy, train, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("trainers.reward.make_trainer", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(toy, *QUICK, "--report", server.url, "--token", TOKEN)
    assert [body["error"] for body in server.bodies("/finish/")] == ["KeyboardInterrupt: "]


def test_a_failure_that_passes_leaves_nothing_undelivered(server, run, capsys):
    server.next_statuses = [500, 503]
    run.start()
    server.next_statuses = [429]
    run.next_try = 0.0
    run.log(points(1))
    assert run.waiting == points(1)  # one try in the course of training
    run.log(points(3)[1:])
    assert len(server.bodies("/metrics/")) == 1  # and no other within the next minute
    assert run.finish("succeeded", results={}) == ""
    assert server.bodies("/metrics/")[-1]["points"] == points(3)
    assert len(server.bodies("/training-runs/")) == 3 and len(server.bodies("/finish/")) == 1
    assert capsys.readouterr().err.count("warning") == 1


def test_a_run_that_could_not_be_created_is_created_later(server, run):
    server.next_statuses = [500] * 3
    run.start()
    assert run.id is None
    run.log(points(2))
    assert run.finish("succeeded", results={}) == ""
    assert server.bodies("/metrics/") == [{"points": points(2)}]


def test_points_are_sent_in_batches_of_a_hundred_and_never_more_than_a_thousand_a_request(server, run):
    run.start()
    for point in points(250):
        run.log([point])
    assert [len(body["points"]) for body in server.bodies("/metrics/")] == [100, 100]
    run.log(points(2_100))
    assert [len(body["points"]) for body in server.bodies("/metrics/")][2:] == [1000, 1000, 150]
    assert run.finish("succeeded", results={}) == "" and len(server.bodies("/metrics/")) == 5


def test_points_that_are_declined_are_not_sent_again_and_the_end_is(server, run):
    run.start()
    run.next_try = 0.0
    server.always = {"metrics": 400}
    run.log(points(2))
    run.next_try = 0.0
    run.log(points(1))
    left = run.finish("succeeded", results={})
    assert "3 points (HTTP 400" in left and "how it ended" not in left
    assert len(server.bodies("/metrics/")) == 2 and len(server.bodies("/finish/")) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_run_that_is_declined_is_asked_for_once(server, run, status, capsys):
    server.always = {"training-runs": status}
    run.start()
    run.log(points(2))
    assert "the run itself, 2 points, how it ended" in run.finish("succeeded", results={})
    assert len(server.requests) == 1
    assert f"HTTP {status}" in capsys.readouterr().err


def test_a_redirect_is_not_followed_since_it_would_take_the_token_along(server, run):
    server.always = {"training-runs": 302}
    run.start()
    assert "HTTP 302" in run.finish("failed", results={})
    assert [path for path, _, _ in server.requests] == ["/api/training-runs/"]


def test_an_address_that_is_none_is_refused():
    with pytest.raises(Refused, match="begins with http"):
        make_run("file:///etc/passwd")


def test_only_finite_numbers_are_results():
    figures = {"a": {"value": 1, "low": None, "bad": float("nan")}, "b": {"undefined": "why"}, "c": True, "d": 0.5}
    assert finite_numbers(figures) == {"a": {"value": 1}, "d": 0.5}
