"""The words, numbers, sizes and signs that a layer line is made of."""

import re
from typing import Any, NamedTuple

from archcalc.worksheet import words
from archcalc.worksheet.page import Sizes
from archcalc.worksheet.terms import sizes_in

_SIZES = (
    r"[0-9]{1,9}\s*@\s*[0-9]{1,9}\s*[xX*]\s*[0-9]{1,9}|[0-9]{1,9}\s*[xX*]\s*[0-9]{1,9}\s*@\s*[0-9]{1,9}|"
    r"\[\s*[0-9]{1,9}\s*\]|[(\[]\s*[0-9]{1,9}(?:(?:\s*[xX*]\s*[0-9]{1,9}){1,3}|(?:\s*,\s*[0-9]{1,9}){1,3})\s*[)\]]|[0-9]{1,9}(?:\s*[xX*]\s*[0-9]{1,9}){1,3}(?![0-9])"
)
_TOKEN = re.compile(
    rf"(?P<space>[\s,;.]+)|(?P<vgg>[cC][oO][nN][vV](?P<vgg_k>[1-9])-(?P<vgg_n>[0-9]{{2,4}})(?![0-9]))|(?P<lenet>[CSF][1-9](?![0-9A-Za-z=]))|"
    rf"(?P<sizes>{_SIZES})|(?P<number>[0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9])|[0-9]{{1,9}}(?![0-9.]))"
)
_SIGN = re.compile(r"[-=:/→@()\[\]+|]")
_INDEX = re.compile(r"[-_ #]?[0-9]{1,3}(?:[._-][0-9]{1,3})*[a-z]?(?![0-9a-z]|\s*[x*@]\s*[0-9])")


class Token(NamedTuple):
    """A part of a line; the 10 of ``Dense 10``, which may be a name or a count, stands with the name."""

    kind: str
    text: str
    sizes: Sizes = ()
    at: bool = False  # brackets or an @ stand with the sizes: a tensor's, not a kernel's


def tokens_of(plain: str, start: int, fields: dict[str, Any]) -> list[Token] | None:
    """Return the parts of a line from ``start`` on, None if one is no word of layer lines; ``conv3-64`` goes into the fields."""
    tokens: list[Token] = []
    small = words.lower(plain)
    place = start
    while place < len(plain):
        found = _TOKEN.match(plain, place)
        if found is None:
            place = _word(plain, small, place, tokens)
            if place < 0:
                return None
            continue
        kind, text = str(found.lastgroup), found[0]
        place = found.end()
        if found["space"]:
            continue
        if found["vgg"]:
            k = int(found["vgg_k"])
            if "op" in fields:
                return None
            fields.update(op="Conv2d", name=text, kernel=(k, k), count=int(found["vgg_n"]))
        elif found["lenet"]:
            tokens.append(Token("index", text))
        elif found["sizes"]:
            sizes = sizes_in(text)
            if sizes is None:
                listed = tuple(int(number) for number in re.findall("[0-9]+", text))
                if text[0] not in "[(":
                    return None
                tokens.append(Token("list", text, listed))
                continue
            tokens.append(Token("sizes", text, sizes[0], "@" in text or text[0] == "["))
        else:
            tokens.append(Token(kind, text))
    return tokens


def _word(plain: str, small: str, place: int, tokens: list[Token]) -> int:
    """Take the word or sign at this place, with the number behind an operator's; return where it ends, -1 if there is none."""
    operator = words.OPERATOR_LEXICON.at(small, place)
    if operator is not None:
        end = place + len(operator)
        index = _INDEX.match(small, end)
        if index is not None:
            tokens += _named(plain[place:end], plain[end : index.end()])
            return index.end()
    word = words.LAYER_LEXICON.at(small, place)
    if word is not None:
        tokens.append(Token("word", word))
        return place + len(word)
    sign = _SIGN.match(plain, place)
    if sign is None:
        return -1
    tokens.append(Token("sign", sign[0]))
    return sign.end()


def _named(operator: str, index: str) -> list[Token]:
    """Return the tokens of an operator's word with a number behind it: a name (``fc1``) or a count (``FC 4096``)."""
    bare = index.lstrip("-_ #")
    counted = index[0] in "- " and bare.isdigit() and int(bare) > 20
    tokens = [Token("word", operator)]
    if counted:
        return [*tokens, Token("number", bare)]
    return [
        *tokens,
        Token("index", operator + index, (int(bare),) if index[0] == " " and bare.isdigit() and int(bare) >= 10 else ()),
    ]
