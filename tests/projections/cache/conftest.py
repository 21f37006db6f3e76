"""A Valkey of one test's own, to be killed, filled up or locked."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.valkey import EmbeddedValkey


@pytest.fixture
def own_valkey() -> Iterator[EmbeddedValkey]:
    parent = Path(tempfile.mkdtemp(prefix="tg-")).resolve()
    parent.chmod(0o711)
    directory = DataDirectory(parent / "data")
    directory.prepare()
    server = EmbeddedValkey(directory)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(parent)
