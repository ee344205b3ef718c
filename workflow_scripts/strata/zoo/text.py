"""The words of Microworld's captions as a tokenizer that AutoTokenizer reloads."""

from __future__ import annotations

from strata.data.microworld import vocabulary

_FUNCTION_WORDS = ("a", "an", "background", "in", "object", "on", "the", "with")
_SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
MAX_TOKENS = 24


def caption_tokenizer():
    """One token per word of the captions; the end token comes last and is where CLIP pools."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [*_SPECIAL, *sorted({*_FUNCTION_WORDS, *vocabulary()})]
    numbers = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 1), ("<eos>", 2)]
    )
    roles = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=MAX_TOKENS, padding_side="right", **roles
    )


def tokenize(tokenizer, lines: list[str]) -> dict:
    """Token numbers and mask (lines, tokens) as tensors, padded to the longest line."""
    batch = tokenizer(lines, padding=True, truncation=True, return_tensors="pt")
    return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
