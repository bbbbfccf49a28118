"""Python's collector is paused for a while, and as it was afterwards, whatever happens."""

from __future__ import annotations

import gc

import pytest

from aebert.support.collector import collector_paused


@pytest.mark.parametrize("enabled", [True, False])
def test_it_is_as_it_was_also_after_an_error(enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with collector_paused():
            assert not gc.isenabled()
        assert gc.isenabled() == enabled
        with pytest.raises(ValueError, match="inside"), collector_paused():
            raise ValueError("inside")
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
