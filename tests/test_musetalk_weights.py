"""MuseTalk's weights: every layout that is about opens, and whatever is wrong with a file is said in one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.engines.musetalk.weights import check_weights, load_unet, load_vae, load_whisper
from pipeline.errors import Unavailable
from tests.tiny_musetalk import make_unet, make_vae, make_whisper, safetensors, save_models


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def models(saved: Path, tmp_path: Path) -> Path:
    """A folder of models that a test may break."""
    return Path(shutil.copytree(saved, tmp_path / "models"))


def _same(model: torch.nn.Module, other: torch.nn.Module) -> bool:
    ours, theirs = model.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_was_saved_is_loaded(saved: Path) -> None:
    check_weights(saved)
    assert _same(load_unet(saved), make_unet()) and _same(load_vae(saved), make_vae())
    encoder, extractor = load_whisper(saved)
    assert _same(encoder, make_whisper().encoder)
    assert extractor(np.zeros(16_000, np.float32), sampling_rate=16_000).input_features.shape == (1, 80, 3000)


def test_safetensors_are_preferred(models: Path) -> None:
    other = {name: torch.zeros_like(tensor) for name, tensor in make_unet().state_dict().items()}
    safetensors.save_file(other, models / "musetalkV15" / "unet.safetensors")
    assert not any(tensor.any() for tensor in load_unet(models).state_dict().values())


def test_the_originals_own_files_open(models: Path) -> None:
    (models / "sd-vae").rename(models / "sd-vae-ft-mse")
    (models / "sd-vae-ft-mse" / "diffusion_pytorch_model.safetensors").unlink()
    old = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}
    tensors = {}
    for name, tensor in make_vae().state_dict().items():
        for now, then in old.items():
            name = name.replace(now, then)
        tensors[name] = tensor
    assert any("proj_attn" in name for name in tensors)
    torch.save(tensors, models / "sd-vae-ft-mse" / "diffusion_pytorch_model.bin")
    (models / "whisper" / "model.safetensors").unlink()
    torch.save(make_whisper().half().state_dict(), models / "whisper" / "pytorch_model.bin")
    check_weights(models)
    assert _same(load_vae(models), make_vae())
    assert all(tensor.dtype == torch.float32 for tensor in load_whisper(models)[0].state_dict().values())


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("file", "change", "reason"),
    [
        ("musetalkV15/unet.pth", Path.unlink, "missing"),
        ("sd-vae/config.json", Path.unlink, "missing"),
        ("whisper/preprocessor_config.json", Path.unlink, "missing"),
        ("musetalkV15/unet.pth", _truncate, "cut short"),
        ("sd-vae/diffusion_pytorch_model.safetensors", _truncate, "cut short"),
        ("whisper/model.safetensors", lambda path: path.write_bytes(b""), "cut short"),
        ("whisper/model.safetensors", lambda path: path.write_bytes(b"\xff" * 64), "cut short"),
        ("musetalkV15/musetalk.json", lambda path: path.write_text("{"), "cannot be read"),
        ("musetalkV15/musetalk.json", lambda path: path.write_text("[]"), "cannot be read"),
    ],
)
def test_a_file_that_is_missing_or_cut_short_is_named_without_loading_any(
    models: Path, file: str, change: Callable[[Path], object], reason: str
) -> None:
    change(models / file)
    with pytest.raises(Unavailable) as caught:
        check_weights(models)
    message = caught.value.message
    assert file in message.en and file in message.ko and reason in message.en
    assert "musetalk.download" in message.en and "musetalk.download" in message.ko and caught.value.status == 503


def test_nothing_at_all_names_the_first_file(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"musetalkV15/musetalk\.json is missing"):
        check_weights(tmp_path / "none")


def test_weights_of_another_model_are_refused(models: Path) -> None:
    unet = models / "musetalkV15" / "unet.pth"
    torch.save(make_vae().state_dict(), unet)
    with pytest.raises(Unavailable, match=r"musetalkV15/unet\.pth does not fit"):
        load_unet(models)
    config = models / "sd-vae" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"latent_channels": 8}))
    with pytest.raises(Unavailable, match="does not fit"):
        load_vae(models)
    torch.save([1, 2], unet)
    with pytest.raises(Unavailable, match="does not hold weights"):
        load_unet(models)


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_weights_file_does_not_run(models: Path, tmp_path: Path) -> None:
    torch.save({"a": _Bomb(tmp_path / "touched")}, models / "musetalkV15" / "unet.pth")
    with pytest.raises(Unavailable, match="cannot be read"):
        load_unet(models)
    assert not (tmp_path / "touched").exists()
