"""Sentences about nodes, several web servers, and the store that they share."""

from pipeline.messages.sentence import Sentence

NODE_LOST = Sentence(
    "node_lost",
    ko="영상을 만들던 컴퓨터가 두 번 사라졌습니다. 다시 시도하세요.",
    en="The machines that made the video went away twice. Try again.",
)
NO_NODE = Sentence(
    "no_node",
    ko="지금 이 일을 할 컴퓨터가 클러스터에 없습니다. 잠시 뒤에 다시 시도하세요.",
    en="No machine of the cluster can do this now. Try again later.",
)
NODE_DIFFERS = Sentence(
    "node_differs",
    ko="영상을 만들던 컴퓨터가 사라졌고, 다른 컴퓨터가 만든 영상은 똑같지 않습니다. 다시 시도하세요.",
    en="The machine that made the video went away, and another one made it differently. Try again.",
)
NO_TOKEN = Sentence(
    "no_token",
    ko="RAY_ADDRESS를 쓰려면 토큰 인증이 필요합니다. RAY_AUTH_MODE=token과 RAY_AUTH_TOKEN_PATH(또는 RAY_AUTH_TOKEN)를 "
    "정하세요. docs/ko/cluster.md를 보세요.",
    en="RAY_ADDRESS needs token authentication: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH (or RAY_AUTH_TOKEN). "
    "See docs/cluster.md.",
)
NO_RAY = Sentence(
    "no_ray",
    ko="{setting}에 필요한 패키지가 없습니다: pip install -r requirements-cluster.txt",
    en="{setting} needs packages that are not installed: pip install -r requirements-cluster.txt",
)
NO_CLUSTER = Sentence(
    "no_cluster",
    ko="RAY_ADDRESS={address!r}: 클러스터에 연결할 수 없습니다 ({reason}). 이 컴퓨터에서 "
    "ray start --address=... --num-cpus=0을 실행했는지, 토큰이 같은지 확인하세요.",
    en="RAY_ADDRESS={address!r}: no cluster answers ({reason}). Check that ray start --address=... --num-cpus=0 runs "
    "on this machine, and that the token is the same.",
)
STORE_UNKNOWN = Sentence(
    "store_unknown",
    ko="STORE_URL={url!r}: file:///절대/경로나 s3://버킷/경로로 정하세요.",
    en="STORE_URL={url!r}: expected file:///an/absolute/path or s3://bucket/path",
)
STORE_FAILED = Sentence(
    "store_failed",
    ko="공유 저장소를 쓸 수 없습니다 ({reason}). STORE_URL과 그 권한을 확인한 뒤 다시 시도하세요.",
    en="The shared store cannot be used ({reason}). Check STORE_URL and its permissions, then try again.",
)
NO_REDIS = Sentence(
    "no_redis",
    ko="TASKS_URL={url!r}: Redis를 쓸 수 없습니다 ({reason}). redis://호스트:포트 또는 rediss://로 정하고, "
    "Redis가 켜져 있는지 확인하세요.",
    en="TASKS_URL={url!r}: Redis cannot be used ({reason}). Expected redis://host:port or rediss://; check that Redis "
    "runs there.",
)
TASKS_UNAVAILABLE = Sentence(
    "tasks_unavailable",
    ko="웹 서버들이 함께 쓰는 Redis나 이 작업을 맡은 서버가 지금 응답하지 않습니다. 잠시 뒤에 다시 시도하세요.",
    en="Redis, which the web servers share, or the server of this task does not answer now. Try again in a moment.",
)
SERVER_LOST = Sentence(
    "server_lost",
    ko="이 작업을 맡은 웹 서버가 사라졌습니다. 다시 시도하세요.",
    en="The web server that had this task went away. Try again.",
)
RESULT_FILE = Sentence("result_file", ko="결과", en="result")
