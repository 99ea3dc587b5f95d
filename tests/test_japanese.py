"""How Japanese is read aloud."""

from __future__ import annotations

import importlib.util

import pytest

from pipeline.core.cancel import CancelToken
from pipeline.text.japanese import reading
from pipeline.text.reading import read_aloud
from pipeline.tts.espeak import EspeakEngine

with_janome = pytest.mark.skipif(importlib.util.find_spec("janome") is None, reason="Janome is not installed here")


@with_janome
def test_kanji_are_read_in_kana() -> None:
    assert read_aloud("私は東京へ行く", "ja") == "ワタシワトウキョウエイク"


@with_janome
@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("３人と四人、何人", "サンニンとヨニン、ナンニン"),
        ("5月、15%、３.5％", "ゴガツ、ジュウゴパーセント、サンテンゴパーセント"),
        ("1,300円と8000年", "センサンビャクエンとハッセンネン"),
        ("2024年", "ニセンニジュウヨネン"),
        ("100 1000 10000 0 007", "ヒャク セン イチマン ゼロ ゼロゼロナナ"),
        ("12345678901234567", "イチニサンヨンゴロクナナハチキュウゼロイチニサンヨンゴロクナナ"),
        ("7時と9時", "シチジとクジ"),
        ("300 600 800 3000 8000", "サンビャク ロッピャク ハッピャク サンゼン ハッセン"),
        ("", ""),
    ],
)
def test_numbers_are_read_as_people_say_them(written: str, spoken: str) -> None:
    pieces = reading(written)
    assert "".join(piece.spoken for piece in pieces) == spoken
    assert [piece.start for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]
    assert (pieces[0].start, pieces[-1].end) == (0, len(written)) if written else not pieces


@with_janome
def test_every_piece_knows_where_it_comes_from() -> None:
    text = "こんにちは、 面接へようこそ。\n"
    pieces = reading(text)
    assert [piece.start for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]
    assert (pieces[0].start, pieces[-1].end) == (0, len(text))


@with_janome
def test_espeak_speaks_the_word_and_not_the_name_of_the_letter() -> None:
    speech = EspeakEngine().synthesize("面接へ", "ja", CancelToken())
    kana = EspeakEngine().synthesize("メンセツエ", "ja", CancelToken())
    assert [mark.text for mark in speech.marks] == [mark.text for mark in kana.marks]


def test_kana_come_back_as_they_are() -> None:
    assert read_aloud("こんにちは、カタカナです。", "ja") == "こんにちは、カタカナです。"
