"""`python -m trainers sft`, for real, on a toy."""

import hashlib
import json
import math
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import instance, toy_instances, write_manifest, write_sft_export
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from trainers.card import LINES, sft_card
from trainers.export import Refused, open_export
from trainers.sft import encode, load, parse, stop_tokens

ROOT = Path(__file__).parents[2]
LEARN = ("--learning-rate", "5e-3", "--epochs", "12")
QUICK = ("--learning-rate", "1e-3", "--epochs", "0.5")


def metrics_of(out):
    return json.loads((out / "metrics.json").read_text())


def answer_as_the_card_says(out, question):
    """What the model answers, by the code in the model card."""
    code = (out / "README.md").read_text().split("```python\n")[1].split("```")[0]
    names = {"DIR": out}
    exec(code.replace('"…"', json.dumps(question)), names)
    return names["answer"]


def loss_of_files(out, export, load_model=AutoModelForCausalLM):
    """The held-out loss from the files alone, row by row, with the whole completion up to its end of turn."""
    model, tokenizer = load_model.from_pretrained(out).eval(), AutoTokenizer.from_pretrained(out)
    total = count = 0
    for row in open_export(export, "sft").sft_rows("test").to_pylist():
        prompt = tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
        answer = row["completion"][0]["content"] + tokenizer.eos_token
        start = len(tokenizer(prompt)["input_ids"])
        ids = torch.tensor(tokenizer(prompt + answer)["input_ids"])
        with torch.no_grad():
            log_probs = model(ids[None]).logits[0].log_softmax(-1)
        total -= sum(log_probs[at - 1, ids[at]].item() for at in range(start, len(ids)))
        count += len(ids) - start
    return total / count, count


@pytest.fixture(scope="module")
def learnt(tmp_path_factory, towns, small):
    """One run of the command as a user would start it: its output folder and what it said."""
    out = tmp_path_factory.mktemp("learnt") / "tuned"
    command = [sys.executable, "-m", "trainers", "sft", towns, "--model", small, "--output", out]
    command += [*LEARN, "--generate", "99"]
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


@pytest.fixture(scope="module")
def loaded(small):
    """The model, its tokenizer, and the tokens that end a turn."""
    model, tokenizer, notes = load(parse(["export", "--model", str(small), "--output", "out"]))
    assert notes == []
    return model, tokenizer, stop_tokens(model, tokenizer)


def encoded(rows, tokenizer, stops, max_length=1024):
    return encode(Dataset.from_list(rows), tokenizer, stops, max_length).to_list()


def test_it_learns_what_is_there_to_be_learnt_and_says_how_well(learnt, small):
    held_out = metrics_of(learnt[0])["held_out"]
    guessing = math.log(AutoModelForCausalLM.from_pretrained(small).config.vocab_size)
    assert held_out["loss_before_training"]["value"] == pytest.approx(guessing, abs=0.3)
    assert held_out["loss"]["value"] < 0.3 and held_out["loss"]["high"] < 0.4
    fall = held_out["loss_before_training"]["value"] - held_out["loss"]["value"]
    assert held_out["loss_fall"]["value"] == pytest.approx(fall)
    assert held_out["loss_fall"]["low"] > 5
    assert held_out["perplexity"]["value"] == pytest.approx(math.exp(held_out["loss"]["value"]))
    assert held_out["perplexity"]["high"] == pytest.approx(math.exp(held_out["loss"]["high"]))
    assert (held_out["loss"]["rows"], held_out["loss"]["split_groups"]) == (24, 12)
    # An answer that does not stop where it should is no match.
    assert held_out["exact_match_before_training"]["value"] == 0
    assert held_out["exact_match"]["value"] > 0.9 and held_out["exact_match"]["rows"] == 24


def test_the_loss_is_that_of_the_saved_model_over_all_tokens_of_the_split(learnt, towns, small):
    held_out = metrics_of(learnt[0])["held_out"]
    for name, out in (("loss_before_training", small), ("loss", learnt[0])):
        loss, tokens = loss_of_files(out, towns)
        assert held_out[name]["value"] == pytest.approx(loss, abs=1e-5)
        assert held_out[name]["tokens"] == tokens


def test_the_saved_model_answers_and_stops_by_the_code_of_the_card(learnt):
    assert answer_as_the_card_says(learnt[0], "Town 51: hill") == "green"
    assert answer_as_the_card_says(learnt[0], "53, please: lamp") == "It is yellow."


def test_it_says_the_same_on_the_terminal_and_in_the_card(learnt, towns):
    out, said = learnt
    metrics, card = metrics_of(out), (out / "README.md").read_text()
    loss = metrics["held_out"]["loss"]
    interval = f"{loss['low']:.3f} to {loss['high']:.3f}"
    assert f"  loss: {loss['value']:.3f} ({interval}; 24 rows, 12 split groups)" in said
    assert f"| loss | {loss['value']:.3f} | {interval} | 24 | 12 |" in card
    assert f"`{hashlib.sha256((towns / 'manifest.json').read_bytes()).hexdigest()}`" in card
    assert "> Every row once." in card and "Judgements up to" not in card
    assert "| towns | 2 | CC-BY-4.0 | en | a \\| b | 60 |" in card
    assert "| towns | polite | 1 | question answering |" in card
    assert "| train | 96 | 0 | 0 | 0 | 96 |" in card
    assert "train: 96 rows used; left out: none." in said
    plain, polite = metrics["held_out_by_template"]
    assert (plain["dataset"], plain["template"], plain["rows"]) == ("towns", "plain", 12)
    assert plain["tokens"] + polite["tokens"] == loss["tokens"]
    both = plain["loss"] * plain["tokens"] + polite["loss"] * polite["tokens"]
    assert both / loss["tokens"] == pytest.approx(loss["value"])
    assert f"| towns | polite | 12 | {polite['tokens']} | " in card
    assert card.startswith("---\nlibrary_name: transformers\npipeline_tag: text-generation\n")


def test_what_it_wrote_is_kept_and_three_are_quoted_in_the_card(learnt, towns):
    samples = [json.loads(line) for line in (learnt[0] / "samples.jsonl").read_text().splitlines()]
    rows = open_export(towns, "sft").sft_rows("test").to_pylist()
    assert [sample["prompt"] for sample in samples] == [row["prompt"] for row in rows]
    matches = [sample["written"] == sample["completion"] for sample in samples]
    assert sum(matches) / 24 == metrics_of(learnt[0])["held_out"]["exact_match"]["value"]
    assert (learnt[0] / "README.md").read_text().count('"before_training": ') == 3


def test_the_curve_has_the_loss_by_step_and_the_held_out_loss_at_both_ends(learnt):
    points = [json.loads(line) for line in (learnt[0] / "curve.jsonl").read_text().splitlines()]
    losses = [(point["step"], point["value"]) for point in points if point["name"] == "train/loss"]
    assert [step for step, _ in losses][:3] == [1, 10, 20] and losses[-1][1] < losses[0][1]
    held_out = metrics_of(learnt[0])["held_out"]
    assert [(p["step"], pytest.approx(p["value"])) for p in points if p["name"] == "test/loss"] == [
        (0, held_out["loss_before_training"]["value"]),
        (144, held_out["loss"]["value"]),
    ]


def test_a_second_run_gives_the_same_bytes_and_opens_no_connection(learnt, towns, tune, monkeypatch):
    tried = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: tried.append(address))
    status, _, _, out = tune(towns, *LEARN, "--generate", 99)
    assert status == 0 and tried == []
    for name in ("metrics.json", "curve.jsonl", "samples.jsonl", "model.safetensors", "config.json"):
        assert (out / name).read_bytes() == (learnt[0] / name).read_bytes(), name


def test_measuring_and_generating_do_not_change_what_is_trained_and_the_seed_does(learnt, towns, tune):
    _, said, _, out = tune(towns, *LEARN)
    assert (out / "model.safetensors").read_bytes() == (learnt[0] / "model.safetensors").read_bytes()
    assert "exact match" not in said and not (out / "samples.jsonl").exists()
    assert "## What it writes" not in (out / "README.md").read_text()
    _, _, _, other = tune(towns, *LEARN, "--seed", 1, output="other")
    assert (other / "model.safetensors").read_bytes() != (out / "model.safetensors").read_bytes()


def test_lora_trains_an_adapter_and_leaves_the_model_as_it_was(learnt, tmp_path, tune):
    from peft import AutoPeftModelForCausalLM

    rows = [instance(row["prompt"][0]["content"], "It is blue.", row=row["row"]) for row in toy_instances(range(60))]
    export = write_sft_export(tmp_path / "export", rows[:96], rows[96:])
    base = (learnt[0] / "model.safetensors").read_bytes()
    options = ("--lora", "--lora-rank", 4, "--learning-rate", "1e-2", "--epochs", 3, "--gradient-checkpointing")
    status, _, _, out = tune(export, *options, "--generate", 4, model=learnt[0])
    assert status == 0
    assert (out / "adapter_model.safetensors").exists() and not (out / "model.safetensors").exists()
    held_out = metrics_of(out)["held_out"]
    assert held_out["loss_before_training"]["value"] > 0.8 and held_out["loss"]["value"] < 0.15
    assert held_out["exact_match"]["value"] == 1
    assert loss_of_files(out, export, AutoPeftModelForCausalLM)[0] == pytest.approx(held_out["loss"]["value"], abs=1e-5)
    assert (learnt[0] / "model.safetensors").read_bytes() == base
    assert answer_as_the_card_says(out, "Town 51: hill") == "It is blue."
    assert "library_name: peft" in (out / "README.md").read_text()
    status, _, said, _ = tune(export, model=out, output="again")
    assert status == 2 and "expected a whole model, found an adapter" in said


def test_only_the_completion_and_its_end_of_turn_are_trained(loaded):
    _, tokenizer, stops = loaded
    (row,) = encoded([instance("Town 1: hill", "green")], tokenizer, stops)
    prompt = "<|im_start|>user\nTown 1: hill<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(row["input_ids"]) == prompt + "green<|im_end|>"
    at = len(tokenizer(prompt)["input_ids"])
    assert row["labels"] == [-100] * at + row["input_ids"][at:]
    assert tokenizer.decode(row["labels"][at:]) == "green<|im_end|>" and row["labels"][-1] == tokenizer.eos_token_id
    assert (row["fault"], row["end_added"]) == ("", False)


def test_the_labels_are_those_of_trl_up_to_the_end_of_turn(loaded, towns, tmp_path):
    model, tokenizer, stops = loaded
    rows = open_export(towns, "sft").sft_rows("test").to_pylist()
    config = SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", max_length=None)
    theirs = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model.config._name_or_path),
        args=config,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list([{key: row[key] for key in ("prompt", "completion")} for row in rows]),
    ).train_dataset.to_list()
    newline = tokenizer("\n")["input_ids"]
    for mine, their in zip(encoded(rows, tokenizer, stops), theirs, strict=True):
        assert mine["input_ids"] + newline == their["input_ids"]
        assert mine["labels"] + newline == their["labels"]


def test_the_end_is_added_where_the_chat_template_writes_none(loaded, small, tmp_path, towns, tune):
    _, tokenizer, stops = loaded
    endless = shutil.copytree(small, tmp_path / "endless")
    template = "{% for m in messages %}{{ m['role'] + ':\n' + m['content'] + '\n' }}{% endfor %}"
    template += "{% if add_generation_prompt %}{{ 'assistant:\n' }}{% endif %}"
    (endless / "chat_template.jinja").write_text(template)
    (row,) = encoded([instance("Hill?", "green")], AutoTokenizer.from_pretrained(endless), stops)
    assert tokenizer.decode([label for label in row["labels"] if label != -100]) == "green\n<|im_end|>"
    assert row["end_added"]
    # The end of a turn that a completion merely mentions is not taken for its end.
    (row,) = encoded([instance("Hill?", "a <|im_end|> b")], AutoTokenizer.from_pretrained(endless), stops)
    assert tokenizer.decode([label for label in row["labels"] if label != -100]) == "a <|im_end|> b\n<|im_end|>"
    _, said, _, _ = tune(towns, *QUICK, model=endless)
    assert "Note: the chat template ends no turn after 120 completions, so <|im_end|> was added." in said


def test_rows_that_cannot_be_used_are_left_out_and_counted(tmp_path, small, tune):
    forgetful = shutil.copytree(small, tmp_path / "forgetful")
    template = (small / "chat_template.jinja").read_text()
    # Leaves a system message out once there is an answer, so the prompt is not what was asked.
    template = template.replace("for message in messages", "for message in messages if message.role != 'system' or %%")
    (forgetful / "chat_template.jinja").write_text(template.replace("%%", "messages[-1].role != 'assistant'"))

    def faulty(split):
        system = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": f"{split}?"}]
        return [
            instance(f"{split} " + "word " * 300, "no", row=f"{split} long"),
            instance(f"{split} empty", " \n", row=f"{split} empty"),
            instance(f"{split} system", "yes", row=f"{split} system") | {"prompt": system},
        ]

    def rows(numbers, split):
        return toy_instances(numbers) + [row | {"row": 1} for row in faulty(split)]

    export = write_sft_export(tmp_path / "export", rows(range(8), "train"), rows([50], "test"))
    status, said, _, out = tune(export, *QUICK, "--max-length", 200, model=forgetful)
    assert status == 0
    left_out = "1 over 200 tokens, 1 with an empty completion, 1 whose prompt the chat template does not keep as it is"
    assert f"train: 16 rows used; left out: {left_out}." in said
    counts = {"in_export": 5, "over_max_length": 1, "empty_completion": 1, "prompt_not_kept": 1, "used": 2}
    assert metrics_of(out)["rows"]["test"] == counts
    assert metrics_of(out)["held_out"]["loss"]["rows"] == 2
    assert "| test | 5 | 1 | 1 | 1 | 2 |" in (out / "README.md").read_text()
    status, _, said, none = tune(export, "--max-length", 3, output="none")
    assert status == 2 and not none.exists()
    assert "no train row can be used; left out: 18 over 3 tokens, 1 with an empty completion" in said


@pytest.mark.parametrize("rows", [[], [instance("word " * 300, "no", row=99)]])
def test_without_test_rows_it_trains_and_says_that_nothing_is_known(tmp_path, tune, rows):
    export = write_sft_export(tmp_path / "export", toy_instances(range(8)), rows)
    status, said, _, out = tune(export, *QUICK, "--max-length", 200, "--generate", 2)
    assert status == 0
    reason = "all 1 test rows were left out" if rows else "the export has no test rows"
    assert f"  loss: undefined: {reason}" in said
    assert metrics_of(out)["held_out"]["exact_match"] == {"undefined": reason}
    assert metrics_of(out)["held_out_by_template"] == []
    assert [line for line in (out / "curve.jsonl").read_text().splitlines() if "test/" in line] == []


def test_a_template_and_padding_are_found_where_there_are_none(tmp_path, small, towns, tune):
    bare = shutil.copytree(small, tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    # Its end of text is no mark of ChatML, as with most models that have no template.
    for file in (bare / "tokenizer.json", bare / "tokenizer_config.json"):
        text = file.read_text().replace("<|im_end|>", "<|end|>").replace("<|pad|>", "<|spare|>")
        file.write_text(text.replace('"pad_token": "<|spare|>",', ""))
    before = AutoTokenizer.from_pretrained(bare)
    assert (before.pad_token, before.chat_template, before.eos_token) == (None, None, "<|end|>")
    status, said, _, out = tune(towns, *LEARN, "--generate", 24, model=bare)
    assert status == 0
    assert "Note: the tokenizer has no chat template, so conversations are written in ChatML." in said
    assert "Note: the tokenizer has no padding token, so its end-of-text token is used" in said
    assert "ends no turn" not in said
    assert metrics_of(out)["held_out"]["exact_match"]["value"] > 0.9
    assert answer_as_the_card_says(out, "Town 51: hill") == "green"


def test_a_model_that_could_not_learn_to_stop_is_refused(tmp_path, small, towns, tune):
    endless = shutil.copytree(small, tmp_path / "endless")
    config = json.loads((endless / "tokenizer_config.json").read_text())
    del config["eos_token"]
    (endless / "tokenizer_config.json").write_text(json.dumps(config))
    status, _, said, _ = tune(towns, model=endless)
    assert status == 2 and "its tokenizer has no end-of-text token" in said


def test_all_tokens_that_end_a_turn_are_known(loaded):
    model, tokenizer, stops = loaded
    assert stops == {tokenizer.eos_token_id}
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, 7]
    assert stop_tokens(model, tokenizer) == {tokenizer.eos_token_id, 7}


def test_training_that_diverges_fails_and_states_no_loss(towns, tune, tmp_path):
    with pytest.raises(FloatingPointError, match="training diverged"):
        tune(towns, "--learning-rate", "1e30", "--epochs", "0.3")
    assert not (tmp_path / "trained/metrics.json").exists()


def test_refused_before_any_work(tmp_path, toy, towns, tune):
    def refusal(export):
        status, _, said, out = tune(export)
        assert status == 2 and not out.exists()
        return said

    assert "kind: expected 'sft', found 'preference'" in refusal(toy)
    tampered = shutil.copytree(towns, tmp_path / "tampered")
    raw = bytearray((tampered / "jsonl/test.jsonl").read_bytes())
    raw[9] ^= 1
    (tampered / "jsonl/test.jsonl").write_bytes(raw)
    assert "jsonl/test.jsonl: expected sha256" in refusal(tampered)
    few, rest = toy_instances(range(4)), toy_instances([5])
    assert "no train rows" in refusal(write_sft_export(tmp_path / "empty", [], rest))
    leaky = write_sft_export(tmp_path / "leaky", few, [instance("New?", "new", row=3)])
    assert "split_group: expected none in both train and test, found 1 (such as towns/3)" in refusal(leaky)
    leaky = write_sft_export(tmp_path / "same", few, [instance(few[0]["prompt"][0]["content"], "red", row=9)])
    assert "prompt_id: expected none in both train and test, found 1" in refusal(leaky)


@pytest.mark.parametrize(
    "completion",
    [
        [{"role": "user", "content": "a"}],
        [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}],
    ],
)
def test_a_completion_that_is_not_one_answer_is_refused(tmp_path, completion):
    rows = [*toy_instances([1]), instance("p", "a") | {"completion": completion}]
    export = open_export(write_sft_export(tmp_path / "export", rows, []), "sft")
    with pytest.raises(Refused, match="column completion: 1 values are not one message of the assistant"):
        export.sft_rows("train")


@pytest.mark.parametrize(
    ("column", "value"), [("prompt", []), ("completion", None), ("template", None), ("row", None), ("prompt_id", None)]
)
def test_rows_with_nothing_where_something_must_be_are_refused(tmp_path, column, value):
    export = write_sft_export(tmp_path / "export", [*toy_instances([1]), instance("p", "a") | {column: value}], [])
    with pytest.raises(Refused, match=f"split train, column {column}: 1 values"):
        open_export(export, "sft").sft_rows("train")


def test_a_unit_that_is_another_is_refused(tmp_path, towns):
    other = shutil.copytree(towns, tmp_path / "other")
    write_manifest(other, kind="sft", unit="judgement")
    with pytest.raises(Refused, match="unit: expected 'instance', found 'judgement'"):
        open_export(other, "sft")


def test_names_from_the_export_cannot_break_the_card_and_long_tables_are_cut(learnt):
    metrics = metrics_of(learnt[0])
    wild = "a|b\n# <b>c`"
    metrics["held_out_by_template"] = [
        {"dataset": wild, "template": str(at), "rows": at, "tokens": at, "loss_before_training": 2.0, "loss": 1.0}
        for at in range(1, LINES + 3)
    ]
    templates = [{"dataset": wild, "name": str(at), "version": at} for at in range(LINES + 5)]
    datasets = [{"name": wild, "version": 1, "licence": None}]
    sample = {"prompt": [{"role": "user", "content": "```\n# no"}], "completion": wild, "written": ""}
    card = sft_card({"datasets": datasets, "templates": templates}, metrics, "Took 1 s", [sample])
    assert "| a\\|b # &lt;b>c` | 1 | not stated | not stated | not stated | not stated |" in card
    assert "and 5 more, in its manifest." in card and "and 2 more, in metrics.json." in card
    assert f"| a\\|b # &lt;b>c` | {LINES + 2} | {LINES + 2} | {LINES + 2} | 2.000 | 1.000 |" in card
    assert [line for line in card.splitlines() if line.startswith(("# ", "```"))] == [
        "# Language model fine-tuned on prompts and completions",
        *["```python", "```", "```json", "```", "```json", "```"],
    ]


def test_a_number_of_answers_that_cannot_be_is_exit_status_2(towns, tune):
    with pytest.raises(SystemExit) as left:
        tune(towns, "--generate", "-1")
    assert left.value.code == 2
