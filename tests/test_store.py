"""The store finds packs by name and by path, and never looks outside its folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.avatars.store import MAX_NAME, AvatarStore, check_name
from pipeline.errors import BadRequest, NotFound
from pipeline.settings import ROOT
from pipeline.text.language import speakable
from tests.fakes import make_pack

PACKS = ("720p/talk_long_720p", "480p/talk_long_480p", "720p/bob_720p", "360p/bob_360p")


@pytest.fixture
def store(tmp_path: Path) -> AvatarStore:
    root = tmp_path / "precomputed"
    for name in PACKS:
        path = root / f"{name}_precomputed.pkl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"never opened here")
    (root / "720p" / "notes.txt").write_text("x")
    (root / "720p" / "eve_480p_precomputed.pkl").write_text("in the wrong folder")
    (tmp_path / "outside.pkl").write_bytes(b"x")
    return AvatarStore(root)


def test_a_file_whose_name_is_no_text_is_not_listed(store: AvatarStore) -> None:
    before = store.list()
    (Path(os.fsdecode(os.fsencode(store.root) + b"/720p/\xff\xfe_720p_precomputed.pkl"))).write_bytes(b"x")
    assert store.list() == before


def test_the_list_comes_from_file_names(store: AvatarStore) -> None:
    assert [info.id for info in store.list()] == ["bob_720p", "talk_long_720p", "talk_long_480p", "bob_360p"]
    assert store.list()[1].path == "precomputed/720p/talk_long_720p_precomputed.pkl"
    assert AvatarStore(store.root / "none").list() == []


def test_find_by_name_and_resolution(store: AvatarStore) -> None:
    wanted = store.root / "720p" / "talk_long_720p_precomputed.pkl"
    assert store.find("talk_long", "720p") == wanted
    assert store.find("talk_long_720p", "720p") == wanted


@pytest.mark.parametrize("name", ["nobody", "", "talk", "talk_long_", "../720p/bob", "TALK_LONG", "*", "eve"])
def test_an_unknown_avatar_lists_the_known(store: AvatarStore, name: str) -> None:
    with pytest.raises(NotFound, match="Available avatars: bob, talk_long"):
        store.find(name, "720p")


@pytest.mark.parametrize("name", ["talk_long", "talk_long_720p"])
def test_a_missing_resolution_lists_those_there_are(store: AvatarStore, name: str) -> None:
    with pytest.raises(NotFound) as caught:
        store.find(name, "360p")
    assert "720p, 480p" in caught.value.message.en and "720p, 480p" in caught.value.message.ko


@pytest.mark.parametrize("letter", ["가", "𠀀", "a"])
def test_a_name_that_fits_makes_files_that_fit(letter: str, tmp_path: Path) -> None:
    longest = letter * min(64, MAX_NAME // len(letter.encode()))
    check_name(longest)
    make_pack(tmp_path, longest, "720p")  # with all that is put around it while it is written
    (tmp_path / f"{longest}.json").write_text("{}")
    if len(letter.encode()) * 64 > MAX_NAME:
        with pytest.raises(BadRequest, match="name"):
            check_name(letter * 64)


def test_no_letter_that_is_to_be_ignored_is_part_of_a_name() -> None:
    ignored = [0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0]
    for first, last in (
        *((0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0xFE00, 0xFE0F), (0xFFF0, 0xFFF8)),
        *((0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
    ):
        ignored += range(first, last + 1)
    for name in (f(chr(code)) for code in ignored for f in (str, "a{}".format, "{}a".format)):
        with pytest.raises(BadRequest, match="name"):
            check_name(name)
    assert not any(speakable(chr(code)) for code in ignored)


def test_resolve_takes_listed_paths(store: AvatarStore) -> None:
    for info in store.list():
        assert store.resolve(info.path).name == Path(info.path).name
    assert store.resolve("720p/bob_720p_precomputed.pkl").is_file()


@pytest.mark.parametrize(
    "path",
    [
        "", ".", "precomputed", "precomputed/", "precomputed/720p", "precomputed/720p/none.pkl", "outside.pkl",
        "precomputed/../outside.pkl", "../precomputed/720p/bob_720p_precomputed.pkl", "precomputed/720p/notes.txt",
        "precomputed\\720p\\bob_720p_precomputed.pkl", "precomputed/720p/bob_720p_precomputed.pkl\0", "\0.pkl",
        "precomputed/link_out.pkl", "precomputed/link_folder/outside.pkl", "precomputed/loop.pkl", "x" * 5000 + ".pkl",
        "precomputed/720p/./../../outside.pkl", "C:/x.pkl", "~/x.pkl",
    ],
)  # fmt: skip
def test_resolve_never_leaves_the_folder(store: AvatarStore, path: str, tmp_path: Path) -> None:
    (store.root / "link_out.pkl").symlink_to(tmp_path / "outside.pkl")
    (store.root / "link_folder").symlink_to(tmp_path)
    (store.root / "loop.pkl").symlink_to(store.root / "loop.pkl")
    with pytest.raises(NotFound):
        store.resolve(path)


def test_resolve_refuses_absolute_paths(store: AvatarStore) -> None:
    with pytest.raises(NotFound):
        store.resolve(str(store.root / "720p" / "bob_720p_precomputed.pkl"))


def test_a_link_inside_the_folder_is_fine(store: AvatarStore) -> None:
    (store.root / "720p" / "alias.pkl").symlink_to("bob_720p_precomputed.pkl")
    assert store.resolve("precomputed/720p/alias.pkl").is_file()


def test_shipped_avatars_have_genders() -> None:
    store = AvatarStore(ROOT / "precomputed")
    genders = {(pack.name, store.gender(pack)) for pack in store.list()}
    assert {("talk_long", "male"), ("talk_short", "male"), ("woman", "female")} <= genders


def test_a_gender_is_read_again_when_the_pack_changed(tmp_path: Path) -> None:
    store = AvatarStore(tmp_path)
    for gender in ("female", "male", ""):
        path = make_pack(tmp_path, "x", "360p", gender)
        (info,) = store.list()
        assert store.gender(info) == gender
    path.unlink()
    assert store.gender(info) == ""


def test_shipped_packs_open_and_are_kept() -> None:
    store = AvatarStore(ROOT / "precomputed")
    found: list[object] = []
    path = store.find("talk_short", "360p")
    threads = [threading.Thread(target=lambda: found.append(store.load(path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(avatar is found[0] for avatar in found)


def test_a_pack_that_is_read_for_long_blocks_no_other_pack(store: AvatarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    read: list[str] = []

    def load(path: Path, adopt: object) -> SimpleNamespace:
        read.append(path.name)
        if path.name.startswith("talk_long"):
            begun.set()
            assert go_on.wait(30)
        return SimpleNamespace(id=path.name, landmarks=())

    monkeypatch.setattr("pipeline.avatars.store.load", load)
    stubborn, other = store.find("talk_long", "720p"), store.find("bob", "720p")
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(store.load(stubborn))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert begun.wait(30)
    assert store.load(other) is store.load(other) and not found
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(found) == 3 and all(avatar is found[0] for avatar in found)
    assert sorted(read) == [other.name, stubborn.name]  # each once


def test_a_changed_pack_is_read_again(tmp_path: Path) -> None:
    shipped = AvatarStore(ROOT / "precomputed").find("talk_short", "360p")
    root = tmp_path / "precomputed"
    path = root / "360p" / shipped.name
    path.parent.mkdir(parents=True)
    path.write_bytes(shipped.read_bytes())
    store = AvatarStore(root)
    first = store.load(path)
    os.utime(path, ns=(1, 1))
    assert store.load(path) is not first
    path.unlink()
    with pytest.raises(NotFound):
        store.load(path)
