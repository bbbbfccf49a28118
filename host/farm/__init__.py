"""A farm of devices that measure many subnets on one design, each device in a process of its own."""
