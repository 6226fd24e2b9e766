"""Weights from files: a round trip, torchvision's names and axes, three channels to one, and what is refused."""

import io
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib import format as npy
from safetensors.numpy import save_file

from serjax.models import MLP, VGG
from serjax.models.weights import WeightsError, load_weights, named_leaves, read_weights, save_weights

X_BTC, MASK_BT = jnp.ones((1, 6, 5)), jnp.ones((1, 6))


def filled(model, start):
    """Return variables of consecutive numbers: no two weights alike."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), X_BTC, MASK_BT)
    leaves, treedef = jax.tree.flatten(shapes)
    return treedef.unflatten(
        [start + 100 * i + jnp.arange(a.size, dtype=a.dtype).reshape(a.shape) for i, a in enumerate(leaves)]
    )


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
    save_weights(tmp_path / "w.safetensors", saved)
    jax.tree.map(np.testing.assert_array_equal, load_weights(tmp_path / "w.safetensors", filled(SMALL_VGG, 7)), saved)
    jax.tree.map(np.testing.assert_array_equal, read_weights(tmp_path / "w.safetensors"), saved)


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
    save_file(arrays, tmp_path / "vgg.safetensors")
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
    np.savez(tmp_path / "type.npz", **{"params/conv1_1/bias": np.zeros(4, np.int32)})
    with pytest.raises(WeightsError, match="type int32; expected floating ones"):
        load_weights(tmp_path / "type.npz", fresh)
    save_file({"a": np.zeros(2, np.int32)}, tmp_path / "type.safetensors")
    with pytest.raises(WeightsError, match="type int32; expected floating ones"):
        load_weights(tmp_path / "type.safetensors", fresh)
    for wrong in ({"features.1.weight": np.zeros(4, np.float32)}, {"features.12.weight": np.zeros((8, 8, 3, 3), "f4")}):
        save_file(torchvision_vgg() | wrong, tmp_path / "bn.safetensors")
        with pytest.raises(WeightsError, match=r"4 layers named features\.N, 1 without bias; expected the 3"):
            load_weights(tmp_path / "bn.safetensors", fresh)
    unbiased = {k: a for k, a in torchvision_vgg().items() if k != "features.0.bias"}
    save_file(unbiased, tmp_path / "no.safetensors")
    with pytest.raises(WeightsError, match=r"3 layers named features\.N, 1 without bias"):
        load_weights(tmp_path / "no.safetensors", fresh)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    """1e39 is finite as a double, which the model does not hold."""
    np.savez(tmp_path / "w.npz", **{"params/conv1_1/bias": np.array([0, value, 0, 0])})
    with pytest.raises(WeightsError, match=r"conv1_1/bias holds numbers that are no weights \(not finite as float32"):
        load_weights(tmp_path / "w.npz", filled(SMALL_VGG, 1))


def test_a_variance_below_zero_is_refused(tmp_path):
    np.savez(tmp_path / "w.npz", **{"batch_stats/norm/var": np.array([1.0, -1e-3])})
    with pytest.raises(WeightsError, match=r"norm/var holds numbers .* a variance below 0"):
        load_weights(tmp_path / "w.npz", {"batch_stats": {"norm": {"var": jnp.ones(2)}}})


def member(name: str, header: dict, content: bytes = bytes(16)) -> tuple[str, bytes]:
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (4,)} | header)
    return name, file.getvalue() + content


BIAS = "params/conv1_1/bias.npy"


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([member(BIAS, {"shape": (10**13,)})], "cannot reshape"),
        ([member(BIAS, {"shape": (-1,)})], r"the shape \(-1,\)"),
        ([member(BIAS, {"descr": "|O"})], "type object; expected floating ones"),
        ([member(BIAS, {"descr": [("a", "<f4")]})], "expected floating ones"),
        ([member(BIAS, {}), member(BIAS, {})], "bias' comes twice"),
        ([(BIAS, bytes(2**26))], "unpacks to more than 100 times its size"),
        ([("notes.txt", b"hello")], "magic"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_ask_for_what_they_do_not_hold(tmp_path, members, says):
    with zipfile.ZipFile(tmp_path / "w.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    with pytest.raises(WeightsError, match=f"cannot be read as npz .*{says}"):
        load_weights(tmp_path / "w.npz", filled(SMALL_VGG, 1))


@pytest.mark.parametrize(
    "header",
    [
        '{"a": {"dtype": "F32", "shape": [4], "data_offsets": [-16, 16]}}',
        '{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 999]}}',
        '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}',
        '{"a": {"dtype": "F32", "shape": [99999999999], "data_offsets": [0, 16]}}',
        '{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}, "a": {}}',
        '{"a": ' + "[" * 9000 + "]" * 9000 + "}",
    ],
)
def test_headers_of_safetensors_that_lie(tmp_path, header):
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(16))
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        load_weights(tmp_path / "w.safetensors", filled(SMALL_VGG, 1))
    (tmp_path / "w.safetensors").write_bytes((2**60).to_bytes(8, "little") + header.encode())
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        load_weights(tmp_path / "w.safetensors", filled(SMALL_VGG, 1))


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip a byte, cut a region, insert noise, or write a region a second time."""
    first, last = sorted(rng.integers(0, len(content), 2).tolist())
    last = min(last, first + 64)
    match rng.integers(4):
        case 0:
            return content[:first] + bytes([content[first] ^ int(rng.integers(1, 256))]) + content[first + 1 :]
        case 1:
            return content[:first] + content[last:]
        case 2:
            return content[:first] + rng.bytes(int(rng.integers(1, 9))) + content[first:]
        case _:
            return content[:last] + content[first:last] + content[last:]


@pytest.mark.parametrize("kind", ["stored.npz", "packed.npz", "vgg.safetensors"])
def test_damaged_files_are_refused_or_give_finite_weights(tmp_path, kind):
    """167 mutations of each kind of file: never another error, never other shapes."""
    shapes, rng = filled(SMALL_VGG, 1), np.random.default_rng(0)
    fresh = jax.tree.map(np.asarray, shapes)
    path = tmp_path / kind
    if kind == "vgg.safetensors":
        save_file(torchvision_vgg(), path)
    else:
        (np.savez if kind == "stored.npz" else np.savez_compressed)(path, **dict(named_leaves(fresh)))
    content, refused = path.read_bytes(), 0
    for _ in range(167):
        path.write_bytes(mutated(content, rng))
        try:
            loaded = load_weights(path, fresh)
        except WeightsError:
            refused += 1
            continue
        for found, own in zip(jax.tree.leaves(loaded), jax.tree.leaves(fresh), strict=True):
            assert (found.shape, found.dtype) == (own.shape, own.dtype)
            assert np.isfinite(found).all()
    assert refused > 20
