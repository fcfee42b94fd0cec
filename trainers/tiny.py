"""Make a tiny random model, to try the pipeline with offline. It knows nothing: not for use.

    python -m trainers tiny --out DIR [--text FILE_OR_EXPORT_DIR]

A Llama of about 330,000 parameters with random weights, a byte-level BPE tokenizer of up to 4,096 tokens trained on
the text (without --text, on none: then a token is a byte), and a ChatML template. The same text and seed give the same
model.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from trainers.export import MESSAGES, Refused, open_export

CHATML = Path(__file__).with_name("chatml.jinja")
PAD, START, END = "<|pad|>", "<|im_start|>", "<|im_end|>"


def main(argv: list[str]) -> int:
    """Write the model. Returns 0; raises Refused for a folder that is in use or a text that is not there."""
    parser = argparse.ArgumentParser(
        prog="python -m trainers tiny", description="Make a tiny random model: not for use."
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="must be empty or not exist")
    parser.add_argument("--text", type=Path, metavar="FILE_OR_EXPORT_DIR", help="what to train the tokenizer on")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if args.out.is_file() or (args.out.is_dir() and any(args.out.iterdir())):
        raise Refused(f"--out {args.out}: expected an empty folder or none, found something there. Name another.")
    if args.text and not args.text.exists():
        raise Refused(f"--text {args.text}: no such file or folder.")
    parameters = make_tiny(args.out, texts(args.text), seed=args.seed)
    print(f"A random model of {parameters:,} parameters is in {args.out}. It knows nothing: only for trying things.")
    return 0


def texts(source: Path | None) -> Iterator[str]:
    """The lines of a file, or the train split's messages of an export."""
    if source is None:
        return
    if source.is_file():
        yield from source.read_text(encoding="utf-8").splitlines()
        return
    export = open_export(source, "preference", "sft")
    rows = export.sft_rows("train") if export.manifest["kind"] == "sft" else export.preference_rows("train")
    for side in (field.name for field in rows.schema if field.type == MESSAGES):
        for messages in rows[side].to_pylist():
            yield from (message["content"] for message in messages)


def make_tiny(out: Path, text: Iterator[str], *, seed: int = 0) -> int:
    """Write a tiny random causal language model and its tokenizer to `out`. Returns its number of parameters."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

    transformers.utils.logging.disable_progress_bar()
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        text,
        trainers.BpeTrainer(
            vocab_size=4096,
            special_tokens=[PAD, START, END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=PAD, eos_token=END, additional_special_tokens=[START]
    )
    tokenizer.chat_template = CHATML.read_text(encoding="utf-8")
    tokenizer.save_pretrained(out)
    set_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )
    model.save_pretrained(out)
    return model.num_parameters()
