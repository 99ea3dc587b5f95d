#!/bin/sh
# Makes a video with curl: sh examples/client.sh "안녕하세요" http://localhost:5000
# Leaves it at video.mp4.
set -eu
text=${1:-안녕하세요, 면접에 오신 것을 환영합니다.}
server=${2:-http://localhost:5000}

reply=$(curl -sS --fail-with-body -X POST "$server/api/v2/lipsync" \
  -H "Content-Type: application/json" \
  -d "{\"text\": \"$text\", \"avatar\": \"talk_long\", \"resolution\": \"720p\"}")
echo "$reply"
url=$(printf '%s' "$reply" | sed 's/.*"video_url": *"\([^"]*\)".*/\1/')
curl -sS --fail -o video.mp4 "$server$url"
