"""How well a language model predicts held-out completions, and what it writes by itself."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trainers.heldout import rate, ratio

if TYPE_CHECKING:
    from transformers import Trainer

FIGURES = ("loss_before_training", "loss", "loss_fall", "perplexity_before_training", "perplexity")
MATCHES = ("exact_match_before_training", "exact_match")
UNIT = "split_groups"
IGNORED = -100  # the label of a token that is not to be predicted


def completion_length(row: dict[str, Any]) -> int:
    """The number of tokens to be predicted: the answer and its end of turn."""
    return sum(label != IGNORED for label in row["labels"])


def token_losses(trainer: "Trainer", rows: Sequence[dict[str, Any]]) -> list[float]:
    """For each row, the negative log-likelihood in nats of its completion, summed over its tokens.

    Raises FloatingPointError for one that is not finite. Uses the forward pass that TRL gave the model, which
    computes the tokens' log-probabilities without holding all logits.
    """
    import torch

    model, device, losses = trainer.model.eval(), trainer.args.device, [0.0] * len(rows)
    size = 2 * trainer.args.per_device_train_batch_size
    ordered = sorted(range(len(rows)), key=lambda at: (len(rows[at]["input_ids"]), at))  # alike in length: no padding
    # After training the trainer's autocast stays on the model; saying it here too makes before and after alike.
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=trainer.args.bf16):
        for start in range(0, len(ordered), size):
            batch = ordered[start : start + size]
            inputs = trainer.data_collator([{key: rows[at][key] for key in ("input_ids", "labels")} for at in batch])
            inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
            log_probs = model(**inputs, fused_lm_head=True).log_probs  # zero where the label is ignored
            for at, loss in zip(batch, (-log_probs.double().sum(dim=1)).tolist(), strict=True):
                losses[at] = loss
    if not all(math.isfinite(loss) for loss in losses):
        raise FloatingPointError("some losses are not finite: training diverged; try a lower --learning-rate")
    return losses


def no_figures(reason: str, *, generated: bool) -> dict[str, Any]:
    """All figures of `loss_figures`, and those of what it writes, undefined for the reason given."""
    return {name: {"undefined": reason} for name in (*FIGURES, *(MATCHES if generated else ()))}


def loss_figures(
    rows: Sequence[dict[str, Any]], before: Sequence[float], after: Sequence[float], *, seed: int
) -> dict[str, Any]:
    """Loss and perplexity before and after training, and by how much the loss fell.

    The loss is the mean over all tokens of all completions of the split, so that a long completion weighs more than a
    short one; it is no mean of rows or of batches. Perplexity is e to its power. Intervals resample split groups; that
    of the fall takes the same rows before and after. Needs at least one row.
    """
    groups, tokens = [row["split_group"] for row in rows], [completion_length(row) for row in rows]
    counts = {"rows": len(rows), "tokens": sum(tokens), UNIT: len(set(groups))}
    fall = [first - last for first, last in zip(before, after, strict=True)]
    named = {"loss_before_training": before, "loss": after, "loss_fall": fall}
    found = {name: ratio(totals, tokens, groups, seed=seed) for name, totals in named.items()}
    for name in ("loss_before_training", "loss"):
        found[name.replace("loss", "perplexity")] = {key: _exp(value) for key, value in found[name].items()}
    return {name: found[name] | counts for name in FIGURES}


def _exp(value: float | None) -> float | None:
    try:
        return None if value is None else math.exp(value)
    except OverflowError as error:
        raise FloatingPointError("the perplexity is too large: training diverged; lower --learning-rate") from error


def by_template(
    rows: Sequence[dict[str, Any]], before: Sequence[float], after: Sequence[float]
) -> list[dict[str, Any]]:
    """The losses for each template of each dataset, as means over its tokens, without intervals."""
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0, 0.0, 0.0])
    for row, first, last in zip(rows, before, after, strict=True):
        of = sums[row["dataset"], row["template"]]
        for at, value in enumerate((1, completion_length(row), first, last)):
            of[at] += value
    return [
        {
            "dataset": dataset,
            "template": template,
            "rows": count,
            "tokens": tokens,
            "loss_before_training": first / tokens,
            "loss": last / tokens,
        }
        for (dataset, template), (count, tokens, first, last) in sorted(sums.items())
    ]


def answers(trainer: "Trainer", rows: Sequence[dict[str, Any]], stops: set[int]) -> list[str]:
    """What the model writes after each prompt, greedily, up to the end of its turn.

    It may write as many tokens as the row's own completion has: what is longer is no match in any case.
    """
    import torch

    model, device, texts = trainer.model.eval(), trainer.args.device, []
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=trainer.args.bf16):
        for row in rows:  # one at a time: padding cannot change anything
            length = completion_length(row)
            prompt = torch.tensor([row["input_ids"][:-length]], device=device)
            written = model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=length,
                do_sample=False,
                num_beams=1,
                repetition_penalty=1.0,  # a model may ship with another
                eos_token_id=sorted(stops),
                pad_token_id=trainer.processing_class.pad_token_id,
            )[0, prompt.shape[1] :].tolist()
            end = next((at for at, token in enumerate(written) if token in stops), None)
            texts.append(trainer.processing_class.decode(written[:end]).strip())
    return texts


def match_figures(
    rows: Sequence[dict[str, Any]], before: Sequence[str], after: Sequence[str], *, seed: int
) -> dict[str, Any]:
    """The share of rows whose written text is the completion, without regard to white space at its ends."""
    wanted, groups = [completion(row) for row in rows], [row["split_group"] for row in rows]
    return {
        name: rate([float(a == b) for a, b in zip(wanted, texts, strict=True)], groups, seed=seed, unit=UNIT)
        for name, texts in zip(MATCHES, (before, after), strict=True)
    }


def completion(row: dict[str, Any]) -> str:
    """The text of a row's completion."""
    return row["completion"][0]["content"].strip()
