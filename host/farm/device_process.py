"""The process of one device of a farm. Started by `host.farm.local_device`; its argument is a file descriptor.

Over that it is sent an `Opening`, and then folders of subnets; each is answered with a `Reply`. It ends when the device
is broken, when the other side goes away, and with whatever else happens.
"""

from __future__ import annotations

import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from aebert.support.errors import AebertError
from host.devices.faults import DeviceFault
from host.farm.messages import Broken, Opened, Opening, Refused, Reply
from host.farm.session import Session


def serve(connection: Connection) -> None:
    """Until the other side goes away, or the device is broken."""
    opening: Opening = connection.recv()
    try:
        session = Session(opening)
    except AebertError as error:
        connection.send(Broken(str(error)))
        return
    try:
        connection.send(Opened())
        while True:
            reply = _answer(session, connection.recv())
            connection.send(reply)
            if isinstance(reply, Broken):
                return
    except (BrokenPipeError, ConnectionResetError, EOFError):
        return
    finally:
        session.close()


def _answer(session: Session, subnet: Path) -> Reply:
    try:
        return session.measure(subnet)
    except DeviceFault as fault:
        return Broken(str(fault))
    except AebertError as error:
        return Refused(str(error))


if __name__ == "__main__":
    # Ctrl-C is the farm's to handle: it ends its devices.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(int(sys.argv[1])) as link:
        serve(link)
