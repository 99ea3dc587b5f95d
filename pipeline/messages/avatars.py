"""Sentences about avatars: packs, names and resolutions."""

from pipeline.messages.sentence import Sentence

# packs that cannot be used
PACK_TOO_LARGE = Sentence("pack_too_large", ko="너무 큽니다", en="is too large")
PACK_GONE = Sentence(
    "pack_gone",
    ko="아바타 파일을 읽을 수 없습니다: {file}.",
    en="The avatar file cannot be read: {file}.",
)
PACK_BROKEN = Sentence("pack_broken", ko="읽을 수 없습니다 ({reason})", en="cannot be read ({reason})")
PACK_WRONG = Sentence("pack_wrong", ko="내용이 올바르지 않습니다 ({reason})", en="has wrong contents ({reason})")
PACK_UNUSABLE = Sentence(
    "pack_unusable",
    ko="아바타 파일 {file}이(가) {why}. python -m pipeline.preparing으로 다시 만드세요.",
    en="The avatar file {file} {why}. Make it again with python -m pipeline.preparing.",
)

# pictures of avatars
NO_SUCH_AVATAR = Sentence(
    "no_such_avatar",
    ko="아바타 '{name:.60}'이(가) 없습니다.",
    en="There is no avatar '{name:.60}'.",
)
NO_AVATAR = Sentence("no_avatar", ko="아바타가 없습니다.", en="There is no avatar.")

# names, resolutions and paths of avatars
NAME_INVALID = Sentence(
    "name_invalid",
    ko="name '{name:.60}': 글자, 숫자, '-', '_'만 쓸 수 있고 '_720p' 같은 해상도로 끝날 수 없습니다.",
    en="name '{name:.60}': use letters, digits, '-' and '_', and do not end in a resolution such as '_720p'.",
)
NAME_TOO_LONG = Sentence(
    "name_too_long",
    ko="name '{name:.60}': 너무 깁니다. 파일 이름으로 {limit}바이트를 넘을 수 없습니다.",
    en="name '{name:.60}': too long. As the name of a file it may have at most {limit} bytes.",
)
RESOLUTION_UNKNOWN = Sentence(
    "resolution_unknown",
    ko="resolution {unknown}: {choices} 중에서 고르세요.",
    en="resolution {unknown}: choose from {choices}.",
)
AVATAR_UNKNOWN = Sentence(
    "avatar_unknown",
    ko="아바타 '{name:.60}'을(를) 찾을 수 없습니다. 사용 가능한 아바타: {choices}.",
    en="There is no avatar '{name:.60}'. Available avatars: {choices}.",
)
NO_SUCH_RESOLUTION = Sentence(
    "no_such_resolution",
    ko="아바타 '{name:.60}'은(는) 해상도 '{resolution:.20}'이(가) 없습니다. '{wanted}'의 사용 가능한 해상도: "
    "{choices}.",
    en="Avatar '{name:.60}' has no resolution '{resolution:.20}'. Resolutions of '{wanted}': {choices}.",
)
NO_AVATAR_AT_PATH = Sentence(
    "no_avatar_at_path",
    ko="avatar_path '{avatar_path:.120}': {folder}/ 안에 그런 아바타 파일(.pkl)이 없습니다. GET /api/avatars가 알려 "
    "주는 path를 사용하세요.",
    en="avatar_path '{avatar_path:.120}': there is no such avatar file (.pkl) inside {folder}/. Use a path that GET "
    "/api/avatars lists.",
)

# what a request asks of the pictures
ASPECT_TOO_NARROW = Sentence(
    "aspect_too_narrow",
    ko="aspect: {aspect}에는 이 아바타의 머리가 다 들어가지 않습니다. 쓸 수 있는 값: {choices}",
    en="aspect: the head of this avatar does not fit into {aspect}. Choose one of: {choices}",
)
RATE_IMPOSSIBLE = Sentence(
    "rate_impossible",
    ko="fps: 이 아바타의 영상은 초당 {own:g}프레임이어서 {rate}(으)로는 움직임이 너무 달라집니다. 쓸 수 있는 값: "
    "{choices}",
    en="fps: the clip of this avatar has {own:g} frames per second; at {rate} it would move too differently. Choose "
    "one of: {choices}",
)
NO_CONSENT_RECORD = Sentence(
    "no_consent_record",
    ko="아바타 '{name}'에는 동의 기록이 없습니다. 올려서 만든 아바타에만 있습니다.",
    en="There is no record of consent for the avatar '{name}'. Only uploaded avatars have one.",
)
CONSENT_BY_TOO_LONG = Sentence(
    "consent_by_too_long",
    ko="consent_by: 동의를 확인한 사람을 {limit}자 안으로 적어 주세요.",
    en="consent_by: name who confirms the consent in {limit} characters at most.",
)
