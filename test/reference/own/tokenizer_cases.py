"""The tokenizers of the model families, small ones, on difficult strings: what the Rust library makes of them.

    python test/reference/own/tokenizer_cases.py

writes tokenizers/<family>/ beside this file: tokenizer.json (a vocabulary of some hundred tokens, learnt from the strings themselves) and case.json
with ids and decoded texts. Needs the package `tokenizers`. Formulas: the pre-tokenizers and decoders of the families' own tokenizer.json.
"""

import json
import os
import random
import shutil
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
HERE = Path(__file__).parent

import tokenizers as library
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPECIAL = ["<unk>", "<s>", "</s>"]
WORDS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|%s| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

STRINGS = [
    "", " ", "a", "Two words", "  indented", "at the end   ", "\n\n", "\t\t x\t", "a\r\nb\rc\n", "x \n \n y", "90210", "6.02e23", "a   7", "x  12    345", "0b11 0xFF",
    "½ ² ③ Ⅷ ٣٤ ४ 三", "isn't she'll I'VE 'tis o'clock's", "?!... ((]]", "snake_case kebab-case", "https://a.example/b?c=d&e=%20", "if (a != b) { return; }\n\t}",
    "犬が走る。", "猫在睡觉", "고양이", "Кошка спит", "قطة نائمة", "חתול", "बिल्ली सोती", "แมวนอน", "Ψάρι ΨΑΡΙ", "e\u0301 é A\u030a Å ﬁ", "ß ẞ ı İ ſ K", "a\u200bb\u200dc\u2060d",
    "\ufeffmark", "x\ufeffy \ufeff z", "\u202ertl \u2066x\u2069", "\u00a0a\u2003b\u3000c\u1680d", "\u0085next\u2028line\u2029", "\x00\x01\x1f\x7f", "👍🏽 👩‍👩‍👧 🇮🇸 🏴‍☠️", "𝒜𠀀\U0010fffd\ue000\ufffd",
    "Z͑ͫ̓a̴l̸g̨o", "<s>turn</s>\n<s>", "<s", "< s >", "<unk></s></s>x", "aaaaaaaaaaaaaaaa", "        eight", "=" * 20, "\\n \\u0041 \"q\" `t`",
]  # fmt: skip
PIECES = [
    list("abcxyzABC"), list("0123456789"), [" ", "  ", "   "], ["\n", "\r\n", "\t", " \n"], list(".,;:!?'\"(){}/|@#%-_="), list("犬猫고Кقטनไψ"), ["👍", "🏽", "\u200d", "🇮", "🇸"],
    ["\u200b", "\u0301", "\ufeff", "\u00a0", "\u0085", "\u2028", "\u3000"], ["é", "ß", "½", "²", "٣", "Ⅷ", "𝒜"], ["<s>", "</s>", "<s", "s>"], ["'s", "'LL", "n't"], [" the", "ing", "tion"],
]  # fmt: skip


def texts():
    source = random.Random(20)
    mixed = ["".join(source.choice(kind) for _ in range(source.randint(2, 9)) for kind in [source.choice(PIECES)]) for _ in range(60)]
    return STRINGS + mixed


def byte_level(pre_tokenizer, normalizer=None, ignore_merges=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizer, decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts(), trainers.BpeTrainer(vocab_size=340, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False))
    return tokenizer


def split(digits):
    pattern = pre_tokenizers.Split(Regex(WORDS % digits), "isolated")
    return pre_tokenizers.Sequence([pattern, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def sentence_piece(by_normalizer):
    """SentencePiece converted: spaces as a character of their own, bytes for what has no token."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if by_normalizer:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    every_byte = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer.train_from_iterator(
        ["the cat sat on the mat", "a dog ran", "犬 猫 é", "isn't 12"], trainers.BpeTrainer(vocab_size=330, special_tokens=SPECIAL + every_byte, show_progress=False)
    )
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["id"] < len(SPECIAL)]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return tokenizer


def write(family, tokenizer):
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    folder = HERE / "tokenizers" / family
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False), encoding="utf-8")
    encodings, decodings = [], []
    for text in texts():
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        encodings.append({"text": text, "ids": ids})
        for part in (ids, ids[: len(ids) // 2]):  # the half may end inside a character
            decodings.append({"ids": part, "text": tokenizer.decode(part, skip_special_tokens=False), "plain": tokenizer.decode(part, skip_special_tokens=True)})
    (folder / "case.json").write_text(json.dumps({"description": f"A tokenizer as {family} has it.", "encodings": encodings, "decodings": decodings, "tokenizers": library.__version__}) + "\n")


if __name__ == "__main__":
    shutil.rmtree(HERE / "tokenizers", ignore_errors=True)
    write("gpt2", byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False)))
    write("smollm", byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])))
    write("llama3", byte_level(split("\\p{N}{1,3}"), ignore_merges=True))
    write("qwen", byte_level(split("\\p{N}"), normalizers.NFC()))
    write("llama2", sentence_piece(by_normalizer=True))
    write("mistral", sentence_piece(by_normalizer=False))
