import hashlib
import importlib.metadata
import os

import pytest

from forbear.errors import InvalidInput
from forbear.models import weights


class Package(importlib.metadata.Distribution):
    """A package that lists the files it was made with."""

    def __init__(self, folder, names):
        self._folder, self._names = folder, names

    def read_text(self, filename):
        return "".join(f"{name},,\n" for name in self._names) if filename == "RECORD" else None

    def locate_file(self, path):
        return self._folder / path


@pytest.fixture
def installed(monkeypatch, tmp_path):
    def install(*names):
        monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Package(tmp_path, names))

    return install


def test_the_weights_are_found_among_the_files_of_their_package(installed, tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / weights.FILE).write_bytes(b"GGUF")
    installed("some/__init__.py", f"some/{weights.FILE}")
    assert weights.installed_weights() == tmp_path / "some" / weights.FILE


def test_without_them_the_command_that_brings_them_is_named(installed, monkeypatch):
    installed(f"removed/{weights.FILE}")
    with pytest.raises(InvalidInput, match="forbear models install"):
        weights.installed_weights()

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert weights.find_weights() is None


def test_the_digest_follows_the_content(tmp_path):
    path = tmp_path / "a.gguf"
    path.write_bytes(b"one")
    assert weights.sha256_of(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert weights.sha256_of(path) == hashlib.sha256(b"two").hexdigest()
    with pytest.raises(InvalidInput, match=r"cannot read the model 'b\.gguf'"):
        weights.sha256_of(tmp_path / "b.gguf")
