"""What each column of the canonical rows means, in a line for a card: by kind and name; of no kind where all kinds agree."""

TURNS = "a list of messages"
CONFIDENCE = "of the consensus, from 0 to 1; null where a reviewer decided without one"

COLUMNS = {
    ("", "row_id"): "the row's name: the same whenever the same thing is exported",
    ("", "prompt"): f"{TURNS}; not repeated in the answers",
    ("", "completion"): f"{TURNS}: one of the assistant",
    ("", "annotations"): "the numbers of the judgements that the row rests on",
    ("", "annotators"): "the pseudonyms of those who gave them",
    ("", "annotation"): "the number of the judgement",
    ("", "annotator"): "the pseudonym of who gave it",
    ("", "prompt_id"): "the prompt's hash: the same in every task and dataset",
    ("", "split_group"): "the same for all that must share a split",
    ("", "task"): "the task's name",
    ("", "language"): "as a BCP 47 tag",
    ("", "question"): "the question's key",
    (
        "",
        "weight",
    ): "1 / (things of the prompt that got a label), shared by those who gave it one; a prompt sums to at most 1",
    ("", "confidence"): CONFIDENCE,
    ("", "label_source"): "votes, or adjudicated: a reviewer decided",
    ("", "votes"): "who said what, as JSON",
    ("preference", "chosen"): f"{TURNS}: the better answer alone",
    ("preference", "rejected"): f"{TURNS}: the worse answer alone",
    ("preference", "weight"): (
        "1 / (comparable pairs of the prompt), shared by the people who compared the pair; a prompt sums to at most 1"
    ),
    (
        "preference",
        "rank_gap",
    ): "how many tiers lie between the two; no measure of strength. Null where only a line does",
    ("preference", "pair_id"): "the same for A over B and B over A",
    ("preference", "margin"): "how much better, above 0: an explicit strength or a difference of ratings",
    (
        "preference",
        "soft_label",
    ): "the chance that the chosen one is better, a tie counted half. Not to be used with a margin",
    ("preference", "votes_chosen"): "how many people preferred the chosen one",
    ("preference", "votes_tie"): "how many found them equal",
    ("preference", "votes_rejected"): "how many preferred the rejected one",
    ("ranking", "completions"): (
        "all outputs: text, model, tier (1 is best, equal is a tie), whether the order knows it, whether it is acceptable"
    ),
    ("unpaired", "label"): "whether the answer is acceptable",
    ("unpaired", "votes_true"): "how many people found it so",
    ("unpaired", "votes_false"): "how many did not",
    ("rating", "completion"): f"{TURNS}: one of the assistant; empty where the question is about the task",
    ("rating", "attribute"): "the question's key",
    ("rating", "question_version"): "the version of the question",
    ("rating", "value"): "the rating; null for a choice",
    ("rating", "label"): "the chosen option, or a JSON list of them; null for a rating",
    ("violation", "completion"): f"{TURNS}: one of the assistant; empty where the question is about the task",
    ("violation", "rule"): "the rule, as key@version; its text is in `manifest.json`",
    ("violation", "degree"): "how far it is broken; 0 for not at all",
    ("violation", "spans"): "where: code points of the answer's text, the end excluded",
    ("judgement", "annotator_kind"): "person, imported, simulated or model",
    ("judgement", "human"): "whether a person judged",
    ("judgement", "reliability"): "of the annotator, from 0 to 1: what the judgement weighs beside others",
    ("judgement", "guideline"): "the version of the guideline that it was given under",
    ("judgement", "created_at"): "when, in ISO 8601",
    ("judgement", "outputs"): "what was judged: sha256 of the text, name, text, models",
    ("judgement", "tiers"): (
        "of each output its tier (1 is best, null is below all) and whether it is acceptable; one of which nothing is known is "
        "absent"
    ),
    ("judgement", "strength"): "of a comparison: by how many steps, from 1",
    ("judgement", "answers"): "answers to all other questions, as a JSON list",
    ("sft", "instance"): "which row of which dataset became this by which template",
    ("sft", "dataset"): "the dataset and its version",
    ("sft", "row"): "the row's number in the dataset",
    ("sft", "template"): "the template and its version",
}
