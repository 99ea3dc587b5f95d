"""Removes what is written for the eye only: Markdown, emoji, arrows, styled letters.

The result is what is spoken and what the captions show, in its own spelling. Line ends stay, since they are pauses.
"""

from __future__ import annotations

import html
import re
import unicodedata

from pipeline.text.cues import STAND_INS, Cue, found, marked, without_cues

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_BREAK = re.compile(r"</?(?:br|p|div|li|ul|ol|h[1-6]|tr|table|hr|blockquote)\b[^<>\n]{0,200}>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:a|b|i|u|s|em|strong|span|code|pre|sub|sup|small|big|mark|del|ins|kbd|font|img|td|th|thead|tbody|center|"
    r"details|summary|video|audio|source|input|button|label)\b[^<>\n]{0,500}/?>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[\da-f]{1,6}|amp|lt|gt|quot|apos|nbsp|middot|hellip|mdash|ndash);", re.IGNORECASE)

_BLANK_LINE = re.compile(r"[ \t]*(?:(?:[-*_=~+#][ \t]*){2,}|[|:\- \t]*-[|:\- \t]*\|[|:\- \t]*|\|[|:\- \t]*)[ \t]*")
"""A rule, the underline of a heading, or the separator under the head of a table."""
_DEFINITION = re.compile(r"[ \t]*\[[^\]\n]{1,100}\]:[ \t]*<?(?:https?://|[/#.])\S*.*")
_LINE_START = re.compile(
    r"[ \t]*(?:>[ \t]?)*[ \t]*"
    r"(?:#{1,6}[ \t]+|[•‣⁃∙▪▫■□●○◦◆◇▶▷►▸★☆✓✔☑✅※→⇒➜➤❖◎✱✻❏❑➔][ \t]*|[-*+·・][ \t]+)?"
    r"(?:\[[ xX]\][ \t]+|\[\^[^\]\n]{1,100}\]:[ \t]*)?"
)
"""The beginning of a quoted line, a heading, a list item and a task."""
_HEADING_END = re.compile(r"[ \t]+#+[ \t]*$")
_PICTURE_OR_LINK = re.compile(
    r"!?\[((?:[^\[\]\n]|\[[^\[\]\n]*\]){0,500})\]"
    r"(?:\([^()\n]{0,2000}(?:\([^()\n]*\)[^()\n]*)?\)|\[[^\]\n]{0,100}\])"
)
_FOOTNOTE = re.compile(r"\[\^[^\]\n]{1,100}\]")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)?[^<>\s]{1,1000}(?:\.|@)[^<>\s]{1,1000})>")
_CODE = re.compile(r"(?<!`)(`{1,3})(?!`)([^`\n]+)\1(?!`)")
_EMPHASIS = (
    re.compile(r"(\*{1,3})(?=\S)([^*\n]+?)(?<=\S)\1"),
    re.compile(r"(?<![\w_])(_{1,3})(?=\S)([^\n]+?)(?<=\S)\1(?![\w_])"),
    re.compile(r"(~~|==|\|\|)(?=\S)([^\n]+?)(?<=\S)\1"),
)
_ESCAPED = re.compile(r"\\(?:[`*_#~|\\]|(?=[{}\[\]()+\-.!<>$]))")
_MATH = re.compile(r"\$\$?(?=[^\d\s$])([^$\n]{1,200}?)(?<=\S)\$\$?")
_ARROW = re.compile(
    r"[ \t]*(?:<?[-=]{1,3}>|<[-=]{1,3}(?=[ \t])|[\u2190-\u21ff\u2794\u2798-\u27af\u27b1-\u27be\u27f0-\u27ff"
    r"\u2900-\u297f\u2b00-\u2b11\u2b30-\u2b4f\u2022\u2023\u2043])"
    r"[ \t\ufe0e\ufe0f]*"
)
_RANGE = re.compile(
    r"(?<=[\w%℃°)])([ \t]?)[~∼〜～](?=[ \t]?(?:[\d$₩€£¥￦]|[가-힣]{0,3} ?\d|[월화수목금토일](?![가-힣])"
    r"|[A-Za-z가나다라마바사하](?![A-Za-z가-힣])))"
)
"""A tilde that is spoken."""
_KEPT_RANGE = "\ue000"
"""Stands for a spoken tilde while the others are removed."""
_PAUSE = "\ue001"
"""Stands for an arrow or a bullet until it is known that there are words on both sides."""
_USELESS_PAUSE = re.compile(rf"^[\s{_PAUSE}]+|[\s{_PAUSE}]+$|[\s{_PAUSE}]*{_PAUSE}[\s{_PAUSE}]*(?=[{_PAUSE},.!?;:)\]])")
_DOUBLED_PAUSE = re.compile(rf"(?<=[,.!?;:(\[])[\s{_PAUSE}]*{_PAUSE}[\s{_PAUSE}]*")
_EMOTICON = re.compile(r"(?<![\w^])\(?\^[_.ㅡ-]*\^[;~]*\)?|(?<!\w)T[_.]+T(?!\w)|(?<!\w)[:;=]-?[)(DPp](?![\w)])")
_KEYCAP = re.compile("([0-9#*])\ufe0f?\u20e3")
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]{2}")
_TAGS_AND_JOINERS = re.compile(
    "[\u200b\u200e\u200f\u2060\ufeff\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f\U0001f3fb-\U0001f3ff]"
    r"|\u200d(?=\W|$)"
)
_COSTUMES = re.compile(
    "[\u2102\u210a-\u2113\u2115\u2119-\u211d\u2124\u2128\u212c-\u2131\u2133-\u2134\u2139\u2460-\u249b\u249c-\u24ff"
    "\u2776-\u2793\ufb00-\ufb06\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uff9f"
    "\U0001d400-\U0001d7ff\U0001f100-\U0001f10c\U0001f110-\U0001f1ad]+"
)
"""Letters and digits in a style: bold, script, circled, full-width."""
_KEPT_SYMBOLS = frozenset("°℃℉%‰+=<>×÷±−√∞≠≤≥≈∼∽^|~$₩€£¥￦￡￥¢№™®©㈜㎏㎡㎞㎝㎜㎖ℓ´`¨¯∶")
_LEFT = re.compile(
    r"(?<![\w)])(?<!\d )[*#~]+(?!\d)|(?<!\d)(?<!\d )[*]+(?![\w(])|(?<![A-Za-z0-9])#+(?=\s|$)|~+|`+|\||[※†‡¶❝❞]"
)
_MANY_BLANKS = re.compile(r"[ \t\u00a0]+")
_BEFORE_MARK = re.compile(r"[ \t]+([,.!?;:。、，！？])(?=[\s]|$)")


def spoken_text(text: str) -> str:
    """Return the part of a text that is spoken, line by line.

    A text without markup stays as it is, except for repeated blanks. Code blocks are left out, unless there is nothing
    else, and so are cues (see ``pipeline.text.cues``).
    """
    return _cleaned(without_cues(text))


def spoken_with_cues(text: str) -> tuple[str, tuple[Cue, ...]]:
    """Return the part of a text that is spoken, and its cues."""
    spoken = spoken_text(text)
    return spoken, found(_cleaned(marked(text)), spoken)


def _cleaned(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    without_code = _FENCE.sub("\n", text)
    text = without_code if any(map(str.isalnum, without_code)) else _FENCE.sub(r"\2", text)
    text = _TAG.sub("", _BREAK.sub("\n", _COMMENT.sub(" ", text)))
    text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    lines = ((line, _line(line)) for line in _in_plain_letters(text).split("\n"))
    spoken = "\n".join(rest for line, rest in lines if rest or not line.strip()).strip()
    spoken = re.sub(r"\n{3,}", "\n\n", spoken)
    return spoken if any(map(str.isalnum, spoken)) else re.sub(rf"[^\w\s{STAND_INS}]|_", " ", text).strip()


def _line(line: str) -> str:
    """Return a line as it is spoken; "" if nothing of it is."""
    if _BLANK_LINE.fullmatch(line) or _DEFINITION.fullmatch(line):
        return ""
    start = _LINE_START.match(line)
    line = _HEADING_END.sub("", line[start.end() if start else 0 :])
    line = _PICTURE_OR_LINK.sub(r"\1", _PICTURE_OR_LINK.sub(r"\1", line))
    line = _AUTOLINK.sub(r"\1", _FOOTNOTE.sub("", line))
    line = _ESCAPED.sub("", _CODE.sub(r"\2", line))
    line = _EMPHASIS[-1].sub(r"\2", line)
    if line.count("|") > 1 or line.startswith("|"):
        line = ", ".join(cell.strip() for cell in line.strip().strip("|").split("|") if cell.strip())
    for mark in (*_EMPHASIS, _EMPHASIS[0]):  # bold within italics, and vice versa
        line = mark.sub(r"\2", line)
    line = _MATH.sub(r"\1", line)
    line = _ARROW.sub(_PAUSE, _EMOTICON.sub("", line))
    line = _RANGE.sub(rf"\1{_KEPT_RANGE}", line)
    line = re.sub(r"(?<=\w)[~|]+(?=\w)", " ", line)
    line = _LEFT.sub("", line).replace(_KEPT_RANGE, "~")
    line = "".join(letter if _is_spoken(letter) or letter == _PAUSE else " " for letter in line)
    line = _DOUBLED_PAUSE.sub(" ", _USELESS_PAUSE.sub("", _MANY_BLANKS.sub(" ", line))).replace(_PAUSE, ", ")
    return _BEFORE_MARK.sub(r"\1", line).strip()


def _in_plain_letters(text: str) -> str:
    """Replace styled letters with plain ones, and remove what colours and joins emoji."""
    text = _FLAG.sub(" ", _KEYCAP.sub(r"\1", text))
    text = _COSTUMES.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return _TAGS_AND_JOINERS.sub("", text)


def _is_spoken(letter: str) -> bool:
    """Return whether a letter is spoken, that is, no picture, ornament or letter without meaning."""
    kind = unicodedata.category(letter)
    if kind in ("So", "Sk", "Sm", "Co", "Cn"):
        return (
            letter in _KEPT_SYMBOLS
            or letter in STAND_INS
            or "\u3200" <= letter <= "\u33ff"
            or "\u2150" <= letter <= "\u218b"
        )
    return kind != "Cf" or letter in "\u200c\u200d"
