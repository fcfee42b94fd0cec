"""The weight of a judgement in the loss."""

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, set_seed
from trl import RewardConfig, RewardTrainer

from trainers.weighted import WeightedCollator, WeightedRewardTrainer


def make(cls, tiny, out, weights, **options):
    """A trainer over eight pairs of token ids that does two steps of four."""
    set_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    model = AutoModelForSequenceClassification.from_pretrained(tiny, num_labels=1, dtype=torch.float32)
    rows = {"chosen_ids": [[5, 6, 7 + n] for n in range(8)], "rejected_ids": [[9 + n, 8] for n in range(8)]}
    config = RewardConfig(
        output_dir=str(out), num_train_epochs=1, per_device_train_batch_size=4, learning_rate=1e-2, logging_steps=1,
        use_cpu=True, bf16=False, save_strategy="no", max_length=None, disable_tqdm=True,
        activation_checkpointing=False, dataloader_pin_memory=False,
    )  # fmt: skip
    data = Dataset.from_dict(rows | ({"weight": weights} if weights else {}))
    return cls(model=model, args=config, train_dataset=data, processing_class=tokenizer, **options)


def trained(cls, tiny, out, weights, **options):
    trainer = make(cls, tiny, out, weights, **options)
    trainer.train()
    return [log["loss"] for log in trainer.state.log_history if "loss" in log], trainer.model.state_dict()


def test_equal_weights_give_exactly_the_loss_and_the_model_of_trl(tiny, tmp_path):
    losses, state = trained(RewardTrainer, tiny, tmp_path, None)
    collator = WeightedCollator(pad_token_id=0)
    weighted = trained(WeightedRewardTrainer, tiny, tmp_path, [1.0] * 8, data_collator=collator)
    assert len(losses) == 2
    assert weighted[0] == losses
    assert all(torch.equal(weighted[1][name], tensor) for name, tensor in state.items())
    unequal = trained(WeightedRewardTrainer, tiny, tmp_path, [0.5, 1.5] * 4, data_collator=collator)
    assert unequal[0] != losses


def test_the_loss_is_the_weighted_mean_over_the_rows_of_a_batch(tiny, tmp_path):
    weights = [0.25, 0.5, 1.0, 2.25]
    collator = WeightedCollator(pad_token_id=0)
    trainer = make(WeightedRewardTrainer, tiny, tmp_path, [1.0] * 8, data_collator=collator)
    rows = [dict(trainer.train_dataset[n]) | {"weight": weights[n]} for n in range(4)]
    loss = trainer.compute_loss(trainer.model, collator(rows))
    by_hand = 0.0
    for row in rows:
        chosen, rejected = (
            trainer.model(input_ids=torch.tensor([row[side]])).logits.item() for side in ("chosen_ids", "rejected_ids")
        )
        by_hand += row["weight"] * -torch.nn.functional.logsigmoid(torch.tensor(chosen - rejected)).item() / 4
    assert loss.item() == pytest.approx(by_hand, abs=1e-5)
