"""What a live program sets for its whole process, and that it is as before afterwards."""

import gc
import sys

import pytest

from rtsep.live.process_settings import SWITCH_INTERVAL_S, live_process


def test_all_is_as_before_also_after_an_error():
    before = sys.getswitchinterval()
    assert gc.get_freeze_count() == 0
    with pytest.raises(ZeroDivisionError), live_process():
        assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
        assert gc.get_freeze_count() > 0
        raise ZeroDivisionError
    assert sys.getswitchinterval() == before
    assert gc.get_freeze_count() == 0
