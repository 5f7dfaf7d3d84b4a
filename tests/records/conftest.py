import pytest

from forbear.records.journal import Journal
from records.samples import BROKEN, LOST, PLAN, SHARED, episode


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "runs" / "mine")
    with journal.writing(PLAN) as writer:
        writer.append(episode(), SHARED)
        writer.append(BROKEN)
        writer.append(LOST)
    return journal
