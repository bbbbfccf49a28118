"""What runs a project: the protocol, how a device is opened, locked and trusted, and how it fails."""
