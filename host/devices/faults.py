"""What can go wrong with a device, as opposed to with its input."""

from __future__ import annotations

from aebert.support.errors import AebertError


class DeviceFault(AebertError):
    """The device died, hung, ran out of memory or gave a wrong answer: what it was doing can be done elsewhere."""


class DeadlineExceededError(DeviceFault):
    """A launch was not over in time. The device must not be used again before it was reset."""
