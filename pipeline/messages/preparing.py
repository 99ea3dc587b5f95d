"""Sentences about making an avatar: errors and the report."""

from pipeline.messages.sentence import Sentence

# size and length of files
TOO_MANY_PIXELS = Sentence(
    "too_many_pixels",
    ko="{file}: 너무 큽니다 ({width}x{height}). {limit} 픽셀 이하로 줄이세요.",
    en="{file} is too large ({width}x{height}). Make it {limit} pixels or fewer.",
)
HUNDRED_MILLIONS = Sentence("hundred_millions", ko="{count}억", en="{count}00 million")
MILLIONS = Sentence("millions", ko="{count}00만", en="{count} million")
TOO_NARROW = Sentence(
    "too_narrow",
    ko="{file}: 너무 길쭉합니다 ({width}x{height}). 긴 변이 짧은 변의 {limit}배 이하가 되게 자르세요.",
    en="{file} is too long and narrow ({width}x{height}). Crop it: its long side may be at most {limit} times its "
    "short one.",
)
PART_TOO_SHORT = Sentence(
    "part_too_short",
    ko="{file}: 사용할 부분이 {length:.2f}초입니다. {shortest}초 이상이어야 하고, 5초 이상을 권합니다.",
    en="{file}: the part to use is {length:.2f} s long. It must be {shortest} s or more, better 5 s.",
)
CLIP_TOO_LONG = Sentence(
    "clip_too_long",
    ko="{file}: 너무 깁니다 ({length:.0f}초). start와 end로 {limit:.0f}초 이하를 고르세요.",
    en="{file} is too long ({length:.0f} s). Choose {limit:.0f} s or less with start and end.",
)

# faces in a clip
NO_FACE = Sentence(
    "no_face",
    ko="얼굴을 찾지 못했습니다. 사람의 얼굴이 정면으로, 너비 60픽셀 이상으로 나오는 영상이나 사진을 사용하세요.",
    en="No face was found. Use a clip or photo that shows a person's face from the front, 60 pixels wide or more.",
)

# reading a clip
NO_VIDEO = Sentence(
    "no_video",
    ko="{file}: 영상이 없는 파일입니다. 얼굴이 나오는 동영상을 넣으세요.",
    en="{file} has no picture. Give a video that shows a face.",
)
CLIP_NOT_READABLE = Sentence(
    "clip_not_readable",
    ko="{file}: 동영상을 읽을 수 없습니다 ({reason:.120}). 재생되는 파일인지 확인하고 mp4로 다시 저장해 보세요.",
    en="{file} cannot be read ({reason:.120}). Check that it plays, and try saving it again as mp4.",
)

# what is left out of a clip
HIDDEN_PART = Sentence(
    "hidden_part",
    ko="다시 인코딩하지 않고 잘라낸 영상입니다. 파일에 남아 있지만 재생되지 않는 부분({part})은 쓰지 않았습니다.",
    en="The clip was trimmed without being encoded again. The file still holds a part that no player shows, which was "
    "left out: {part}.",
)
LOST_PART = Sentence(
    "lost_part",
    ko="영상의 첫 부분({part})은 읽을 수 없어 쓰지 않았습니다. 앞이 잘린 영상으로 보입니다.",
    en="The clip begins in the middle of a recording. Its first part cannot be decoded and was left out: {part}.",
)
FRAMES = Sentence("frames", ko="{count}프레임, {seconds:.1f}초", en="{count} frames ({seconds:.1f} s)")
ONE_FRAME = Sentence("one_frame", ko="{count}프레임, {seconds:.1f}초", en="{count} frame ({seconds:.1f} s)")

# problems of a clip
FACE_MISSING = Sentence(
    "face_missing",
    ko="얼굴이 보이지 않는 부분에서는 입이 움직이지 않습니다. 얼굴이 계속 보이게 찍으세요.",
    en="Where no face is visible, the mouth does not move. Keep the face in view.",
)
FACE_TURNED = Sentence(
    "face_turned",
    ko="45도 넘게 돌아간 부분에서는 입이 움직이지 않습니다. 카메라를 바라보세요.",
    en="Where the face is turned by more than 45 degrees, the mouth does not move. Face the camera.",
)
FACE_COVERED = Sentence(
    "face_covered",
    ko="얼굴이 가려진 부분에서는 입이 움직이지 않습니다. 손이나 마이크를 얼굴에서 떨어뜨리세요.",
    en="Where the face is covered, the mouth does not move. Keep hands and microphones away from it.",
)
MOUTH_MAYBE_COVERED = Sentence(
    "mouth_maybe_covered",
    ko="무언가가 입을 가리고 있는 것 같습니다. 그렇다면 그 위에 입이 그려집니다. 입이 보이는 파일을 사용하세요.",
    en="Something seems to cover the mouth. If so, a mouth is drawn over it: use a file that shows the mouth.",
)
FACE_SMALL = Sentence(
    "face_small",
    ko="얼굴 너비가 {width:.0f}픽셀로 작습니다. {least:.0f}픽셀 이상이면 입이 더 선명합니다.",
    en="The face is {width:.0f} pixels wide. From {least:.0f} pixels on the mouth is clearer.",
)
FACE_SOFT = Sentence(
    "face_soft",
    ko="얼굴이 흐립니다. 초점을 맞추고, 더 밝은 곳에서 더 높은 화질로 찍으세요.",
    en="The face is soft. Focus on it, use more light and a higher quality.",
)
MOUTH_OPEN = Sentence(
    "mouth_open",
    ko="입이 열려 있거나 말하고 있습니다. 다문 입을 추정했지만, 입을 다물고 찍은 영상이 더 자연스럽습니다.",
    en="The mouth is open, or the person speaks. Its closed shape was estimated; a clip with the mouth closed looks "
    "better.",
)
CLIP_CUT = Sentence(
    "clip_cut",
    ko="편집된 영상이라 한 장면({begin:.1f}초-{end:.1f}초)만 사용했습니다. 다른 장면은 얼굴 번호나 start와 end로 "
    "고르세요.",
    en="The clip is cut: only one shot of it is used, from {begin:.1f} to {end:.1f} s. Choose another one by its "
    "face, or by start and end.",
)

# the report about the teeth
FACE_TOO_SMALL_FOR_TEETH = Sentence("face_too_small_for_teeth", ko="얼굴이 너무 작습니다.", en="The face is too small.")
TEETH_SELDOM_VISIBLE = Sentence(
    "teeth_seldom_visible",
    ko="정면에서 이가 보이는 프레임이 부족합니다.",
    en="Too few frames show teeth in a face turned to the camera.",
)
TEETH_BARELY_VISIBLE = Sentence(
    "teeth_barely_visible",
    ko="앞니가 충분히 보이지 않습니다.",
    en="Too little of the front teeth is visible.",
)
TEETH_COLOUR_ONLY = Sentence(
    "teeth_colour_only",
    ko="앞니의 {seen:.0%}만 아래 끝까지 또렷하여 치아의 색만 사용합니다.",
    en="Only {seen:.0%} of the front teeth are clear down to their edge: only their colour is used.",
)
TEETH_FOUND = Sentence(
    "teeth_found",
    ko="{frames}개 프레임에서 본인의 치아를 찾았습니다.",
    en="The person's own teeth were found in {frames} frames.",
)

# photos
PHOTO_NOT_READABLE = Sentence(
    "photo_not_readable",
    ko="{file}: 사진을 읽을 수 없습니다. JPEG나 PNG로 다시 저장해 보세요.",
    en="{file} cannot be read as a photo. Try saving it again as JPEG or PNG.",
)
NO_FACE_IN_PHOTO = Sentence(
    "no_face_in_photo",
    ko="사진에서 사람의 얼굴을 찾지 못했습니다. 정면을 보는, 너비 60픽셀 이상의 얼굴이 나오는 사진을 사용하세요.",
    en="No person's face was found in the photo. Use one with a face from the front, 60 pixels wide or more.",
)

# frames that can be used
MOUTH_COVERED = Sentence(
    "mouth_covered",
    ko="입이 계속 가려져 있습니다(마스크, 마이크, 손, 자막 등). 입이 보이는 파일을 사용하세요.",
    en="The mouth is covered throughout (a mask, a microphone, a hand, text...). Use a file that shows it.",
)
NO_USABLE_FRAME = Sentence(
    "no_usable_frame",
    ko="쓸 수 있는 프레임이 없습니다. 얼굴이 계속 45도 넘게 돌아가 있거나 가려져 있습니다. 정면을 보는 영상을 "
    "사용하세요.",
    en="No frame can be used: the face is turned away by more than 45 degrees, or covered, throughout. Use a clip of "
    "a person facing the camera.",
)
FACE_TOO_SMALL = Sentence(
    "face_too_small",
    ko="얼굴이 너무 작습니다. 너비가 {width}픽셀인데 {needed}픽셀 이상이어야 합니다. 더 가까이 찍으세요.",
    en="The face is too small: {width} pixels wide; at least {needed} are needed. Film closer.",
)

# sizes
TOO_SMALL_FOR_1080P = Sentence(
    "too_small_for_1080p",
    ko="1080p 아바타에는 짧은 변이 1080픽셀 이상인 영상이 필요합니다. 더 크게 찍거나 720p를 고르세요.",
    en="An avatar in 1080p needs a clip whose short side has 1080 pixels or more. Film it larger, or choose 720p.",
)

# further clips
CLIP_FOUND = Sentence(
    "clip_found",
    ko="영상의 {begin:.1f}-{end:.1f}초를 {name} 클립으로 씁니다.",
    en="{begin:.1f}-{end:.1f} s of the recording is the clip {name}.",
)
CLIPS_NOT_FOUND = Sentence(
    "clips_not_found",
    ko="가만히 있거나 끄덕이거나 말하는 부분을 찾지 못해 영상 전체를 아바타의 클립으로 씁니다. 3초 넘게 가만히 있다가 "
    "한 번 끄덕이는 모습을 찍어 보세요.",
    en="No part was found in which the person waits, nods or talks: the whole recording is the avatar's clip. Film "
    "three seconds and more of waiting, and then a nod.",
)
CLIP_UNKNOWN = Sentence(
    "clip_unknown",
    ko="clip '{name:.40}': 그런 클립은 없습니다. 가능한 값: {choices}",
    en="clip '{name:.40}': there is no such clip. Choose one of: {choices}",
)
CLIP_OF_OTHER_SHAPE = Sentence(
    "clip_of_other_shape",
    ko="{name} 클립의 화면 비율이 다릅니다({size}). 기본 영상({wanted})과 같은 카메라로, 같은 방향으로 찍으세요.",
    en="The clip {name} has another shape ({size}) than the avatar's own ({wanted}). Film it with the same camera, "
    "held the same way.",
)
CLIP_DOES_NOT_MEET = Sentence(
    "clip_does_not_meet",
    ko="{name} 클립의 얼굴이 기본 영상과 너무 다른 곳에 있습니다(얼굴 너비의 {apart:.1f}배). "
    "카메라를 그대로 두고 같은 자리에 앉아 찍으세요.",
    en="In the clip {name}, the face is too far from where it is in the avatar's own ({apart:.1f} face widths). "
    "Leave the camera where it is, and sit in the same place.",
)
