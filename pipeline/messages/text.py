"""Sentences about texts: SSML and pronunciations."""

from pipeline.messages.sentence import Sentence

SSML_BROKEN = Sentence(
    "ssml_broken",
    ko="text: SSML을 읽을 수 없습니다 ({line}번째 줄 {column}번째 글자: {reason}). 태그를 모두 닫고, 글에 있는 &와 <는 "
    "&amp;와 &lt;로 써 주세요.",
    en="text: this SSML is not well formed (line {line}, character {column}: {reason}). Close every tag, and write & "
    "and < as &amp; and &lt;.",
)
SSML_TAGS_UNKNOWN = Sentence(
    "ssml_tags_unknown",
    ko="text: 쓸 수 없는 SSML 태그입니다: {tags}. 쓸 수 있는 태그: {choices}",
    en="text: these SSML tags cannot be used: {tags}. Those that can: {choices}",
)
SSML_SILENT = Sentence(
    "ssml_silent",
    ko="text: <break>의 쉼이 모두 {seconds:g}초입니다. 한 글에서는 {limit:g}초까지 쉴 수 있습니다.",
    en="text: the pauses of <break> are {seconds:g} s together. One text can have {limit:g} s of them.",
)
SSML_DOCTYPE = Sentence(
    "ssml_doctype",
    ko="text: SSML에는 DOCTYPE과 엔티티를 쓸 수 없습니다. <speak>로 시작해 주세요.",
    en="text: SSML must have no DOCTYPE and no entities. Begin it with <speak>.",
)
SSML_ATTRIBUTE = Sentence(
    "ssml_attribute",
    ko="text: <{tag}>의 {attribute}={value}은(는) 쓸 수 없습니다. 쓸 수 있는 값: {choices}",
    en="text: <{tag}> cannot have {attribute}={value}. It can be: {choices}",
)
SSML_ATTRIBUTES_UNKNOWN = Sentence(
    "ssml_attributes_unknown",
    ko="text: <{tag}>에 쓸 수 없는 속성입니다: {attributes}. 쓸 수 있는 속성: {choices}",
    en="text: <{tag}> cannot have these attributes: {attributes}. Those that it can have: {choices}",
)
SSML_NESTED = Sentence(
    "ssml_nested",
    ko="text: <{inner}>은(는) <{outer}> 안에 둘 수 없습니다.",
    en="text: <{inner}> cannot stand within <{outer}>.",
)
SSML_SOUND_UNKNOWN = Sentence(
    "ssml_sound_unknown",
    ko="text: <phoneme>의 ph에 알 수 없는 기호 '{sound}'이(가) 있습니다. 국제 음성 기호(IPA)로 써 주세요.",
    en="text: ph of <phoneme> has an unknown symbol '{sound}'. Write it in the International Phonetic Alphabet.",
)
PRONUNCIATIONS_INVALID = Sentence(
    "pronunciations_invalid",
    ko='pronunciations: {{"SQL": "에스큐엘"}} 또는 {{"ko": {{"SQL": "에스큐엘"}}}} 형태여야 합니다 ({entry}).',
    en='pronunciations: expected {{"SQL": "sequel"}} or {{"en": {{"SQL": "sequel"}}}} ({entry}).',
)
PRONUNCIATIONS_TOO_MANY = Sentence(
    "pronunciations_too_many",
    ko="pronunciations: {limit}개까지 쓸 수 있습니다 ({count}개입니다).",
    en="pronunciations: {limit} entries at most ({count} are given).",
)
