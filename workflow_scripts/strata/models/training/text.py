"""The words of Microworld's captions as a tokenizer that AutoTokenizer reloads."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SPECIAL = ("<pad>", "<bos>", "<unk>")


def words_of(lines: Iterable[str]) -> set[str]:
    """The tokens that captions are cut into."""
    return {word for line in lines for word in re.findall(r"\w+|[^\w\s]+", line.lower())}


def caption_tokenizer(words: Iterable[str], longest: int):
    """One token per word, with the end token's number the highest; texts are cut to `longest`.

    That is where CLIP pools, by either of transformers' ways: at the end token, or (for an end
    token of number 2) at the highest number.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    numbers = {word: i for i, word in enumerate([*_SPECIAL, *sorted(set(words)), "<eos>"])}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>",
        special_tokens=[(token, numbers[token]) for token in ("<bos>", "<eos>")],
    )
    roles = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=longest, padding_side="right", **roles
    )


def tokenize(tokenizer, lines: list[str]) -> dict:
    """Token numbers and mask (lines, tokens) as tensors, padded to the longest line."""
    batch = tokenizer(lines, padding=True, truncation=True, return_tensors="pt")
    return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
