"""Reporting a training run to Plumbline. What goes wrong on the way costs a warning, never the training."""

import http.client
import json
import math
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from transformers import TrainerCallback

from trainers.export import Refused

POINTS_A_REQUEST = 1_000
POINTS_A_BATCH = 100
SECONDS_BETWEEN_BATCHES = 10.0
SECONDS_AFTER_FAILURE = 60.0  # a server that hangs may then cost a sixth of the time at most
TIMEOUT = 10.0
PAUSES = (0.5, 1.0)  # before the second and the third try, at the start and at the end
TRY_AGAIN = {408, 425, 429}  # besides 5xx
LOGGED = ("loss", "accuracy", "margin", "mean_reward", "mean_token_accuracy", "learning_rate", "grad_norm")


class Declined(Exception):
    """The server answered, and asking again would get the same answer."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None  # following would take the token to wherever the answer points


class TrainingRun:
    """A run on the server at `url`: created by `start`, fed by `log`, closed by `finish`.

    No method raises for a failure of the network or of the server. What could not be sent waits for the next try;
    `finish` returns in words what was never delivered, "" if nothing. A creation whose answer got lost is tried again,
    so the server may then hold a second run that stays without points.
    """

    def __init__(
        self, url: str, token: str, *, trainer: str, manifest_sha256: str, name: str, configuration: dict[str, Any]
    ):
        if not url.startswith(("http://", "https://")):
            raise Refused(f"--report {url}: expected an address that begins with http:// or https://")
        self.root = url.rstrip("/") + "/api/training-runs/"
        self.token = token
        self.creation = {
            "manifest_sha256": manifest_sha256,
            "trainer": trainer,
            "name": name,
            "configuration": configuration,
        }
        self.id: str | None = None
        self.page = ""
        self.waiting: list[dict[str, Any]] = []  # points not yet sent
        self.declined_points = 0
        self.ending: dict[str, Any] | None = None  # what finish has to send
        self.declined = False  # the server will have nothing of this run
        self.problem = ""  # the last one, once there was one
        self.failing = False  # whether the last try had one
        self.next_try = time.monotonic()
        self.opener = urllib.request.build_opener(_NoRedirect)

    def start(self) -> None:
        """Create the run, in three tries at most; if they fail, the next batch tries again."""
        self._deliver(PAUSES)

    def log(self, points: list[dict[str, Any]]) -> None:
        """Take points {"step", "name", "value"} (finite values only) and send them in batches, one try each."""
        self.waiting += points
        if time.monotonic() >= self.next_try or (len(self.waiting) >= POINTS_A_BATCH and not self.failing):
            self._deliver(())

    def finish(self, status: str, *, results: dict[str, Any], error: str = "", model_card: str = "") -> str:
        """Send what is left and how it ended ("succeeded" or "failed"). Returns what was not delivered, in words."""
        self.ending = {"status": status, "results": results, "error": error[:2_000], "model_card": model_card}
        self._deliver(PAUSES)
        missing = ["the run itself"] if self.id is None else []
        if points := self.declined_points + len(self.waiting):
            missing.append(f"{points} points")
        if self.ending:
            missing.append("how it ended")
        return f"not delivered to {self.root}: {', '.join(missing)} ({self.problem})" if missing else ""

    def _deliver(self, pauses: tuple[float, ...]) -> None:
        """Send all that waits, and set when to try next."""
        if self.declined:
            return
        self.failing = False
        try:
            if self.id is None:
                self._create(pauses)
            while self.waiting:
                self._send_points(pauses)
            if self.ending:
                self._post(f"{self.id}/finish/", self.ending, pauses)
                self.ending = None
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, Declined) as error:
            self._failed(error)
        self.next_try = time.monotonic() + (SECONDS_AFTER_FAILURE if self.failing else SECONDS_BETWEEN_BATCHES)

    def _failed(self, error: Exception) -> None:
        """Remember a problem, and warn of the first one."""
        if not self.problem:
            print(f"warning: reporting to {self.root} fails: {error}. Training goes on.", file=sys.stderr)
        self.failing, self.problem = True, str(error) or type(error).__name__

    def _create(self, pauses: tuple[float, ...]) -> None:
        try:
            answer = self._post("", self.creation, pauses)
        except Declined:
            self.declined = True
            raise
        self.id, self.page = str(answer["id"]), str(answer.get("url", ""))

    def _send_points(self, pauses: tuple[float, ...]) -> None:
        batch = self.waiting[:POINTS_A_REQUEST]
        try:
            self._post(f"{self.id}/metrics/", {"points": batch}, pauses)
        except Declined as error:  # the same points would be declined again, but what follows may be taken
            self.declined_points += len(batch)
            self._failed(error)
        del self.waiting[: len(batch)]

    def _post(self, path: str, body: dict[str, Any], pauses: tuple[float, ...]) -> Any:
        """POST JSON and return the answer's JSON, None if it has no body. One try more than there are pauses."""
        request = urllib.request.Request(
            self.root + path,
            data=json.dumps(body, allow_nan=False).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        for pause in (*pauses, None):
            try:
                with self.opener.open(request, timeout=TIMEOUT) as response:
                    raw = response.read()
                    return json.loads(raw) if raw else None
            except urllib.error.HTTPError as error:
                said = f"HTTP {error.code}: {error.read(300).decode(errors='replace').strip()}"
                if error.code < 500 and error.code not in TRY_AGAIN:
                    raise Declined(said) from error
                failure: Exception = OSError(said)
            except (OSError, http.client.HTTPException) as error:
                failure = error
            if pause is not None:
                time.sleep(pause)
        raise failure


def finite_numbers(value: Any) -> Any:
    """Nested dictionaries with only their finite numbers left (JSON knows no NaN, and results are numbers)."""
    kept = {}
    for key, item in value.items():
        if isinstance(item, dict):
            item = finite_numbers(item)
        if item if isinstance(item, dict) else _is_finite_number(item):
            kept[key] = item
    return kept


def _is_finite_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class ReportCallback(TrainerCallback):
    """Prints the trainer's log, keeps it as points, and passes them on to a run if there is one."""

    def __init__(self, run: TrainingRun | None):
        self.run = run
        self.points: list[dict[str, Any]] = []

    def add(self, step: int, figures: dict[str, Any]) -> None:
        """Keep and pass on the finite ones of `figures` as points of a step."""
        new = [
            {"step": step, "name": name, "value": value} for name, value in figures.items() if _is_finite_number(value)
        ]
        self.points += new
        if self.run:
            self.run.log(new)

    def on_log(self, args, state, control, logs=None, **kwargs):
        values = {name: logs[name] for name in LOGGED if name in logs}
        if values:  # the last log is a summary of the time it took
            told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            print(f"step {state.global_step} of {state.max_steps}: {told}", flush=True)
        self.add(state.global_step, {f"train/{name}": value for name, value in values.items()})
