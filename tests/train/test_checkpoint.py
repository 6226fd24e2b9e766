"""Checkpoints: bit-exact, two kept, every kind of damage found, strangers refused, a full disk survived."""

import errno
import json
import os
import shutil

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from serjax.train import checkpoint
from serjax.train.checkpoint import CheckpointError, Checkpoints
from tests.train.tiny import leaves_equal

KEY = jax.random.key(12345)
TREE = {
    "params": {"kernel": np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)},
    "key_data": np.asarray(jax.random.key_data(KEY)),
    "step": np.array(7, np.int32),
    "odd": np.array([np.nan, -0.0, 1e-45, np.inf], np.float32),
}
OLDER = jax.tree.map(lambda a: a + a.dtype.type(1), TREE)
PROGRESS = {"epoch": 6, "iterator": {"next_index": 3}}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Return a folder with checkpoints 3 (older) and 6, to be copied before it is touched."""
    folder = tmp_path_factory.mktemp("two") / "state"
    checkpoints = Checkpoints(folder, "mine")
    checkpoints.save(3, OLDER, {"epoch": 3, "iterator": {"next_index": 1}})
    checkpoints.save(6, TREE, PROGRESS)
    return folder


@pytest.fixture
def copy(two, tmp_path):
    return Checkpoints(shutil.copytree(two, tmp_path / "state"), "mine")


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_round_trip_is_bit_exact(copy):
    number, tree, progress = copy.load(TREE)
    assert (number, progress) == (6, PROGRESS)
    assert jax.tree.structure(tree) == jax.tree.structure(TREE)
    for found, saved in zip(jax.tree.leaves(tree), jax.tree.leaves(TREE), strict=True):
        assert (found.dtype, found.shape) == (saved.dtype, saved.shape)
        assert found.tobytes() == saved.tobytes()
    draw = [jax.random.normal(key, (4,)) for key in (jax.random.wrap_key_data(tree["key_data"]), KEY)]
    np.testing.assert_array_equal(*draw)


def test_an_empty_or_absent_folder_holds_nothing(tmp_path):
    assert Checkpoints(tmp_path, "mine").load(TREE) is None
    assert Checkpoints(tmp_path / "absent", "mine").load(TREE) is None


def test_two_are_kept(copy):
    copy.save(10, TREE, PROGRESS)
    assert sorted(path.name for path in copy.folder.iterdir()) == ["000006", "000010"]


def test_an_unfinished_save_is_ignored_and_removed(copy):
    shutil.move(copy.folder / "000006", copy.folder / "000006.orbax-checkpoint-tmp-1")
    assert copy.load(TREE)[0] == 3
    copy.save(6, TREE, PROGRESS)
    assert sorted(path.name for path in copy.folder.iterdir()) == ["000003", "000006"]
    assert leaves_equal(copy.load(TREE)[1], TREE)


def test_a_save_that_was_killed_before_its_manifest_is_damage(copy):
    (copy.folder / "000006" / "manifest.json").unlink()
    assert copy.load(TREE)[0] == 3


def test_a_number_is_written_anew(copy):
    copy.save(6, OLDER, PROGRESS)
    assert leaves_equal(copy.load(TREE)[1], OLDER)


def test_single_flipped_bits_are_found_and_the_older_checkpoint_taken(copy):
    """40 random bits, at least two in every file; each time the older one is loaded, whole."""
    rng = np.random.default_rng(1)
    intact, newest = copy.folder / "000006.kept", copy.folder / "000006"
    shutil.copytree(newest, intact)
    names = [path.relative_to(newest) for path in files(newest)]
    assert len(names) >= 5
    for flip in range(40):
        content = bytearray((newest / names[flip % len(names)]).read_bytes())
        if not content:
            continue
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        (newest / names[flip % len(names)]).write_bytes(content)
        number, tree, _ = copy.load(TREE)
        assert number == 3, names[flip % len(names)]
        assert flip % 10 or leaves_equal(tree, OLDER)
        (damaged,) = copy.folder.glob("000006.damaged-*")
        shutil.rmtree(damaged)
        shutil.copytree(intact, newest)
    assert copy.load(TREE)[0] == 6


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def delete(path):
    path.unlink()


def zero(path):
    path.write_bytes(bytes(path.stat().st_size))


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [truncate, delete, zero, empty])
def test_each_file_harmed_means_the_older_checkpoint(two, tmp_path, harm):
    for i, name in enumerate(path.relative_to(two) for path in files(two / "000006")):
        checkpoints = Checkpoints(shutil.copytree(two, tmp_path / str(i)), "mine")
        harm(checkpoints.folder / name)
        assert checkpoints.load(TREE)[0] == 3, name
        assert (checkpoints.folder / "000006.damaged-0").is_dir()  # kept for whoever wants to look


def test_a_checkpoint_under_another_number_is_damage(copy):
    """Training would go on at another epoch than that of its state."""
    (copy.folder / "000006").rename(copy.folder / "000009")
    assert copy.load(TREE)[0] == 3


@pytest.mark.parametrize("change", [{"fingerprint": None}, {"shapes": 7}, {"number": "6"}, {"number": None}])
def test_progress_that_somebody_changed_is_told(copy, change):
    """With a manifest made anew, so that all files are as it says."""
    path = copy.folder / "000006"
    progress = path / "progress" / "metadata"
    progress.write_text(json.dumps(json.loads(progress.read_text()) | change))
    (path / "manifest.json").unlink()
    checkpoint._write_manifest(path)
    if "number" in change:
        assert copy.load(TREE)[0] == 3
    else:
        with pytest.raises(CheckpointError, match=r"belongs to another configuration|holds another model"):
            copy.load(TREE)


def test_arrays_that_somebody_changed_are_damage(copy):
    other = Checkpoints(copy.folder.with_name("other"), "mine")
    other.save(6, TREE | {"step": np.zeros(2, np.int32)}, PROGRESS)
    path = copy.folder / "000006"
    shutil.rmtree(path / "arrays")
    shutil.copytree(other.folder / "000006" / "arrays", path / "arrays")
    (path / "manifest.json").unlink()
    checkpoint._write_manifest(path)
    assert copy.load(TREE)[0] == 3


def test_other_names_are_no_checkpoints(copy):
    for name in ("7", "0000012", "00001²", "000012.old"):
        shutil.copytree(copy.folder / "000003", copy.folder / name)
    assert copy.load(TREE)[0] == 6


def test_with_every_checkpoint_damaged_there_is_none(copy):
    for folder in list(copy.folder.iterdir()):
        truncate(folder / "manifest.json")
    assert copy.load(TREE) is None
    assert len(list(copy.folder.glob("*.damaged-0"))) == 2


def test_a_strange_file_is_damage_too(copy):
    (copy.folder / "000006" / "arrays" / "extra").write_text("")
    assert copy.load(TREE)[0] == 3


def test_another_configuration_is_refused_with_advice(copy):
    with pytest.raises(CheckpointError, match=r"another configuration.*choose another --out, or remove"):
        Checkpoints(copy.folder, "yours").load(TREE)
    assert copy.load(TREE)[0] == 6  # and left alone


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"step": np.zeros(2, np.int32)}, r"step'\] is int32\[\], expected int32\[2\]"),
        ({"step": np.array(0.0, np.float32)}, r"step'\] is int32\[\], expected float32\[\]"),
        ({"new": np.zeros(2, np.int32)}, r"new'\] is missing, expected int32\[2\]"),
        ({"odd": None}, r"odd'\] is float32\[4\], expected none"),
    ],
)
def test_another_model_is_refused(copy, change, words):
    """Left to itself, orbax would return other shapes and cast other types without a word."""
    with pytest.raises(CheckpointError, match=words):
        copy.load(TREE | change)


def test_a_full_disk_is_an_error_that_names_the_path_and_harms_nothing(copy, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    manager = ocp.CheckpointManager
    for place, name in ((os, "posix_fallocate"), (manager, "save"), (checkpoint, "_sync"), (os, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, full)
            if name == "posix_fallocate":  # asked before orbax, whose threads would print a traceback each
                patch.setattr(manager, "save", lambda *_, **__: pytest.fail("saved"))
            with pytest.raises(
                CheckpointError, match=r"000009 could not be written.*No space left.*make room"
            ) as caught:
                copy.save(9, TREE, PROGRESS)
            assert caught.value.exit_code == 1
        assert copy.load(TREE)[0] == 6


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "state").write_text("")
    with pytest.raises(CheckpointError, match=r"state.000001 could not be written"):
        Checkpoints(tmp_path / "state", "mine").save(1, TREE, PROGRESS)


def test_damage_that_cannot_be_set_aside_is_an_error(copy, monkeypatch):
    truncate(copy.folder / "000006" / "manifest.json")

    def read_only(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", read_only)
    with pytest.raises(CheckpointError, match="000006 is damaged and cannot be renamed"):
        copy.load(TREE)
