"""The tiny model."""

import json

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainers.__main__ import main
from trainers.export import Refused
from trainers.tiny import make_tiny, texts


def test_it_is_tiny_has_its_own_padding_and_writes_chatml(tiny):
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    assert 80_000 < model.num_parameters() < 350_000
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "你好 🙂"}]
    written = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n你好 🙂<|im_end|>\n"
    assert tokenizer.apply_chat_template(turns, tokenize=False) == written
    assert tokenizer.decode(tokenizer.apply_chat_template(turns)["input_ids"]) == written
    asked = tokenizer.apply_chat_template(turns[:1], tokenize=False, add_generation_prompt=True)
    assert asked.endswith("<|im_start|>assistant\n")


def test_the_same_text_and_seed_give_the_same_files(tmp_path, tiny, toy):
    make_tiny(tmp_path / "again", texts(toy))
    for name in ("model.safetensors", "tokenizer.json", "config.json", "chat_template.jinja"):
        assert (tmp_path / "again" / name).read_bytes() == (tiny / name).read_bytes()


def test_a_file_or_nothing_will_do_for_text(tmp_path):
    (tmp_path / "text").write_text("the the the the there\n" * 50)
    assert main(["tiny", "--out", str(tmp_path / "file"), "--text", str(tmp_path / "text")]) == 0
    assert main(["tiny", "--out", str(tmp_path / "none")]) == 0
    sizes = [json.loads((tmp_path / name / "config.json").read_text())["vocab_size"] for name in ("none", "file")]
    assert sizes[0] == 256 + 3 < sizes[1]


def test_an_sft_export_will_do_for_text_too(small):
    tokenizer = AutoTokenizer.from_pretrained(small)
    for word in ("Town", " boat", " yellow"):  # of prompts and of completions, each of them often
        assert len(tokenizer(word)["input_ids"]) == 1


def test_a_folder_in_use_and_a_text_that_is_not_there_are_refused(tmp_path, tiny):
    with pytest.raises(Refused, match="expected an empty folder"):
        from trainers.tiny import main as tiny_main

        tiny_main(["--out", str(tiny)])
    assert main(["tiny", "--out", str(tmp_path / "out"), "--text", str(tmp_path / "nowhere")]) == 2
