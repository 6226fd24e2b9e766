"""Weights from files: a round trip, torchvision's names and axes, three channels to one, and what is refused."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.models import MLP, VGG
from serjax.models.weights import WeightsError, load_weights, named_leaves, save_weights

X_BTC, MASK_BT = jnp.ones((1, 6, 5)), jnp.ones((1, 6))


def filled(model, start):
    """Return variables of consecutive numbers: no two weights alike."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), X_BTC, MASK_BT)
    leaves, treedef = jax.tree.flatten(shapes)
    return treedef.unflatten(
        [start + 100 * i + jnp.arange(a.size, dtype=a.dtype).reshape(a.shape) for i, a in enumerate(leaves)]
    )


def write_safetensors(path: Path, arrays: dict[str, np.ndarray], dtype: str = "F32") -> None:
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [len(body), len(body) + array.nbytes]}
        body += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def torchvision_vgg(n_in: int = 3) -> dict[str, np.ndarray]:
    """Return three layers numbered as torchvision does: places of ReLUs and pooling are left out."""
    rng, arrays = np.random.default_rng(0), {}
    for n, shape in ((0, (4, n_in, 3, 3)), (3, (8, 4, 3, 3)), (10, (8, 8, 3, 3))):
        arrays[f"features.{n}.weight"] = rng.normal(size=shape).astype(np.float32)
        arrays[f"features.{n}.bias"] = rng.normal(size=shape[0]).astype(np.float32)
    return arrays | {"classifier.0.weight": np.zeros((2, 2), np.float32)}


SMALL_VGG = VGG(3, (1, 2), 8, 1 / 16, (8,))


def test_what_was_saved_is_loaded(tmp_path):
    saved = filled(SMALL_VGG, 1)
    save_weights(tmp_path / "w.npz", saved)
    jax.tree.map(np.testing.assert_array_equal, load_weights(tmp_path / "w.npz", filled(SMALL_VGG, 7)), saved)


def test_what_the_file_lacks_stays(tmp_path):
    fresh = filled(MLP(3, (4,)), 1)
    np.savez(tmp_path / "w.npz", **{"params/Head_0/logits/bias": np.array([7.0, 8.0, 9.0], np.float32)})
    loaded = dict(named_leaves(load_weights(tmp_path / "w.npz", fresh)))
    np.testing.assert_array_equal(loaded.pop("params/Head_0/logits/bias"), [7, 8, 9])
    assert len(loaded) == 3
    for name, leaf in loaded.items():
        np.testing.assert_array_equal(leaf, dict(named_leaves(fresh))[name])


def test_torchvision_weights_give_torch_convolutions(tmp_path):
    """The first layer on a grey picture in three channels, by a sum over places."""
    arrays = torchvision_vgg()
    write_safetensors(tmp_path / "vgg.safetensors", arrays)
    params = load_weights(tmp_path / "vgg.safetensors", filled(SMALL_VGG, 1))["params"]
    picture = np.random.default_rng(1).normal(size=(3, 3))
    theirs = [np.sum(picture[None] * kernel) for kernel in arrays["features.0.weight"]]
    ours = np.einsum("hw,hwf->f", picture, np.asarray(params["conv1_1"]["kernel"])[:, :, 0])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for name, n in (("conv2_1", 3), ("conv2_2", 10)):
        np.testing.assert_array_equal(params[name]["kernel"], arrays[f"features.{n}.weight"].transpose(2, 3, 1, 0))
        np.testing.assert_array_equal(params[name]["bias"], arrays[f"features.{n}.bias"])
    np.testing.assert_array_equal(
        params["Head_0"]["logits"]["kernel"], filled(SMALL_VGG, 1)["params"]["Head_0"]["logits"]["kernel"]
    )


def test_what_does_not_belong_is_refused(tmp_path):
    fresh = filled(SMALL_VGG, 1)
    np.savez(tmp_path / "name.npz", other=np.zeros(2))
    with pytest.raises(WeightsError, match=r"\['other'\]; expected names among .*conv1_1/kernel"):
        load_weights(tmp_path / "name.npz", fresh)
    np.savez(tmp_path / "shape.npz", **{"params/conv1_1/bias": np.zeros(5)})
    with pytest.raises(WeightsError, match=r"conv1_1/bias is \(5,\), the model's \(4,\)"):
        load_weights(tmp_path / "shape.npz", fresh)
    np.savez(tmp_path / "none.npz")
    with pytest.raises(WeightsError, match="no weights"):
        load_weights(tmp_path / "none.npz", fresh)
    (tmp_path / "w.h5").touch()
    with pytest.raises(WeightsError, match=r"from \.npz or \.safetensors"):
        load_weights(tmp_path / "w.h5", fresh)
    (tmp_path / "broken.npz").write_bytes(b"PK")
    (tmp_path / "empty.npz").touch()
    (tmp_path / "cut.npz").write_bytes((tmp_path / "shape.npz").read_bytes()[:-30])
    (tmp_path / "broken.safetensors").write_bytes(b"\x09")
    for name, header in (
        ("list", b"[]"),
        ("more", b'{"a": {"dtype": "F32", "shape": [], "data_offsets": [], "b": 0}}'),
    ):
        (tmp_path / f"{name}.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    files = "broken.npz empty.npz cut.npz broken.safetensors list.safetensors more.safetensors absent.npz"
    for name in files.split():
        with pytest.raises(WeightsError, match=r"cannot be read .* intact"):
            load_weights(tmp_path / name, fresh)
    write_safetensors(tmp_path / "type.safetensors", {"a": np.zeros(2, np.int32)}, "I32")
    with pytest.raises(WeightsError, match="type I32; expected one of F64, F32, F16"):
        load_weights(tmp_path / "type.safetensors", fresh)
    for wrong in ({"features.1.weight": np.zeros(4, np.float32)}, {"features.12.weight": np.zeros((8, 8, 3, 3), "f4")}):
        write_safetensors(tmp_path / "bn.safetensors", torchvision_vgg() | wrong)
        with pytest.raises(WeightsError, match=r"4 layers named features\.N, 1 without bias; expected the 3"):
            load_weights(tmp_path / "bn.safetensors", fresh)
    write_safetensors(
        tmp_path / "no.safetensors", {k: a for k, a in torchvision_vgg().items() if k != "features.0.bias"}
    )
    with pytest.raises(WeightsError, match=r"3 layers named features\.N, 1 without bias"):
        load_weights(tmp_path / "no.safetensors", fresh)
