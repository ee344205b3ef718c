"""The words of Microworld's captions as a tokenizer that AutoTokenizer reloads."""

from __future__ import annotations

from strata.data.microworld import vocabulary

_FUNCTION_WORDS = ("a", "an", "background", "in", "object", "on", "the", "with")
_SPECIAL = ("<pad>", "<bos>", "<unk>")
MAX_TOKENS = 24


def caption_tokenizer():
    """One token per word of the captions, with the end token's number the highest.

    That is where CLIP pools, by either of transformers' ways: at the end token, or (for an end
    token of number 2) at the highest number.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [*_SPECIAL, *sorted({*_FUNCTION_WORDS, *vocabulary()}), "<eos>"]
    numbers = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>",
        special_tokens=[(token, numbers[token]) for token in ("<bos>", "<eos>")],
    )
    roles = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=MAX_TOKENS, padding_side="right", **roles
    )


def tokenize(tokenizer, lines: list[str]) -> dict:
    """Token numbers and mask (lines, tokens) as tensors, padded to the longest line."""
    batch = tokenizer(lines, padding=True, truncation=True, return_tensors="pt")
    return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
