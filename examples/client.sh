#!/bin/sh
# Makes a video with curl and leaves it at video.mp4:
#   sh examples/client.sh "안녕하세요" [http://localhost:5000 [talk_long [720p]]]
# A server that asks for a key gets the one in API_KEY.
set -eu
text=${1:-안녕하세요, 면접에 오신 것을 환영합니다.}
server=${2:-http://localhost:5000}
avatar=${3:-talk_long}
resolution=${4:-720p}

# A string of JSON: quotes and backslashes get a backslash before them; ends of lines become blanks.
json() {
  printf '"%s"' "$(printf '%s' "$1" | tr '\t\r\n' '   ' | tr -d '\000-\037' | sed 's/["\\]/\\&/g')"
}

# The string FIELD of an object: field FIELD OBJECT
field() {
  printf '%s' "$2" | sed -nE "s/.*\"$1\": *\"(([^\"\\\\]|\\\\.)*)\".*/\1/p"
}

body="{\"text\": $(json "$text"), \"avatar\": $(json "$avatar"), \"resolution\": $(json "$resolution")}"
if ! reply=$(printf '%s' "$body" | curl -sS -X POST "$server/api/v2/lipsync" --data-binary @- \
  -H "Content-Type: application/json" -H "Authorization: Bearer ${API_KEY:-}"); then
  echo "서버에 연결할 수 없습니다 / No answer: is the server running? $server" >&2
  exit 1
fi
url=$(field video_url "$reply")
if [ -z "$url" ]; then
  reason=$(field error "$reply")
  echo "${reason:-No video came from $server}" >&2
  exit 1
fi
host=$(printf '%s' "$server" | sed -E 's,^([a-z]+://[^/]*).*,\1,')
curl -sS --fail -o video.mp4 "$host$url"
echo "video.mp4: $host$url"
