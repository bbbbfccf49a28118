"""pip's option for an index of PyTorch builds, if one is given and answers within some seconds; nothing otherwise."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

SECONDS = 5


def main(address: str) -> int:
    if not address:
        return 0
    try:
        urllib.request.urlopen(f"{address.rstrip('/')}/torch/", timeout=SECONDS).close()
    except (OSError, ValueError) as error:
        print(f"{address}: not reached within {SECONDS} s ({error}); pip's own index is used", file=sys.stderr)
        return 0
    print(f"--{'index'}-url={address}")
    return 0


sys.exit(main(sys.argv[1]))
