"""``aebert doctor``: what works here, and what each missing thing would enable."""

from __future__ import annotations

import click

from aebert.cli.output import current_output

EXIT_MISSING = 1


@click.command(name="doctor")
def command() -> None:
    """Look for compiler, make, memory, disk, GPU, optional packages, database, Vitis, XRT and boards.

    Exits with 1 when something is missing that every project needs.

    Example: aebert doctor
    """
    from aebert.cli.doctor_checks import run_checks

    output = current_output()
    checks = list(run_checks())
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark = "ok  " if check.works else "FAIL" if check.required else "-   "
        output.result(f"{mark}  {check.name:<{width}}  {check.found}")
        if not check.works:
            output.result(f"      {'':<{width}}  enables: {check.enables}; {check.remedy}")
    missing = [check.name for check in checks if check.required and not check.works]
    output.result(
        f"missing: {', '.join(missing)}" if missing else "everything that a verified project needs is here",
        works=not missing,
        checks=checks,
    )
    if missing:
        raise click.exceptions.Exit(EXIT_MISSING)
    output.next("aebert demo")
