"""`python -m trainers reward`, for real, on a toy."""

import hashlib
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import judgement, toy_rows, write_export
from transformers import AutoTokenizer

from trainers.export import open_export

ROOT = Path(__file__).parents[2]
LEARN = ("--learning-rate", "3e-3", "--epochs", "2")
QUICK = ("--epochs", "0.1", "--learning-rate", "1e-3")


def metrics_of(out):
    return json.loads((out / "metrics.json").read_text())


def scores_as_the_card_says(out, chats):
    """The scores of conversations, all in one padded batch, by the code in the model card."""
    code = (out / "README.md").read_text().split("```python\n")[1].split("```")[0]
    example = next(line for line in code.splitlines() if line.startswith("chats = "))
    names = {"DIR": out, "given": chats}
    with torch.no_grad():
        exec(code.replace(example, "chats = given"), names)
    return names["scores"].tolist()


def accuracy_by_card(out, export):
    """Held-out accuracy from the files alone."""
    rows = open_export(export, "preference").preference_rows("test").to_pylist()
    scores = scores_as_the_card_says(
        out, [row["prompt"] + row[side] for row in rows for side in ("chosen", "rejected")]
    )
    return sum(a > b for a, b in zip(scores[::2], scores[1::2], strict=True)) / len(rows)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory, toy, tiny):
    """One run of the command as a user would start it: its output folder and what it said."""
    out = tmp_path_factory.mktemp("learnt") / "model"
    command = [sys.executable, "-m", "trainers", "reward", toy, "--model", tiny, "--output", out, *LEARN]
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_it_learns_what_is_there_to_be_learnt_and_says_how_well(learnt):
    held_out = metrics_of(learnt[0])["held_out"]
    # ann-2 contradicts ann-1 on 1 of 3 pairs of every fourth prompt, so no model can be right on more than 69 of 72.
    assert 0.85 < held_out["accuracy"]["value"] <= 69 / 72
    assert held_out["accuracy"]["low"] > 0.8
    assert held_out["accuracy_before_training"]["value"] < held_out["accuracy"]["value"]
    assert (held_out["accuracy"]["rows"], held_out["accuracy"]["prompts"]) == (72, 12)
    assert held_out["human_reference"]["value"] == pytest.approx(66 / 72)  # of 36 pairs two judged, 3 were contested
    assert held_out["accuracy_on_same_rows"] == held_out["accuracy"]
    assert held_out["accuracy_minus_human"]["value"] == pytest.approx(held_out["accuracy"]["value"] - 66 / 72)


def test_it_says_the_same_on_the_terminal_and_in_the_card(learnt, toy):
    out, said = learnt
    accuracy = metrics_of(out)["held_out"]["accuracy"]
    interval = f"{accuracy['low']:.3f} to {accuracy['high']:.3f}"
    assert f"accuracy: {accuracy['value']:.3f} ({interval}; 72 rows, 12 prompts)" in said
    card = (out / "README.md").read_text()
    assert f"| accuracy | {accuracy['value']:.3f} | {interval} | 72 | 12 |" in card
    assert f"`{hashlib.sha256((toy / 'manifest.json').read_bytes()).hexdigest()}`" in card
    assert "> Every strict judgement.\n> Ties make no rows." in card
    assert "| train | 288 | 0 | 288 |" in card
    assert '"learning_rate": 0.003' in card
    assert "transformers 5.23.0" in card
    assert card.startswith("---\nlibrary_name: transformers\n")


def test_the_curve_has_the_loss_by_step_and_the_accuracy_at_both_ends(learnt):
    points = [json.loads(line) for line in (learnt[0] / "curve.jsonl").read_text().splitlines()]
    losses = [(point["step"], point["value"]) for point in points if point["name"] == "train/loss"]
    assert [step for step, _ in losses] == [1, 10, 20, 30, 40, 50, 60, 70]
    assert losses[-1][1] < losses[0][1]
    held_out = metrics_of(learnt[0])["held_out"]
    assert [(p["step"], p["value"]) for p in points if p["name"] == "test/accuracy"] == [
        (0, held_out["accuracy_before_training"]["value"]),
        (72, held_out["accuracy"]["value"]),
    ]


def test_the_saved_model_gives_the_accuracy_that_was_stated(learnt, toy):
    assert accuracy_by_card(learnt[0], toy) == metrics_of(learnt[0])["held_out"]["accuracy"]["value"]


def test_a_second_run_gives_the_same_bytes_and_opens_no_connection(learnt, toy, train, monkeypatch):
    tried = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: tried.append(address))
    status, _, _, out = train(toy, *LEARN)
    assert status == 0 and tried == []
    for name in ("metrics.json", "curve.jsonl", "model.safetensors", "config.json"):
        assert (out / name).read_bytes() == (learnt[0] / name).read_bytes(), name


def test_another_seed_gives_another_model(learnt, toy, train):
    _, _, _, out = train(toy, *LEARN, "--seed", 1)
    assert (out / "model.safetensors").read_bytes() != (learnt[0] / "model.safetensors").read_bytes()


def test_lora_trains_an_adapter_and_the_score_head(toy, train):
    status, _, _, out = train(toy, *LEARN, "--lora", "--lora-rank", 8, "--learning-rate", "1e-2")
    assert status == 0
    assert (out / "adapter_model.safetensors").exists() and not (out / "model.safetensors").exists()
    held_out = metrics_of(out)["held_out"]
    assert held_out["accuracy"]["value"] > 0.85
    assert accuracy_by_card(out, toy) == held_out["accuracy"]["value"]
    assert "library_name: peft" in (out / "README.md").read_text()


def test_the_weight_of_a_judgement_decides_what_is_learnt(tmp_path, train):
    def rows(numbers):
        for number in numbers:
            a, b = f"Town {number} is lovely and kind.", f"Town {number} is awful."
            yield judgement(f"Town {number}?", a, b, annotator="ann-1", weight=0.8)
            yield judgement(f"Town {number}?", b, a, annotator="ann-2", weight=0.1)
            yield judgement(f"Town {number}?", b, a, annotator="ann-3", weight=0.1)

    held_out = [row for row in rows(range(48, 60)) if row["annotator"] == "ann-1"]
    export = write_export(tmp_path / "export", list(rows(range(48))), held_out)
    values = []
    for options in ([], ["--no-weights"]):
        _, _, _, out = train(export, *LEARN, *options, output=f"out{len(values)}")
        values.append(metrics_of(out)["held_out"]["accuracy"]["value"])
    assert values[0] > 0.9 and values[1] < 0.1
    assert metrics_of(out)["held_out"]["human_reference"] == {"undefined": "no held-out pair has two judges"}
    assert "| human reference | undefined: no held-out pair has two judges |" in (out / "README.md").read_text()


def test_rows_over_the_length_are_left_out_and_counted(tmp_path, train):
    long = [judgement(f"A long one, {split}?", "word " * 300, "no") for split in ("train", "test")]
    export = write_export(tmp_path / "export", [*toy_rows(range(8)), long[0]], [*toy_rows([50]), long[1]])
    status, said, _, out = train(export, *QUICK, "--max-length", 200)
    assert status == 0
    assert "train: 48 rows used; left out: 1 over 200 tokens." in said
    assert metrics_of(out)["rows"]["test"] == {"in_export": 7, "over_max_length": 1, "used": 6}
    assert metrics_of(out)["held_out"]["accuracy"]["rows"] == 6
    assert "| test | 7 | 1 | 6 |" in (out / "README.md").read_text()
    status, _, said, _ = train(export, "--max-length", 3, output="none")
    assert status == 2 and "no train row can be used; left out: 49 over 3 tokens. Raise --max-length 3" in said
    status, said, _, out = train(export, *QUICK, "--max-length", 9_999, output="lowered")
    assert "--max-length was lowered from 9999 to 1024" in said
    assert metrics_of(out)["configuration"]["max_length"] == 1024


def test_without_test_rows_it_trains_and_says_that_nothing_is_known(tmp_path, train):
    export = write_export(tmp_path / "export", toy_rows(range(8)), [])
    status, said, _, out = train(export, *QUICK)
    assert status == 0
    assert "accuracy: undefined: the export has no test rows" in said
    assert metrics_of(out)["held_out"]["accuracy"] == {"undefined": "the export has no test rows"}
    assert [line for line in (out / "curve.jsonl").read_text().splitlines() if "test/" in line] == []


@pytest.mark.parametrize("options", [(), ("--lora",)])
def test_a_padding_token_and_a_template_are_added_where_there_is_none(tmp_path, toy, tiny, train, options):
    bare = shutil.copytree(tiny, tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    for file in (bare / "tokenizer.json", bare / "tokenizer_config.json"):
        file.write_text(file.read_text().replace("<|pad|>", "<|spare|>").replace('"pad_token": "<|spare|>",', ""))
    before = AutoTokenizer.from_pretrained(bare)
    assert (before.pad_token, before.chat_template) == (None, None)
    status, said, _, out = train(toy, *QUICK, *options, model=bare)
    assert status == 0
    assert "Note: the tokenizer has no padding token of its own, so <|pad|> was added." in said
    assert "Note: the tokenizer has no chat template, so conversations are written in ChatML." in said
    after = AutoTokenizer.from_pretrained(out)
    assert after.pad_token == "<|pad|>" and after.pad_token_id == len(before)  # beyond what the model had rows for
    assert after.chat_template == (ROOT / "trainers/chatml.jinja").read_text()
    assert accuracy_by_card(out, toy) == metrics_of(out)["held_out"]["accuracy"]["value"]
    turns = [[{"role": "user", "content": "A?"}, {"role": "assistant", "content": text}] for text in ("B.", "B. " * 40)]
    padded, alone = scores_as_the_card_says(out, turns)[0], scores_as_the_card_says(out, turns[:1])[0]
    assert padded == pytest.approx(alone, abs=1e-5)


def test_the_end_of_text_is_not_taken_for_padding(tmp_path, toy, tiny, train):
    same = shutil.copytree(tiny, tmp_path / "same")
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(same)
    _, _, _, out = train(toy, *QUICK, model=same)
    assert AutoTokenizer.from_pretrained(out).pad_token == "<|pad|>"
    config = json.loads((out / "config.json").read_text())
    assert config["pad_token_id"] != config["eos_token_id"]


def test_gradient_checkpointing_changes_no_figure(toy, train):
    for lora in ([], ["--lora"]):
        plain, saving = (
            metrics_of(train(toy, *QUICK, *lora, *options, output=f"{len(lora)}{len(options)}")[3])["held_out"]
            for options in ([], ["--gradient-checkpointing"])
        )
        assert plain == saving


def test_a_template_that_does_not_take_the_roles_is_refused(tmp_path, toy, tiny, train):
    strict = shutil.copytree(tiny, tmp_path / "strict")
    (strict / "chat_template.jinja").write_text("{{ raise_exception('no such role') }}")
    status, _, said, _ = train(toy, *QUICK, model=strict)
    assert status == 2
    assert "the model's chat template does not take it: no such role" in said


def test_training_that_diverges_fails_and_states_no_accuracy(toy, train, tmp_path):
    with pytest.raises(FloatingPointError, match="training diverged; try a lower --learning-rate"):
        train(toy, "--learning-rate", "1e30", "--epochs", "0.2")
    assert not (tmp_path / "trained/metrics.json").exists()


def test_refused_before_any_work(tmp_path, toy, tiny, train, monkeypatch):
    def refusal(export=toy, **changes):
        status, _, said, _ = train(export, **changes)
        assert status == 2
        return said

    (tmp_path / "used").mkdir()
    (tmp_path / "used/file").touch()
    assert "expected an empty folder" in refusal(output="used")
    copy = shutil.copytree(toy, tmp_path / "copy")
    assert "it lies inside the export" in refusal(copy, output="copy/model")
    assert "no such folder" in refusal(model=tmp_path / "nowhere")
    empty = write_export(tmp_path / "empty", [], toy_rows([1]))
    assert "no train rows" in refusal(empty)
    leaky = write_export(tmp_path / "leaky", toy_rows(range(8)), toy_rows([7]))
    assert "split_group: expected none in both train and test, found 1" in refusal(leaky)
    broken = tmp_path / "broken"
    broken.mkdir()
    assert "it cannot be loaded" in refusal(model=broken)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "one process" in refusal()
    assert not (tmp_path / "trained").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--epochs", "0"], ["--epochs", "nan"], ["--learning-rate", "-1"], ["--batch-size", "0"],
        ["--batch-size", "1.5"], ["--report", "http://localhost"],
    ],
)  # fmt: skip
def test_a_command_line_that_cannot_be_is_exit_status_2(toy, train, options, monkeypatch):
    monkeypatch.delenv("PLUMBLINE_TOKEN", raising=False)
    with pytest.raises(SystemExit) as left:
        train(toy, *options)
    assert left.value.code == 2


def test_help_comes_without_loading_the_libraries():
    code = """
import sys
from trainers.__main__ import main
for command in (["reward", "--help"], ["sft", "--help"], ["tiny", "--help"]):
    try:
        main(command)
    except SystemExit as left:
        assert left.code == 0
heavy = {"torch", "transformers", "trl", "datasets", "peft", "django"} & set(sys.modules)
assert not heavy, heavy
assert main([]) == 2 and main(["dpo"]) == 2 and main(["--help"]) == 0
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "EXPORT_DIR" in done.stdout
